import FoundationEssentials
import TestSupport
import Testing
import Warehouse

@Suite struct EmulatorProcessTests {
    @Test func sharesOneEmulatorAndCountsByProject() async throws {
        let first = try await EmulatorProcess.shared
        let second = try await EmulatorProcess.shared

        let counts = try await second.requestCounts(project: "a-project-that-nobody-uses")

        #expect(first === second)
        #expect(counts.total == 0)
        #expect(counts.routes.isEmpty)
    }

    @Test func stopsWhenTold() async throws {
        let emulator = try await EmulatorProcess.start(delayMilliseconds: 1)
        try await emulator.resetRequestCounts()

        try await emulator.stop()

        await #expect(throws: (any Error).self) { try await emulator.requestCounts() }
    }
}

@Suite struct SQLAnalyzerTests {
    @Test func namesTheStatementsThatDoNotResolve() async throws {
        let resource = Data(
            #"{"schema": {"fields": [{"name": "org_slug", "type": "STRING", "mode": "REQUIRED"}]}}"#.utf8)
        let analyzer = SQLAnalyzer(tables: [
            try SQLAnalyzer.Table(dataset: "organizations", name: "org_profiles", resource: resource)
        ])

        let problems = try await analyzer.problems(in: [
            SQLAnalyzer.Statement(
                name: "good",
                sql: "SELECT org_slug FROM `p.organizations.org_profiles` WHERE org_slug IN UNNEST(@slugs)",
                parameters: ["slugs": "ARRAY<STRING>"]),
            SQLAnalyzer.Statement(name: "bad", sql: "SELECT slug FROM `organizations.org_profiles`"),
        ])

        #expect(problems.map(\.statement) == ["bad"])
        #expect(problems.first?.message.contains("Unrecognized name: slug") == true)
    }
}
