import SchemaKit
import Testing
import Warehouse
import WarehouseKit

@Suite struct OrganizationTests {
    @Test(arguments: [("", "acme_prod"), ("  ", "acme_prod"), ("Own_1", "Own_1"), ("\n own", "own"), ("own\n", "own")])
    func usesTheDatasetThatTheProfileNames(_ name: String, _ expected: String) throws {
        let organization = try #require(Organization(slug: "acme", datasetName: name))

        let (id, problem) = organization.dataset(in: .prod)

        #expect(id?.name == expected)
        #expect(problem == nil)
    }

    @Test(arguments: ["own-data", "a;drop", "../x", "`x`", "a.b", "ａcme", String(repeating: "x", count: 1025)])
    func usesTheStandardDatasetAndSaysSoWhereTheNameIsNone(_ name: String) throws {
        let organization = try #require(Organization(slug: "acme", datasetName: name))

        let (id, problem) = organization.dataset(in: .stage)

        #expect(id?.name == "acme_stage")
        #expect(problem?.contains("is not a dataset name; the job uses acme_stage") == true)
    }

    @Test(arguments: ["organizations", "Organizations", "scheduler_jobs", " organizations"])
    func neverUsesADatasetOfTheService(_ name: String) throws {
        let organization = try #require(Organization(slug: "acme", datasetName: name))

        let (id, problem) = organization.dataset(in: .test)

        #expect(id == nil)
        #expect(problem?.contains("one of the service's own datasets") == true)
    }
}
