import FoundationEssentials
import HTTPTransport
import Synchronization

/// The API service that is notified of a run that changed something, if both variables are set.
package struct NotificationSettings: JobSettings {
    package struct Target: Sendable {
        package let url: String
        package let key: Secret
    }

    /// `nil` if nobody is notified.
    package let target: Target?

    package init(reading environment: inout EnvironmentReader) {
        let expected = "the URL that takes the summary, with https (http for this machine only)"
        let url = environment.optionalString(
            "API_SERVICE_URL", expected: expected,
            help: "The job sends the summary of a run that changed something there, by POST. Needs CA_ROOT_API_KEY.",
            check: problemOfSecureURL)
        let key = environment.secret(
            "CA_ROOT_API_KEY",
            help: "The header X-CA-Root-Key of that request. The key does nothing without API_SERVICE_URL.")
        if url != nil, key == nil, environment.needsSecrets, !environment.hasProblem(with: ["CA_ROOT_API_KEY"]) {
            environment.note(
                "CA_ROOT_API_KEY", problem: "is not set, though API_SERVICE_URL is",
                expected: "the key that the service takes, or unset API_SERVICE_URL")
        }
        target = url.flatMap { url in key.map { Target(url: url, key: $0) } }
    }
}

/// One POST to the API service. It is not repeated, because the service also reads the warehouse later.
struct ServiceNotification {
    let target: NotificationSettings.Target
    let transport: any HTTPTransport

    /// - Returns: The problem, without the key; `nil` if the service accepted the request, or if the run was stopped.
    func send(_ body: JSONValue) async -> String? {
        let request = HTTPRequest(
            .post, target.url, headers: ["Content-Type": "application/json", "X-CA-Root-Key": target.key.value],
            body: Data(body.description.utf8), timeout: .seconds(5))
        do {
            let status = try await transport.send(request).status
            return (200..<300).contains(status) ? nil : "it answered with HTTP status \(status)"
        } catch is CancellationError {
            return nil
        } catch {
            return String(describing: error)
        }
    }
}

extension Run {
    /// Sends the run's outcome to the API service when the run ends, if one of these counts is above 0 by then.
    ///
    /// A run that failed half-way sends its outcome, too. A dry run and a run that was stopped send nothing. A failed
    /// notification is a warning.
    package func notifyAtEnd(_ settings: NotificationSettings, ofChangesIn counts: [String]) {
        guard let target = settings.target, !isDryRun else { return }
        let start = TimeSource.system.elapsed()
        let transport = transport()
        onClose(.notification) { outcome in
            guard !outcome.isStopped, counts.contains(where: { report.count(of: $0) > 0 }) else { return }
            let members: [(key: String, value: JSONValue)] = [
                ("job", .string(job)), ("version", .string(serviceVersion)), ("now", .string(now.description)),
                ("execution", task.execution.map { .string($0) } ?? .null), ("task_index", .integer(task.index)),
                ("duration_ms", .integer((TimeSource.system.elapsed() - start).wholeMilliseconds)),
                ("status", .string(outcome.status)), ("counts", outcome.counts),
            ]
            let findings = RunSummary.members("failures", outcome.failureFindings)
            let body = JSONValue.object(JSONObject(members + findings + [("warnings", .integer(outcome.warnings))]))
            let problem = await ServiceNotification(target: target, transport: transport).send(body)
            if let problem { report.warn("notification of the API service", problem) }
        }
    }
}
