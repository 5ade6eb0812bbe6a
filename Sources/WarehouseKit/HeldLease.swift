import JobRuntime
import Warehouse

/// A row of `job_leases` that is held at the moment.
struct HeldLease: Sendable {
    let job: String
    /// `JOB EXECUTION/TASK/ATTEMPT`
    let holder: String
    let token: String
    /// `false` if the holder has ended, and the row is kept only for a statement that may still be running.
    let isWorking: Bool
    let expiry: Timestamp

    private let acquired: Timestamp?

    /// `nil` for a row that is free.
    init?(_ row: Row, at now: Timestamp) throws {
        guard let holder = try row.optionalString("holder"), try row.timestamp("expires_at") > now else { return nil }
        self.holder = holder
        token = try row.optionalString("token") ?? ""
        job = try row.string("job")
        acquired = try row.optionalTimestamp("acquired_at")
        isWorking = acquired != nil
        expiry = try row.timestamp("expires_at")
    }

    /// The problem of a row that no acquisition can have left behind, and the command that frees it; `nil` if nothing is.
    ///
    /// A lease is never renewed, so no holder has had one of this job for longer than a lease of this job lasts. The times
    /// allow for clocks that differ by the grace.
    func fault(at now: Timestamp, for other: String, validity: Duration) -> String? {
        let ahead = now.adding(JobLease.grace)
        let fault: String? =
            if token.isEmpty {
                "has no token"
            } else if !hasHolder {
                "is held by \(quoted(holder)), which is not JOB EXECUTION/TASK/ATTEMPT"
            } else if let acquired, acquired > ahead {
                "was acquired at \(acquired), which is to come"
            } else if expiry > (acquired ?? now).adding(JobLease.longestValidity).adding(JobLease.grace) {
                "lasts until \(expiry), which is longer than any lease"
            } else if !isWorking, expiry > ahead.adding(JobLease.grace) {
                "is kept until \(expiry), although its holder has ended"
            } else if let acquired, isOfSameJob(as: other), acquired.adding(validity).adding(JobLease.grace) < now {
                "has been held by \(holder) since \(acquired), which is longer than the \(validity.components.seconds) s of "
                    + "LEASE_SECONDS"
            } else {
                nil
            }
        return fault.map {
            "the lease of \(job) \($0). If no execution of \(job) is running, free it: bq query --use_legacy_sql=false "
                + "\"UPDATE scheduler_jobs.job_leases SET holder = NULL, token = NULL, acquired_at = NULL, "
                + "expires_at = CURRENT_TIMESTAMP(), updated_at = CURRENT_TIMESTAMP() WHERE job = '\(job)'\""
        }
    }

    private var hasHolder: Bool {
        let parts = holder.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty }
    }

    /// Whether an execution of the same job holds the row.
    func isOfSameJob(as other: String) -> Bool {
        holder.prefix { $0 != " " } == other.prefix { $0 != " " }
    }

    /// Whether an attempt of the same task holds the row.
    func isOfSameTask(as other: String) -> Bool { Self.task(holder) == Self.task(other) }

    private static func task(_ holder: String) -> Substring {
        holder.lastIndex(of: "/").map { holder[..<$0] } ?? holder[...]
    }

    var description: String { "\(job) is held by \(holder), at the latest until \(expiry)" }
}
