import Testing

@testable import JobRuntime

@Suite struct CloudRunTaskTests {
    @Test func everyKeyBelongsToExactlyOneTask() {
        let tasks = (0..<7).map { CloudRunTask(index: $0, count: 7) }
        var shares = [Int](repeating: 0, count: 7)
        for key in (0..<7000).map({ "org-\($0)" }) {
            let owners = tasks.filter { $0.isMine(key) }
            #expect(owners.count == 1)
            shares[owners[0].index] += 1
        }
        #expect(shares.allSatisfy { (800...1200).contains($0) }, "\(shares)")
    }

    @Test func aSingleTaskOwnsEverything() {
        #expect(["", "acme", "ü"].allSatisfy(CloudRunTask().isMine))
    }

    // Published test vectors: http://www.isthe.com/chongo/tech/comp/fnv/
    @Test(
        arguments: [
            ("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8),
        ] as [(String, UInt64)])
    func theHashIsFNV1a(key: String, hash: UInt64) {
        #expect(CloudRunTask.stableHash(key) == hash)
    }

    @Test func readsWhatCloudRunSets() {
        var reader = EnvironmentReader([
            "CLOUD_RUN_JOB": "cloudact-trial", "CLOUD_RUN_EXECUTION": "cloudact-trial-x", "CLOUD_RUN_TASK_INDEX": "3",
            "CLOUD_RUN_TASK_COUNT": "4", "CLOUD_RUN_TASK_ATTEMPT": "2",
        ])
        let task = CloudRunTask(reading: &reader)
        #expect(reader.problems.isEmpty)
        #expect((task.job, task.execution) == ("cloudact-trial", "cloudact-trial-x"))
        #expect((task.index, task.count, task.attempt) == (3, 4, 2))
    }

    @Test(arguments: [
        ["CLOUD_RUN_TASK_INDEX": "1"], ["CLOUD_RUN_TASK_INDEX": "-1"], ["CLOUD_RUN_TASK_COUNT": "0"],
        ["CLOUD_RUN_TASK_ATTEMPT": "first"], ["CLOUD_RUN_TASK_INDEX": "4", "CLOUD_RUN_TASK_COUNT": "4"],
        ["CLOUD_RUN_TASK_INDEX": "4", "CLOUD_RUN_TASK_COUNT": "x"],
    ])
    func refusesWhatDoesNotFit(environment: [String: String]) {
        var reader = EnvironmentReader(environment)
        _ = CloudRunTask(reading: &reader)
        #expect(reader.problems.count == 1)
    }
}
