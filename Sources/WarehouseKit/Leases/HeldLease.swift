import JobRuntime

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
