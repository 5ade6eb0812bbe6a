import FoundationEssentials
import HTTPTransport
package import JobRuntime
package import Warehouse

/// Keeps executions of a job from overlapping (facts RUN-07 and SCH-03): the holder of the job's lease works, and any other execution is skipped.
///
/// ```swift
/// let lease = JobLease(
///     warehouse: warehouse, job: "quota-reset-daily", holder: "execution-1/0/0", validity: .seconds(3600), report: report)
/// try await lease.acquire()
/// _ = try await lease.sql.query(statement)
/// await lease.release()
/// ```
///
/// - One conditional UPDATE takes a job's row in `scheduler_jobs.job_leases`; its number of affected rows decides (fact BQ-19). Another
///   UPDATE frees the row; it matches only the token of this acquisition.
/// - The clock is the machine's, because overlap is a matter of real time.
/// - A lease is never renewed, because its expiry is longer than a task can last. A holder that was killed keeps others out
///   until the expiry, except for the next attempt of its own task.
/// - A lease can still be lost. So each statement of the work must be safe to run twice, one run after the other.
/// - A row that no acquisition can have left behind is a failure of the run, not a reason to skip it. Otherwise every run would
///   be skipped, with exit code 0. So a job is skipped only while a lease of it may last (see ``HeldLease/fault(at:for:validity:)``).
///
/// ## Proof that two executions never hold one lease
///
/// BigQuery enforces no keys (fact BQ-57), and concurrent INSERTs never conflict (fact BQ-14). So two executions that meet before the job has a row may
/// insert one row each. This is harmless:
///
/// 1. An execution sends the UPDATE that takes the lease after it saw or inserted a row of the job. A row is deleted only while it
///    is free and has not been touched for long (``AgingTable/freeLeases``). Such a DELETE and an UPDATE of the row conflict, so
///    one of them runs again on a snapshot with the other: the row was taken and stays, or it is gone, and the UPDATE finds
///    the rows that were inserted since, or none and takes nothing.
/// 2. The UPDATE takes *all* rows of the job, or none if any of them is held.
/// 3. Two UPDATEs have two snapshots. The later snapshot contains the row that the other execution had seen or inserted, because
///    that row existed before the earlier snapshot. If the row is held there, the later UPDATE takes nothing. Otherwise both
///    UPDATEs change the row, and BigQuery lets the first to commit win (fact BQ-15). It runs the other one again on a new snapshot, where
///    the row is held.
///
/// SQLite runs the same statements, one write transaction at a time. A lease on several jobs takes the rows of all of them in
/// one UPDATE. The proof holds for each job that two leases share.
///
/// ## Statements that outlive their holder
///
/// A statement that BigQuery has accepted goes on when its client is canceled, killed or cut off, and two MERGEs that insert the
/// same row do not conflict.
///
/// - The lease is freed at once only if all statements of the work have been seen to end. Otherwise the row stays taken for
///   ``grace``, although nobody works any more.
/// - If the holder was killed, the next attempt of its task begins after its death and keeps the row for the same time.
/// - A statement that begins even later, because it had to queue, carries the ``fence`` and does nothing.
///
/// Three risks remain: a MERGE that *began* before its lease went to another execution and *runs* for longer than the grace; an
/// operator who frees a lease by hand within the grace; clocks that differ by about as much. Rows may then exist twice, with the
/// same, correct values. Every run reports them until all but one are deleted.
package struct JobLease: Sendable {
    /// The time for which a statement that nobody waits for may still be running.
    package static let grace = Duration.seconds(120)
    /// The time between two attempts to take a lease.
    static let pause = Duration.seconds(10)
    /// Five minutes of pauses: longer than the grace, and well within the ten minutes of a task.
    static let mostTries = 30
    /// The greatest value of `LEASE_SECONDS`.
    static let longestValidity = Duration.seconds(604_800)

    private let warehouse: MeteredWarehouse
    private let watched: WatchedWarehouse
    private let statements: LeaseStatements
    private let validity: Duration
    package let report: RunReport
    private let now: @Sendable () -> Timestamp
    private let sleep: @Sendable (Duration) async throws -> Void

    /// - Parameters:
    ///   - others: Other jobs that must not run at the same time. Their leases are taken in the same statement.
    ///   - holder: The execution that takes the lease, as `EXECUTION/TASK/ATTEMPT`. It waits for the lease of an earlier attempt
    ///     of its own task and is not skipped.
    ///   - sleep: Throws when the task is canceled.
    package init(
        warehouse: any SQLWarehouse, job: String, excluding others: [String] = [], holder: String, validity: Duration,
        report: RunReport, now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock,
        sleep: @escaping @Sendable (Duration) async throws -> Void = TimeSource.system.sleep
    ) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        watched = WatchedWarehouse(warehouse)
        statements = LeaseStatements(
            jobs: [job] + others, holder: "\(job) \(holder)", token: UUID().uuidString.lowercased())
        self.validity = validity
        self.report = report
        self.now = now
        self.sleep = sleep
    }

    /// The condition for statements of the work that would do harm after the lease went to another execution.
    package var fence: LeaseFence { LeaseFence(jobs: statements.jobs, token: statements.token) }

    /// The warehouse for the work. It watches the statements, so that the lease is kept while one may still be running.
    package var sql: any SQLWarehouse { watched }

    /// Takes the lease. Waits up to five minutes for a lease that another job holds, or whose holder ended without seeing the
    /// end of its statements.
    ///
    /// - Throws: ``RunSkipped`` while another execution of the job works, ``RunFailure`` if the lease stays taken.
    package func acquire() async throws {
        do {
            try await take()
        } catch let error as WarehouseError where error.certainty == .notDone {
            throw error
        } catch let error where error is RunSkipped || error is RunFailure {
            throw error
        } catch {
            // The UPDATE may be done although no answer came. No statement of the work was sent, so the lease can be freed. If the
            // UPDATE is still running, it takes the row after this, until the expiry.
            let limit = Task.isCancelled ? StopBudget.limit(of: .lease) : nil
            _ = try? await shielded(within: limit) { try await warehouse.query(statements.release(at: now())) }
            throw error
        }
    }

    /// Frees the lease, or keeps it for the ``grace`` if a statement may still be running. A lost lease is a failure, and so is
    /// one that the warehouse refuses to free twice. A lease of which nobody knows whether it was freed expires and is a warning.
    ///
    /// The run succeeds only if a statement that was sent after the work found the token in a row of each job. That may be an
    /// earlier attempt of the same release, whose reply was lost: it leaves its mark in the rows until the next execution takes
    /// them.
    ///
    /// - Parameter limit: The longest time for this; `nil` leaves that to the warehouse's retries.
    package func release(within limit: Duration? = nil) async {
        let statement = watched.mayBeRunning ? keeping(statements.token) : statements.release(at: now())
        let subject = "lease of \(statements.jobs[0])"
        do {
            let rows = try await freed(by: statement, within: limit) ?? 0
            if rows < statements.jobs.count { await confirmRelease(subject, within: limit) }
        } catch let error as WarehouseError where error.certainty == .notDone && limit == nil {
            report.fail(
                subject,
                "the work is done, but the warehouse refuses to release the lease; the next executions are skipped for "
                    + "\(validity.components.seconds) s at most: \(error)")
        } catch {
            report.warn(subject, "not released; it expires within \(validity.components.seconds) s: \(error)")
        }
    }

    /// Fails unless the rows have the mark of this release, which may have been done before.
    private func confirmRelease(_ subject: String, within limit: Duration?) async {
        do {
            let rows = try await shielded(within: limit) { try await warehouse.query(statements.marked()) }.rows
            guard Set(try rows.map { try $0.string("job") }).count < statements.jobs.count else { return }
            report.fail(
                subject,
                "lost before the work was done; part of it may be missing: raise LEASE_SECONDS and run the job again")
        } catch {
            report.fail(
                subject, "it may have been lost before the work was done, and nobody knows; run the job again: \(error)"
            )
        }
    }

    /// Tries once more after a refusal, unless the run has to end.
    private func freed(by statement: Statement, within limit: Duration?) async throws -> Int64? {
        do {
            return try await shielded(within: limit) { try await warehouse.query(statement) }.affectedRows
        } catch let error as WarehouseError where error.certainty == .notDone && limit == nil {
            return try await shielded(within: nil) { try await warehouse.query(statement) }.affectedRows
        }
    }

    private func take() async throws {
        var obstacle: HeldLease?
        for _ in 0..<Self.mostTries {
            if try await update() { return }
            let rows = try await warehouse.query(statements.read()).rows
            if Set(try rows.map { try $0.string("job") }).count < statements.jobs.count {
                _ = try await warehouse.query(statements.seed(at: now()))
                continue
            }
            let held = try rows.compactMap { try HeldLease($0, at: now()) }
            for left in held where left.isWorking && left.isOfSameTask(as: statements.holder) {
                _ = try await warehouse.query(keeping(left.token))
            }
            let isWorking = { (held: HeldLease) in
                held.isWorking && held.isOfSameJob(as: statements.holder)
                    && !held.isOfSameTask(as: statements.holder)
            }
            for other in held where !other.isOfSameTask(as: statements.holder) {
                guard let fault = other.fault(at: now(), for: statements.holder, validity: validity) else { continue }
                throw RunFailure(operation: "lease of \(statements.jobs[0])", reason: fault)
            }
            if let other = held.first(where: isWorking) { throw RunSkipped("the lease of \(other.description)") }
            // If no row is held now, the lease was freed after the UPDATE.
            guard let first = held.first else { continue }
            if obstacle == nil { report.line("waiting: the lease of \(first.description)") }
            obstacle = first
            try await sleep(Self.pause)
        }
        throw RunFailure(
            operation: "lease of \(statements.jobs[0])",
            reason: "\(obstacle?.description ?? "other executions took it every time"); run it again")
    }

    private func update() async throws -> Bool {
        let instant = now()
        let result = try await warehouse.query(statements.take(at: instant, until: instant.adding(validity)))
        return result.affectedRows ?? 0 > 0
    }

    private func keeping(_ token: String) -> Statement {
        let instant = now()
        return statements.keep(token, at: instant, until: instant.adding(Self.grace))
    }
}

/// The statements of a lease on some jobs' rows in `scheduler_jobs.job_leases`.
struct LeaseStatements: Sendable {
    static let table = TableReference(DatasetID.schedulerJobs, "job_leases")!

    let jobs: [String]
    let holder: String
    let token: String

    /// Takes every row of all the jobs, or none. It may be sent twice: the second one takes the same rows again.
    func take(at now: Timestamp, until expiry: Timestamp) -> Statement {
        Statement(
            "take the lease of \(jobs.joined(separator: " and "))", Self.takeSQL,
            parameters: [
                "jobs": .strings(jobs), "job_count": .int64(Int64(jobs.count)), "holder": .string(holder),
                "token": .string(token), "now": .timestamp(now), "expires_at": .timestamp(expiry),
            ])
    }

    func read() -> Statement {
        Statement("read the leases", Self.readSQL, parameters: ["jobs": .strings(jobs)])
    }

    /// Adds a free row for each job that has no row.
    func seed(at now: Timestamp) -> Statement {
        Statement(
            "add the rows of the leases", Self.seedSQL,
            parameters: ["jobs": .strings(jobs), "now": .timestamp(now)])
    }

    /// Keeps the rows of a token until `end` at the latest. Their holder has ended, but a statement of it may still be
    /// running.
    func keep(_ token: String, at now: Timestamp, until end: Timestamp) -> Statement {
        Statement(
            "keep the lease of \(jobs.joined(separator: " and "))", Self.keepSQL,
            parameters: [
                "jobs": .strings(jobs), "token": .string(token), "now": .timestamp(now), "until": .timestamp(end),
            ])
    }

    /// Frees the rows that were taken with this token, and marks them.
    func release(at now: Timestamp) -> Statement {
        Statement(
            "release the lease of \(jobs.joined(separator: " and "))", Self.releaseSQL,
            parameters: [
                "jobs": .strings(jobs), "token": .string(token), "mark": .string(mark), "now": .timestamp(now),
            ])
    }

    /// The token of a row that was freed with this token. It is no token, so it opens no fence.
    private var mark: String { "released \(token)" }

    /// The jobs whose rows still have the token or the mark of its release.
    func marked() -> Statement {
        Statement(
            "confirm the release of the lease of \(jobs.joined(separator: " and "))", Self.markedSQL,
            parameters: ["jobs": .strings(jobs), "tokens": .strings([token, mark])])
    }

    static let takeSQL = """
        UPDATE \(table.sql)
        SET holder = @holder, token = @token, acquired_at = @now, expires_at = @expires_at, updated_at = @now
        WHERE job IN UNNEST(@jobs)
          AND NOT EXISTS (
            SELECT 1 FROM \(table.sql) AS held
            WHERE held.job IN UNNEST(@jobs) AND held.expires_at > @now AND held.holder IS NOT NULL
              AND held.token IS DISTINCT FROM @token)
          AND (SELECT COUNT(DISTINCT known.job) FROM \(table.sql) AS known WHERE known.job IN UNNEST(@jobs)) = @job_count
        """
    static let readSQL = """
        SELECT job, holder, token, acquired_at, expires_at FROM \(table.sql)
        WHERE job IN UNNEST(@jobs) ORDER BY expires_at DESC, job
        """
    static let seedSQL = """
        INSERT INTO \(table.sql) (job, expires_at, updated_at)
        SELECT job, @now, @now FROM UNNEST(@jobs) AS job
        WHERE job NOT IN (SELECT known.job FROM \(table.sql) AS known)
        """
    static let keepSQL = """
        UPDATE \(table.sql)
        SET acquired_at = NULL, expires_at = LEAST(expires_at, @until), updated_at = @now
        WHERE job IN UNNEST(@jobs) AND token = @token
        """
    static let releaseSQL = """
        UPDATE \(table.sql) SET holder = NULL, token = @mark, acquired_at = NULL, expires_at = @now, updated_at = @now
        WHERE job IN UNNEST(@jobs) AND token = @token
        """
    static let markedSQL = """
        SELECT job FROM \(table.sql) WHERE job IN UNNEST(@jobs) AND token IN UNNEST(@tokens)
        """
}

/// An SQL condition that is true while the sender of a statement still holds its leases. BigQuery may begin a statement late,
/// after its execution died and the lease went to another one. With this condition such a statement does nothing.
///
/// ```swift
/// var statement = Statement("mark the runs", "UPDATE ... WHERE run_id = @id AND \(LeaseFence.sql)")
/// statement.parameters += fence.parameters
/// ```
package struct LeaseFence: Sendable {
    let jobs: [String]
    let token: String

    /// The condition. The statement needs ``parameters``.
    package static let sql = """
        (SELECT COUNT(DISTINCT fence.job) FROM \(LeaseStatements.table.sql) AS fence
            WHERE fence.job IN UNNEST(@lease_jobs) AND fence.token = @lease_token) = @lease_job_count
        """

    package var parameters: [SQLValue.Field] {
        [
            SQLValue.Field("lease_jobs", .strings(jobs)), SQLValue.Field("lease_token", .string(token)),
            SQLValue.Field("lease_job_count", .int64(Int64(jobs.count))),
        ]
    }
}

extension CloudRunTask {
    /// The holder of a lease: `EXECUTION/TASK/ATTEMPT`. Cloud Run begins an attempt after the one before has ended (fact RUN-02), so the lease
    /// of an earlier attempt may be taken over. Outside of Cloud Run every process is a holder of its own.
    package var leaseHolder: String {
        execution.map { "\($0)/\(index)/\(attempt)" } ?? "local/\(UUID().uuidString.lowercased())/0"
    }
}
