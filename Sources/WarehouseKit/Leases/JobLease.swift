import FoundationEssentials
package import JobRuntime

/// Keeps executions of a job from overlapping: who holds the job's lease works, everyone else is skipped.
///
/// A job's row in `scheduler_jobs.job_leases` is taken by one conditional UPDATE, whose number of affected rows decides, and
/// freed by another that matches the token of this acquisition only. The clock is the machine's, since overlap is about real
/// time. The expiry is longer than a task can last, so nothing is renewed; a holder that was killed keeps others out until then,
/// except for the next attempt of its own task. Work under a lease must bear a lost one all the same: it is a set of
/// statements each of which may run twice.
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
package struct JobLease: Sendable {
    private let warehouse: MeteredWarehouse
    private let statements: LeaseStatements
    private let validity: Duration
    private let report: RunReport
    private let now: @Sendable () -> Timestamp

    /// - Parameters:
    ///   - others: Jobs that must not run at the same time either; their leases are taken along.
    ///   - holder: Who takes it. What the same holder left behind counts as free.
    package init(
        warehouse: any Warehouse, job: String, excluding others: [String] = [], holder: String, validity: Duration,
        report: RunReport, now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        statements = LeaseStatements(
            jobs: [job] + others, holder: holder, token: UUID().uuidString.lowercased())
        self.validity = validity
        self.report = report
        self.now = now
    }

    /// Does the work under the lease and releases it, also when the work throws or is cancelled.
    ///
    /// - Returns: `false` if someone else holds the lease: the work was not begun, and the report says skipped.
    @discardableResult
    package func withLease(_ work: () async throws -> Void) async throws -> Bool {
        guard try await isTaken() else { return false }
        do {
            try await work()
        } catch {
            await release()
            throw error
        }
        await release()
        return true
    }

    private func isTaken() async throws -> Bool {
        do {
            return try await acquire()
        } catch let error as WarehouseError where error.code == .notFound {
            throw error
        } catch {
            // The UPDATE may have come through without an answer.
            await release(isCertain: false)
            throw error
        }
    }

    private func acquire() async throws -> Bool {
        if try await take() { return true }
        var rows = try await warehouse.query(statements.read()).rows
        if Set(try rows.map { try $0.string("job") }).count < statements.jobs.count {
            _ = try await warehouse.query(statements.seed(at: now()))
            if try await take() { return true }
            rows = try await warehouse.query(statements.read()).rows
        }
        report.skip(try reason(rows))
        return false
    }

    private func take() async throws -> Bool {
        let instant = now()
        let result = try await warehouse.query(statements.take(at: instant, until: instant.adding(validity)))
        return result.affectedRows ?? 0 > 0
    }

    private func reason(_ rows: [Row]) throws -> String {
        guard let row = rows.first, let holder = try row.optionalString("holder") else {
            return "another execution was just running"
        }
        return
            "the lease of \(try row.string("job")) is held by \(holder), at the latest until \(try row.timestamp("expires_at"))"
    }

    /// Runs to its end even where the work was cancelled. Failing to release fails nothing: the lease expires.
    private func release(isCertain: Bool = true) async {
        let outcome = await Task.detached { () async -> Result<Int64, any Error> in
            do {
                return .success(try await warehouse.query(statements.release(at: now())).affectedRows ?? 0)
            } catch {
                return .failure(error)
            }
        }.value
        let job = statements.jobs[0]
        switch outcome {
        case .success(0) where isCertain:
            report.warn("lease of \(job)", "was taken over before the work was done; LEASE_SECONDS is too short")
        case .failure(let error) where isCertain:
            report.warn("lease of \(job)", "not released; it is held for \(validity.components.seconds) s: \(error)")
        default: return
        }
    }
}
