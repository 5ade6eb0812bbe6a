import HTTPTransport
import Synchronization

extension JobContext where Job.Settings: NotificationUser {
    /// Does the work, and then tells the API service if the work changed something, also where some of it failed.
    ///
    /// A notification that fails is a warning. A dry run, and a run that was stopped, tell nobody.
    ///
    /// - Parameter changes: The counts of which one above 0 means that something was changed.
    package func notifyingService(ofChanges changes: [String], _ work: () async throws -> Void) async throws {
        do {
            try await work()
        } catch {
            await notify(ofChanges: changes, transport())
            throw error
        }
        await notify(ofChanges: changes, transport())
    }

    func notify(ofChanges changes: [String], _ transport: any HTTPTransport) async {
        guard let target = settings.notification.target, !isDryRun, !Task.isCancelled,
            changes.contains(where: { report.count(of: $0) > 0 })
        else { return }
        let members: [(key: String, value: JSONText)] = [
            ("job", .string(Job.name)), ("version", .string(serviceVersion)), ("now", .string(now.description)),
            ("execution", task.execution.map { .string($0) } ?? .null), ("task_index", .integer(task.index)),
        ]
        let problem = await ServiceNotification(target: target, transport: transport)
            .send(JSONText.object(members + report.notificationMembers))
        if let problem { report.warn("notification of the API service", problem) }
    }
}

extension RunReport {
    /// What the run did so far, in the form of the summary.
    var notificationMembers: [(key: String, value: JSONText)] {
        record.withLock { record in
            [
                ("counts", .object(record.counts.map { ($0.name, .integer($0.value)) })),
                ("failures", .integer(record.failures.count)), ("warnings", .integer(record.warnings.count)),
            ]
        }
    }
}
