import ArgumentParser
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BootstrapJob
@testable import OrgSyncAllJob

@Suite struct JobSettingsTests {
    private static let project = ["GCP_PROJECT_ID": "acme-test-1"]

    @Test func readsTheBuiltInCatalog() {
        var reader = EnvironmentReader(Self.project)

        let settings = BootstrapJob.Settings(reading: &reader)

        #expect(reader.problems.isEmpty)
        #expect(settings.warehouse.environment == nil)
        #expect(settings.catalog.tables(.organizations).count == 21)
        #expect(settings.catalog.tables(.operations).count == 7)
    }

    @Test func needsAnEnvironmentForTheOrganizations() {
        var reader = EnvironmentReader(Self.project)

        _ = OrgSyncAllJob.Settings(reading: &reader)

        #expect(reader.problems.count == 1)
        #expect(reader.problems.first?.hasPrefix("ENVIRONMENT is not set") == true)
    }

    @Test(arguments: ["production", "PROD", "prod;", " test"])
    func refusesAnUnknownEnvironment(_ name: String) {
        var forBootstrap = EnvironmentReader(Self.project.merging(["ENVIRONMENT": name]) { $1 })
        var forSync = forBootstrap

        _ = BootstrapJob.Settings(reading: &forBootstrap)
        _ = OrgSyncAllJob.Settings(reading: &forSync)

        #expect(forBootstrap.problems.count == 1)
        #expect(forSync.problems == forBootstrap.problems)
    }

    @Test func namesEveryProblemOfAnotherCatalogBesideTheOthers() throws {
        let folder = try TemporaryFolder()
        var reader = EnvironmentReader(["CATALOG_DIR": folder.path])

        _ = BootstrapJob.Settings(reading: &reader)

        #expect(reader.problems.count == 3)
        #expect(reader.problems.filter { $0.hasPrefix("CATALOG_DIR: \(folder.path)/") }.count == 2)
    }

    @Test(arguments: [["a;drop"], ["ok", ""], ["../x"], ["ａcme"], [String(repeating: "x", count: 300)]])
    func refusesAHostileSlugOnTheCommandLine(_ slugs: [String]) {
        let arguments = slugs.flatMap { ["--org", $0] }

        let error = #expect(throws: (any Error).self) { try OrgSyncAllJob.Options.parse(arguments) }

        #expect(error.map { OrgSyncAllJob.Options.message(for: $0) }?.contains("is not a valid slug") == true)
    }

    @Test func takesSeveralOrganizations() throws {
        #expect(
            try OrgSyncAllJob.Options.parse(["--org", "acme", "--org", "globex"]).organizations.org == [
                "acme", "globex",
            ])
    }
}
