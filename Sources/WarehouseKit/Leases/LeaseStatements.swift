import JobRuntime

/// The statements of a lease on some jobs' rows in `scheduler_jobs.job_leases`.
struct LeaseStatements: Sendable {
    static let table = TableReference(Catalog.operationsDataset, "job_leases")!

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
