import BigQueryWarehouse
import EmbeddedWarehouse
import Testing
import Warehouse
import WarehouseKit

@Suite struct IdentifierTests {
    private static let hostile = [
        "", " ", "a b", "a;drop", "../x", "a`b", "a'b", "a.b", "a-b", "a/b", "a%2Fb", "a\n", "аcme", "ａcme", "acmé",
        "a\u{200B}b", "\0",
    ]

    @Test(arguments: hostile)
    func refusesWhatCouldLeaveItsPlace(_ name: String) throws {
        let dataset = try #require(DatasetID("acme"))

        #expect(DatasetID(name) == nil)
        #expect(TableReference(dataset, name) == nil)
        #expect(ProjectID(name) == nil)
        #expect(!Organization.isValid(slug: name))
    }

    @Test func acceptsUpToTheLongestName() throws {
        let dataset = try #require(DatasetID("acme"))

        #expect(DatasetID(String(repeating: "a", count: 1024)) != nil)
        #expect(DatasetID(String(repeating: "a", count: 1025)) == nil)
        #expect(TableReference(dataset, String(repeating: "a", count: 1025)) == nil)
        #expect(Organization.isValid(slug: String(repeating: "a", count: 128)))
        #expect(!Organization.isValid(slug: String(repeating: "a", count: 129)))
    }

    @Test(arguments: ["abcdef", "a-b-c-1", "cloudact-testing-1", "a23456789012345678901234567890"])
    func acceptsProjects(_ name: String) {
        #expect(ProjectID(name)?.description == name)
    }

    @Test(arguments: [
        "abcde", "1abcdef", "abcdef-", "Abcdef", "abc_def", "-abcdef", "example.com:abc",
        "a234567890123456789012345678901",
    ])
    func refusesProjects(_ name: String) {
        #expect(ProjectID(name) == nil)
    }

    @Test func standsInStatementsWithinBackticks() throws {
        let dataset = try #require(DatasetID("acme_prod"))
        let reference = try #require(TableReference(dataset, "subscription_plans"))

        #expect(reference.sql == "`acme_prod.subscription_plans`")
        #expect(reference.description == "acme_prod.subscription_plans")
    }
}
