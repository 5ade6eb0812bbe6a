import Foundation
import TestSupport
import Testing

/// Holds the access that is deployed to what the jobs use, on an emulator that refuses everything else.
@Suite(.timeLimit(.minutes(30))) struct AccessTests {
    private static let path = "deploy/access.json"
    private static let isRecording = ProcessInfo.processInfo.environment["RECORD_GOLDEN_FILES"] != nil

    /// Both directions: a use that the list does not have, and an entry of the list that no job uses.
    @Test func everyJobDoesItsWorkWithTheAccessThatTheListHasAndUsesAllOfIt() async throws {
        let world = try await ServiceWorld()
        if Self.isRecording {
            try await world.runEveryJob {}
        } else {
            let access = try DeployedAccess(environment: "test")
            try await world.enforce(access.withoutTables)
            try await world.runEveryJob { try await world.enforce(access) }
        }

        let list = try Self.list(await world.stage.emulator.uses(of: world.stage.project))

        if Self.isRecording {
            try Data(list.utf8).write(to: URL(filePath: Repository.path(Self.path)))
            Issue.record("\(Self.path) was written; run again without RECORD_GOLDEN_FILES")
        }
        #expect(
            try list == String(contentsOfFile: Repository.path(Self.path), encoding: .utf8),
            "If the change is meant: scripts/record-access.sh")
    }

    /// One line for each place, so that a change can be read.
    private static func list(_ uses: Data) throws -> String {
        struct Use: Codable {
            var on: String
            var does: String
            var permissions: [String]
        }
        let jobs = try JSONDecoder().decode([String: [Use]].self, from: uses).sorted { $0.key < $1.key }
        let texts = jobs.map { job, uses in
            let lines = uses.map { use in
                let permissions = use.permissions.map { "\"\($0)\"" }.joined(separator: ", ")
                return "    {\"on\": \"\(use.on)\", \"does\": \"\(use.does)\", \"permissions\": [\(permissions)]}"
            }
            return "  \"\(job)\": [\n" + lines.joined(separator: ",\n") + "\n  ]"
        }
        return "{\n" + texts.joined(separator: ",\n") + "\n}\n"
    }
}
