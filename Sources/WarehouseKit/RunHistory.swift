import JobRuntime
import Logging
import Warehouse

/// Keeps one row for each finished run in `scheduler_jobs.job_runs`, so that operators can ask with SQL what ran and how it ended.
///
/// The history is not the job's work: what cannot be written is a warning in the log and changes no outcome. A run that was
/// killed leaves no row.
struct RunHistory: Sendable {
    static let table = TableReference(DatasetID.schedulerJobs, "job_runs")!

    /// A stopped run has seven seconds for everything, two of which may go into cancelling a job.
    static let patience = Duration.seconds(5)

    var job: String
    var task: CloudRunTask
    var environment: String
    var startedAt: Timestamp

    static let sql = """
        INSERT INTO \(table.sql)
          (job, execution, task_index, attempt, environment, status, started_at, finished_at, duration_ms, counts, failures, version)
        VALUES
          (@job, @execution, @task_index, @attempt, @environment, @status, @started_at, @finished_at, @duration_ms, @counts, @failures,
           @version)
        """

    func statement(_ outcome: RunReport.Outcome, finishedAt: Timestamp) -> Statement {
        let duration = (finishedAt.microseconds - startedAt.microseconds) / 1000
        return Statement(
            "write the run into the history", Self.sql,
            parameters: [
                "job": .string(job), "execution": task.execution.map { .string($0) } ?? .null(.string),
                "task_index": .int64(Int64(task.index)), "attempt": .int64(Int64(task.attempt)),
                "environment": .string(environment), "status": .string(outcome.status),
                "started_at": .timestamp(startedAt), "finished_at": .timestamp(finishedAt),
                "duration_ms": .int64(duration),
                "counts": .json(outcome.counts.description), "failures": .strings(outcome.failures),
                "version": .string(serviceVersion),
            ])
    }
}

extension JobContext where Job.Settings: WarehouseUser {
    /// Does the work and then writes it into the history, also when it failed or was stopped.
    func recorded(in warehouse: any Warehouse, _ work: () async throws -> Void) async throws {
        let history = RunHistory(
            job: Job.name, task: task, environment: settings.warehouse.environmentName, startedAt: Timestamp.wallClock()
        )
        do {
            try await work()
        } catch {
            await write(history, report.outcome(endedBy: error, isStopped: Task.isCancelled), to: warehouse)
            throw error
        }
        await write(history, report.outcome(isStopped: false), to: warehouse)
    }

    private func write(_ history: RunHistory, _ outcome: RunReport.Outcome, to warehouse: any Warehouse) async {
        guard !isDryRun else { return }
        let statement = history.statement(outcome, finishedAt: Timestamp.wallClock())
        // A task of its own: that of a stopped run is cancelled, and the row is still wanted. It is not waited for much longer
        // than it takes, so that an outage does not hold up the end of a run.
        let writing = Task { _ = try await warehouse.query(statement) }
        let timer = Task {
            try await Task.sleep(for: RunHistory.patience)
            writing.cancel()
        }
        defer { timer.cancel() }
        if case .failure(let error) = await writing.result {
            let reason = writing.isCancelled ? "no answer within \(RunHistory.patience)" : "\(error)"
            logger.warning("no row in the run history: \(reason)")
        }
    }
}
