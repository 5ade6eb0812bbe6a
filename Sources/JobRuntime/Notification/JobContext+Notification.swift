import HTTPTransport
import Synchronization

extension JobContext where Job.Settings: NotificationUser {
    /// Does the work, and then tells the API service if the work changed something, also where some of it failed.
    ///
    /// A notification that fails is a warning. A dry run, and a run that was stopped, tell nobody.
    ///
    /// - Parameter changes: The counts of which one above 0 means that something was changed.
    package func notifyingService(ofChanges changes: [String], _ work: () async throws -> Void) async throws {
        let start = TimeSource.system.elapsed()
        do {
            try await work()
        } catch {
            await notify(ofChanges: changes, transport(), since: start, endedBy: error)
            throw error
        }
        await notify(ofChanges: changes, transport(), since: start)
    }

    func notify(
        ofChanges changes: [String], _ transport: any HTTPTransport, since start: Duration,
        endedBy error: (any Error)? = nil
    ) async {
        guard let target = settings.notification.target, !isDryRun, !Task.isCancelled,
            changes.contains(where: { report.count(of: $0) > 0 })
        else { return }
        let members: [(key: String, value: JSONText)] = [
            ("job", .string(Job.name)), ("version", .string(serviceVersion)), ("now", .string(now.description)),
            ("execution", task.execution.map { .string($0) } ?? .null), ("task_index", .integer(task.index)),
            ("duration_ms", .integer((TimeSource.system.elapsed() - start).wholeMilliseconds)),
        ]
        let problem = await ServiceNotification(target: target, transport: transport)
            .send(JSONText.object(members + report.notificationMembers(endedBy: error)))
        if let problem { report.warn("notification of the API service", problem) }
    }
}

extension RunReport {
    /// What the run did so far, in the form of the summary.
    /// - Parameter error: What ended the work; the summary has it as a failure, too.
    func notificationMembers(endedBy error: (any Error)?) -> [(key: String, value: JSONText)] {
        let outcome = outcome(endedBy: error, isStopped: false)
        return record.withLock { record in
            var failures = record.failures
            if let error { failures.add("job", String(describing: error)) }
            return [("status", .string(outcome.status)), ("counts", outcome.counts)]
                + RunSummary.members("failures", failures) + [("warnings", .integer(record.warnings.count))]
        }
    }
}
