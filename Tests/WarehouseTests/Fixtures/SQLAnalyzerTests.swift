import FoundationEssentials
import TestSupport
import Testing
import Warehouse

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
