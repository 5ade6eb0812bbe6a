import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// The datasets of the organizations, on both warehouses.
@Suite(.serialized) struct OrganizationTests {
    private struct Found: Equatable {
        var targets: [String: String] = [:]
        var problems: [String] = []
    }

    private func directory(_ backend: Backend, _ profiles: [(slug: String, dataset: String?)]) async throws -> Found {
        let warehouse = try await backend.warehouse("organization-tests")
        let reference = OrganizationDirectory.profiles
        _ = try await warehouse.createDataset(Dataset(id: reference.dataset, location: "US"))
        _ = try await warehouse.createTable(
            reference, Table(fields: ["org_slug", "org_dataset_id", "status"].map { FieldSchema($0, "STRING") }))
        _ = try await warehouse.query(Statement("empty the table", "DELETE FROM \(reference.sql) WHERE TRUE"))
        let rows = profiles.map { profile in
            SQLValue.structure([
                SQLValue.Field("slug", .string(profile.slug)),
                SQLValue.Field("dataset", profile.dataset.map { .string($0) } ?? .null(.string)),
            ])
        }
        _ = try await warehouse.query(
            Statement(
                "insert profiles",
                "INSERT INTO \(reference.sql) (org_slug, org_dataset_id, status) "
                    + "SELECT r.slug, r.dataset, 'ACTIVE' FROM UNNEST(@rows) AS r",
                parameters: ["rows": .array(of: rows[0].type, rows)]))
        let directory = OrganizationDirectory(environment: .prod)
        let census = try await directory.census(of: ["acme"], in: warehouse, location: "US")
        var found = Found(problems: census.problems.map(\.reason) + census.invalidSlugs.map { "invalid \($0)" })
        for row in try await warehouse.query(directory.targets()).rows {
            found.targets[try row.string("subject")] = try row.string("dataset")
        }
        #expect(census.organizations == Set(profiles.map(\.slug)).count)
        #expect(census.found.contains("acme") == profiles.contains { $0.slug == "acme" })
        return found
    }

    @Test(arguments: Backend.allCases)
    func usesTheDatasetThatTheProfileNames(_ backend: Backend) async throws {
        let found = try await directory(
            backend, [("a", ""), ("b", "  "), ("c", "Own_1"), ("d", "\n own"), ("e", "own_e\n"), ("f", nil)])

        #expect(
            found
                == Found(targets: [
                    "a": "a_prod", "b": "b_prod", "c": "Own_1", "d": "own", "e": "own_e", "f": "f_prod",
                ]))
    }

    @Test(arguments: Backend.allCases)
    func usesTheStandardDatasetAndSaysSoWhereTheNameIsNone(_ backend: Backend) async throws {
        let names = ["own-data", "a;drop", "../x", "`x`", "a.b", "ａcme", String(repeating: "x", count: 1025)]

        let found = try await directory(backend, names.enumerated().map { ("org_\($0)", $1) })

        #expect(
            found.targets == Dictionary(uniqueKeysWithValues: names.indices.map { ("org_\($0)", "org_\($0)_prod") }))
        #expect(found.problems.count == names.count)
        #expect(found.problems.allSatisfy { $0.contains("is not a dataset name; the job uses org_") })
    }

    @Test(arguments: Backend.allCases)
    func neverUsesADatasetOfTheServiceOrOfAnother(_ backend: Backend) async throws {
        let found = try await directory(
            backend,
            [
                ("a", "organizations"), ("b", "Organizations"), ("c", "scheduler_jobs"), ("d", " organizations"),
                ("acme", "shared"), ("zeta", "shared"), ("in;valid", ""),
            ])

        #expect(found.targets == ["acme": "shared"])
        #expect(found.problems.filter { $0.contains("one of the service's own datasets") }.count == 4)
        #expect(found.problems.contains("dataset shared is already that of acme"))
        #expect(found.problems.last == "invalid in;valid")
    }
}
