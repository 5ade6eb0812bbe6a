import JobRuntime
import Logging
import Warehouse

/// Writes one row for each finished run into `scheduler_jobs.job_runs`, so that operators can query past runs with SQL.
///
/// A row that cannot be written is a warning in the log and does not change the outcome. A run that was killed leaves no row.
struct RunHistory: Sendable {
    static let table = TableReference(DatasetID.schedulerJobs, "job_runs")!

    /// The longest time for the row of a run that was not stopped.
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

extension RunHistory {
    init(run: Run, environment: String) {
        self.init(job: run.job, task: run.task, environment: environment, startedAt: Timestamp.wallClock())
    }

    /// Writes the row when the run has ended, also if it failed or was stopped.
    func writeAtEnd(of run: Run, to warehouse: any SQLWarehouse) {
        run.onClose(.history) { outcome in
            let statement = statement(outcome, finishedAt: Timestamp.wallClock())
            do {
                // An outage must not delay the end of a run.
                let limit = outcome.isStopped ? StopBudget.limit(of: .history) : Self.patience
                _ = try await withTimeout(limit) { try await warehouse.query(statement) }
            } catch {
                let reason = (error as? WarehouseError)?.code.rawValue ?? String(describing: error)
                run.logger.warning("this run has no row in \(Self.table): \(reason)")
            }
        }
    }
}
