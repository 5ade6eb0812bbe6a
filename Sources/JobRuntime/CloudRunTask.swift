/// Which task of which Cloud Run execution this process is; task 0 of 1 everywhere else.
package struct CloudRunTask: Sendable {
    package var job: String?
    package var execution: String?
    package var index: Int
    package var count: Int
    /// 0 on the first attempt.
    package var attempt: Int

    package init(job: String? = nil, execution: String? = nil, index: Int = 0, count: Int = 1, attempt: Int = 0) {
        self.job = job
        self.execution = execution
        self.index = index
        self.count = count
        self.attempt = attempt
    }

    init(reading environment: inout EnvironmentReader) {
        job = environment.optionalString("CLOUD_RUN_JOB", expected: "what Cloud Run sets it to")
        execution = environment.optionalString("CLOUD_RUN_EXECUTION", expected: "what Cloud Run sets it to")
        index = environment.integer("CLOUD_RUN_TASK_INDEX", default: 0, in: 0...9_999)
        count = environment.integer("CLOUD_RUN_TASK_COUNT", default: 1, in: 1...10_000)
        attempt = environment.integer("CLOUD_RUN_TASK_ATTEMPT", default: 0, in: 0...1_000)
        guard index >= count, !environment.hasProblem(with: ["CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"]) else {
            return
        }
        environment.note(
            problem:
                "CLOUD_RUN_TASK_INDEX=\(index) does not fit CLOUD_RUN_TASK_COUNT=\(count): tasks are numbered from 0")
    }

    /// Whether the item with this key belongs to this task. Over all tasks of an execution, every key belongs to
    /// exactly one, whatever the order or number of the other keys.
    package func isMine(_ key: String) -> Bool {
        Self.stableHash(key) % UInt64(count) == UInt64(index)
    }

    // FNV-1a, 64 bits. Swift's own hash differs from process to process.
    static func stableHash(_ key: String) -> UInt64 {
        key.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
