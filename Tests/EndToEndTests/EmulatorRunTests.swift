import Foundation
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite(.timeLimit(.minutes(30))) struct EmulatorRunTests {
    /// Its datasets would be missing on another one.
    @Test func aProjectStaysOnItsEmulator() async throws {
        let first = try await EmulatorProcess.shared(by: "a-project-that-stays")
        for number in 1...4 { _ = try await EmulatorProcess.shared(by: "a-project-between-\(number)") }

        let second = try await EmulatorProcess.shared(by: "a-project-that-stays")

        #expect(first === second)
    }

    @Test func bootstrapCreatesEverythingTogetherAndThenRests() async throws {
        let stage = try await EmulatorStage.shared

        let (created, creations) = try await stage.counting(.bootstrap)
        let state = try await stage.state()
        let (again, requests) = try await stage.counting(.bootstrap)

        let first = try created.succeeded()
        #expect(first.counts["datasets_created"] == 2)
        #expect(first.counts["tables_created"] == 28)
        #expect(creations.peakInFlight > 8)
        let second = try again.succeeded()
        #expect(second.counts["in_sync"] == 28)
        #expect(second.changes == 0)
        #expect(requests.total <= 6)
        #expect(try await stage.state() == state)
        #expect(state.count == 30)
    }

    @Test func syncAddsColumnsToTheMetaTables() async throws {
        let stage = try await EmulatorStage.shared
        let catalog = try CatalogCopy()
        try catalog.changeFields(of: "organizations/org_profiles") {
            $0.append([
                "name": "address", "type": "RECORD", "mode": "REPEATED", "description": "Where it is",
                "fields": [["name": "city", "type": "STRING", "mode": "NULLABLE", "description": "A city"]],
            ])
        }
        try catalog.addColumn("rank", "INTEGER", mode: "REQUIRED", to: "organizations/org_profiles")
        let tooEarly = try await stage.run(.bootstrapSync, with: catalog.variables).failed()
        _ = try await stage.run(.bootstrap).succeeded()

        let reported = try await stage.run(.bootstrap, with: catalog.variables).succeeded()
        let first = try await stage.run(.bootstrapSync, with: catalog.variables).succeeded()
        let second = try await stage.run(.bootstrapSync, with: catalog.variables).succeeded()

        #expect(tooEarly.failures.allSatisfy { $0.reason == "the dataset does not exist: run bootstrap first" })
        #expect(tooEarly.failures.count == 2)
        #expect(reported.warnings.first?.reason == "lacks address, rank: run bootstrap-sync to add them")
        #expect(first.counts["columns_added"] == 2)
        #expect(first.warnings.map(\.subject) == ["organizations.org_profiles.rank"])
        #expect(second.changes == 0)
        let fields = try await stage.table("organizations", "org_profiles")?.schema.fields.suffix(2) ?? []
        #expect(fields.map(\.name) == ["address", "rank"])
        #expect(fields.map(\.mode) == [.repeated, .nullable])
        #expect(fields.first?.fields.first?.description == "A city")
    }

    @Test func conflictsAndHostileOrganizationsDoNotStopTheOthers() async throws {
        let stage = try await EmulatorStage.shared
        let (old, new) = (try CatalogCopy(organizationTables: 2), try CatalogCopy(organizationTables: 2))
        let table = try old.tables("organization")[0]
        try old.addColumn("mood", "INTEGER", to: "organization/\(table)")
        try new.addColumn("mood", "STRING", to: "organization/\(table)")
        try await stage.prepare(["acme"], with: old.variables)
        _ = try await stage.run(.orgSyncAll, with: old.variables).succeeded()
        try await stage.add(["a;drop", "../x", "`a`", "", "аcme", "zeta", "zeta"])

        let summary = try await stage.run(.orgSyncAll, with: new.variables).failed()

        #expect(summary.failures.count == 6)
        #expect(summary.failures.filter { $0.reason.contains("not a valid slug") }.count == 5)
        #expect(
            summary.failures.contains { $0.subject == "acme_test.\(table)" && $0.reason.hasPrefix("mood is INT64") })
        #expect(summary.counts["datasets_created"] == 1)
        #expect(try await stage.tables(in: "zeta_test")?.count == 2)
    }

    @Test func filesThatBqShowPrintedAreCreatedOnceAndThenInSync() async throws {
        let stage = try await EmulatorStage.shared
        let catalog = try CatalogCopy(organizationTables: 0)
        let files = [
            "gcp_billing_bare", "ledger_table_with_expiration", "flexible_names", "customer_key", "schema_object",
        ]
        for file in files {
            let path = Repository.path("Tests/SchemaKitTests/TableFiles/\(file).json")
            try catalog.write(String(contentsOfFile: path, encoding: .utf8), to: "organization/\(file).json")
        }
        try await stage.prepare(["acme"], with: catalog.variables)

        let first = try await stage.run(.orgSyncAll, with: catalog.variables).succeeded()
        let state = try await stage.state()
        let second = try await stage.run(.orgSyncAll, with: catalog.variables).succeeded()

        #expect(first.counts["tables_created"] == files.count)
        #expect(second.counts["in_sync"] == 1)
        #expect(second.changes == 0)
        #expect(try await stage.state() == state)
    }

    @Test func aDryRunOnlyReads() async throws {
        let stage = try await EmulatorStage.shared
        let catalog = try CatalogCopy(organizationTables: 19)
        try await stage.prepare(["acme"], with: catalog.variables)
        let state = try await stage.state()

        let (outcome, requests) = try await stage.counting(.orgSyncAll, "--dry-run", with: catalog.variables)

        #expect(try outcome.succeeded().counts["tables_created"] == 19)
        // The profiles, the survey, and the dataset that the survey does not show.
        #expect(requests.total == 3)
        #expect(try await stage.state() == state)
    }
}
