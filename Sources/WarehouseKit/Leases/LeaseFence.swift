import JobRuntime

/// A condition that holds while nobody else has taken the leases under which a statement is sent, so that a statement which BigQuery
/// begins late, after its execution died and its lease went to another one, does nothing.
package struct LeaseFence: Sendable {
    let jobs: [String]
    let token: String

    /// Needs ``parameters``.
    static let sql = """
        (SELECT COUNT(DISTINCT fence.job) FROM \(LeaseStatements.table.sql) AS fence
            WHERE fence.job IN UNNEST(@lease_jobs) AND fence.token = @lease_token) = @lease_job_count
        """

    var parameters: [SQLValue.Field] {
        [
            SQLValue.Field("lease_jobs", .strings(jobs)), SQLValue.Field("lease_token", .string(token)),
            SQLValue.Field("lease_job_count", .int64(Int64(jobs.count))),
        ]
    }
}
