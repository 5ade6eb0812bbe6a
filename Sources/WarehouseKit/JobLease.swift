import FoundationEssentials
import HTTPTransport
package import JobRuntime
package import Warehouse

/// Keeps executions of a job from overlapping: who holds the job's lease works, everyone else is skipped.
///
/// A job's row in `scheduler_jobs.job_leases` is taken by one conditional UPDATE, whose number of affected rows decides, and
/// freed by another that matches the token of this acquisition only. The clock is the machine's, since overlap is about real
/// time. The expiry is longer than a task can last, so nothing is renewed; a holder that was killed keeps others out until then,
/// except for the next attempt of its own task. Work under a lease must bear a lost one all the same: it is a set of
/// statements each of which may run twice, one after the other.
///
/// ## Why two never win
///
/// BigQuery enforces no keys, and concurrent INSERTs never conflict, so two executions that meet before the job has a row may
/// insert one each. This is harmless:
///
/// 1. An execution tries the UPDATE that counts only after it saw or inserted a row of the job, and rows are never deleted.
/// 2. The UPDATE takes *all* rows of the job, or none when any of them is held.
/// 3. Of two UPDATEs, the one whose snapshot is later sees the row that the other one's execution had seen or inserted, for it
///    was there before the earlier snapshot. Either it finds that row held, and takes nothing; or it would change a row that the
///    earlier UPDATE changes too. Then BigQuery lets the first to commit win and runs the other one again on a new snapshot,
///    where it finds the row held.
///
/// SQLite runs one write transaction at a time, and the same statements. A lease on several jobs takes the rows of all of them
/// in the same UPDATE; the argument holds for each job that two leases share.
///
/// ## What may outlive its holder
///
/// A statement that BigQuery has accepted goes on when its client is cancelled, killed or cut off, and two MERGEs that insert the
/// same row do not conflict. So the lease is freed at once only where all statements of the work have been seen to end. Otherwise the
/// row stays taken for ``grace``, though nobody works any more. Where the holder was killed, the next attempt of its task, which begins
/// when it is dead, gives the row that same time. Nobody takes it earlier. A statement that is begun later than that, since it had to
/// queue, carries the ``fence`` and does nothing.
///
/// What remains: a MERGE that *began* before its lease went to somebody else and *runs* for longer than the grace; a lease that an
/// operator freed by hand within it; clocks that differ by about as much. Rows may be there twice then, with the same, right
/// values, and every run reports them until all but one are deleted.
package struct JobLease: Sendable {
    /// For how long a statement may still be running that nobody waits for.
    package static let grace = Duration.seconds(120)
    /// Between two looks at a lease that is worth waiting for.
    static let pause = Duration.seconds(10)
    /// Five minutes of pauses: longer than the grace, and well within the ten minutes of a task.
    static let mostTries = 30

    private let warehouse: MeteredWarehouse
    private let watched: WatchedWarehouse
    private let statements: LeaseStatements
    private let validity: Duration
    package let report: RunReport
    private let now: @Sendable () -> Timestamp
    private let sleep: @Sendable (Duration) async throws -> Void

    /// - Parameters:
    ///   - others: Jobs that must not run at the same time either; their leases are taken along.
    ///   - holder: Who takes it, as `EXECUTION/TASK/ATTEMPT`: what an earlier attempt left behind is waited for, not skipped.
    ///   - sleep: Throws when the task is cancelled.
    package init(
        warehouse: any SQLWarehouse, job: String, excluding others: [String] = [], holder: String, validity: Duration,
        report: RunReport, now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
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

    /// For statements of the work that would do harm after the lease went to somebody else.
    package var fence: LeaseFence { LeaseFence(jobs: statements.jobs, token: statements.token) }

    /// The warehouse for the work: a statement that goes through it keeps the lease until the statement has ended.
    package var sql: any SQLWarehouse { watched }

    /// Takes the lease. Waits, within bounds, for a lease that another job holds, or whose holder has ended without seeing the
    /// end of its statements.
    ///
    /// - Throws: ``RunSkipped`` while another execution of the job works, ``RunFailure`` if the wait was in vain.
    package func acquire() async throws {
        do {
            try await take()
        } catch let error as WarehouseError where error.code == .notFound && error.certainty == .notDone {
            throw error
        } catch let error where error is RunSkipped || error is RunFailure {
            throw error
        } catch {
            // The UPDATE may have come through without an answer. No work was begun, so nothing of it can be running; the UPDATE
            // itself can, and then the row is taken until its expiry.
            _ = try? await shielded { try await warehouse.query(statements.release(at: now())) }
            throw error
        }
    }

    /// Frees the lease, or keeps it for the ``grace`` if a statement may still be running. A lease that cannot be freed
    /// expires; that is a warning.
    ///
    /// - Parameter limit: How long it may take; `nil` for as long as the warehouse's retries take.
    package func release(within limit: Duration? = nil) async {
        let statement = watched.mayBeRunning ? keeping(statements.token) : statements.release(at: now())
        let subject = "lease of \(statements.jobs[0])"
        do {
            let result = try await shielded(within: limit) { try await warehouse.query(statement) }
            guard result.affectedRows == 0 else { return }
            report.fail(
                subject,
                "lost before the work was done, which may be missing in part: raise LEASE_SECONDS, run it again")
        } catch {
            report.warn(subject, "not released; it is held for \(validity.components.seconds) s: \(error)")
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
            if let other = held.first(where: isWorking) { throw RunSkipped("the lease of \(other.description)") }
            // Freed since the UPDATE, unless there is a first one.
            guard let first = held.first else { continue }
            if obstacle == nil { report.line("waiting: the lease of \(first.description)") }
            obstacle = first
            try await sleep(Self.pause)
        }
        throw RunFailure(
            operation: "lease of \(statements.jobs[0])",
            reason: "\(obstacle?.description ?? "it is taken all the time"); run it again")
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

/// A row of `job_leases` that somebody holds at the moment.
struct HeldLease: Sendable {
    let job: String
    /// `JOB EXECUTION/TASK/ATTEMPT`
    let holder: String
    let token: String
    /// `false` when the holder has ended, and the row only waits for a last statement of it that may still be running.
    let isWorking: Bool
    let expiry: Timestamp

    /// `nil` for a row that is free.
    init?(_ row: Row, at now: Timestamp) throws {
        guard let holder = try row.optionalString("holder"), let token = try row.optionalString("token"),
            try row.timestamp("expires_at") > now
        else { return nil }
        self.holder = holder
        self.token = token
        job = try row.string("job")
        isWorking = try row.optionalTimestamp("acquired_at") != nil
        expiry = try row.timestamp("expires_at")
    }

    /// Whether it is held by an execution of the same job as that holder.
    func isOfSameJob(as other: String) -> Bool {
        holder.prefix { $0 != " " } == other.prefix { $0 != " " }
    }

    /// Whether it is held by the task of the execution that the holder is another attempt of.
    func isOfSameTask(as other: String) -> Bool { Self.task(holder) == Self.task(other) }

    private static func task(_ holder: String) -> Substring {
        holder.lastIndex(of: "/").map { holder[..<$0] } ?? holder[...]
    }

    var description: String { "\(job) is held by \(holder), at the latest until \(expiry)" }
}

/// The statements of a lease on some jobs' rows in `scheduler_jobs.job_leases`.
struct LeaseStatements: Sendable {
    static let table = TableReference(DatasetID.schedulerJobs, "job_leases")!

    let jobs: [String]
    let holder: String
    let token: String

    /// Takes every row of all the jobs, or none. Sent twice, it takes them twice.
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

    /// Adds a free row for each of the jobs that has none.
    func seed(at now: Timestamp) -> Statement {
        Statement(
            "add the rows of the leases", Self.seedSQL,
            parameters: ["jobs": .strings(jobs), "now": .timestamp(now)])
    }

    /// Keeps the rows that were taken with that token, and no longer than until then: nobody works under them any more, but a
    /// statement may still be running.
    func keep(_ token: String, at now: Timestamp, until end: Timestamp) -> Statement {
        Statement(
            "keep the lease of \(jobs.joined(separator: " and "))", Self.keepSQL,
            parameters: [
                "jobs": .strings(jobs), "token": .string(token), "now": .timestamp(now), "until": .timestamp(end),
            ])
    }

    /// Frees the rows that were taken with this token.
    func release(at now: Timestamp) -> Statement {
        Statement(
            "release the lease of \(jobs.joined(separator: " and "))", Self.releaseSQL,
            parameters: ["jobs": .strings(jobs), "token": .string(token), "now": .timestamp(now)])
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
        UPDATE \(table.sql) SET holder = NULL, token = NULL, acquired_at = NULL, expires_at = @now, updated_at = @now
        WHERE job IN UNNEST(@jobs) AND token = @token
        """
}

/// A condition that holds while nobody else has taken the leases under which a statement is sent, so that a statement which BigQuery
/// begins late, after its execution died and its lease went to another one, does nothing.
package struct LeaseFence: Sendable {
    let jobs: [String]
    let token: String

    /// Needs ``parameters``.
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
    /// Who holds a lease: `EXECUTION/TASK/ATTEMPT`. Cloud Run begins an attempt when the one before has ended, so what an earlier
    /// attempt left behind is nobody's any more. Outside of Cloud Run every process is another.
    package var leaseHolder: String {
        execution.map { "\($0)/\(index)/\(attempt)" } ?? "local/\(UUID().uuidString.lowercased())/0"
    }
}
