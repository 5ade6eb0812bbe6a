import BigQueryWarehouse
import Foundation
import HTTPTransport
import JobRuntime
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

/// Warehouses in states that people have found them in, and what the run makes of them.
@Suite(.serialized) struct SchemaCaseTests {
    private static func catalog(_ tables: [String: String]) throws -> Catalog {
        try Catalog([
            .organization: tables.sorted { $0.key < $1.key }.map { name, text in
                CatalogFile(name: name, path: "\(name).json", contents: Data(text.utf8))
            }
        ])
    }

    private static func table(_ text: String) throws -> Table {
        try JSONDecoder().decode(Table.self, from: Data(text.utf8))
    }

    /// One organization whose dataset has the tables.
    private func fixture(_ backend: Backend, _ name: String, _ tables: [String: String]) async throws
        -> OrganizationFixture
    {
        let fixture = try await OrganizationFixture(
            try await backend.warehouse("schema-case-\(name)"), [.init("acme")])
        let dataset = try #require(DatasetID("acme_test"))
        _ = try await fixture.warehouse.createDataset(Dataset(id: dataset, location: "US"))
        for (name, text) in tables {
            let reference = try #require(TableReference(dataset, name))
            _ = try await fixture.warehouse.createTable(reference, try Self.table(text))
        }
        return fixture
    }

    private func wording(_ findings: [(subject: String, reason: String)]) -> [String] {
        findings.map { "\($0.subject): \($0.reason)" }
    }

    private static let options = (
        before: #"""
        {"schema": {"fields": [{"name": "d", "type": "TIMESTAMP", "description": "old"}]}, "description": "old",
         "timePartitioning": {"type": "DAY", "field": "d", "expirationMs": "3600000"}, "labels": {"a": "b"}}
        """#,
        wanted: #"""
        {"schema": {"fields": [{"name": "d", "type": "TIMESTAMP", "description": "new"}]}, "description": "new",
         "timePartitioning": {"type": "DAY", "field": "d", "expirationMs": "7776000000"}, "labels": {"a": "c"},
         "requirePartitionFilter": true}
        """#
    )

    /// Each difference of an option is a warning, in a run that reads nothing and in one that adds a column.
    @Test(arguments: Backend.allCases)
    func optionsOfATableAreReportedInEveryRun(_ backend: Backend) async throws {
        let fixture = try await fixture(backend, "options", ["t": Self.options.before])
        var wider = try Self.table(Self.options.wanted)
        wider.schema.fields.append(FieldSchema("x", "STRING"))
        let wide = String(decoding: try JSONEncoder().encode(wider), as: UTF8.self)

        let first = try await fixture.sync(catalog: Self.catalog(["t": Self.options.wanted]))
        let second = try await fixture.sync(catalog: Self.catalog(["t": wide]))
        let third = try await fixture.sync(catalog: Self.catalog(["t": wide]))

        let expected: Set = [
            "acme_test.t: the expiration of partitions is 0.041666666666666664 days, the catalog says 90 days",
            "acme_test.t: the partition filter is not required, the catalog says required",
            "acme_test.t: the description differs from the catalog's",
            "acme_test.t: the description of d differs from the catalog's",
            #"acme_test.t: the label a is "b", the catalog says "c""#,
        ]
        for report in [first, second, third] {
            #expect(Set(wording(report.warnings)) == expected)
            #expect(report.failures.isEmpty)
            #expect(report["notices"] == 5)
        }
        let inSync: [Int] = [first, second, third].map { $0["in_sync"] }
        #expect(inSync == [1, 0, 1])
        #expect(second["columns_added"] == 1)
    }

    /// Somebody who adds a policy tag to the catalog believes that the column is protected in every tenant.
    @Test(arguments: Backend.allCases)
    func aMissingPolicyTagAndAMissingDefaultAreReported(_ backend: Backend) async throws {
        let fixture = try await fixture(
            backend, "tags",
            [
                "t":
                    #"{"schema": {"fields": [{"name": "email", "type": "STRING"}, {"name": "ts", "type": "TIMESTAMP"}]}}"#
            ])
        let tag = "projects/p/locations/us/taxonomies/1/policyTags/2"
        let fields =
            #"{"name": "email", "type": "STRING", "policyTags": {"names": ["\#(tag)"]}}, "#
            + #"{"name": "ts", "type": "TIMESTAMP", "defaultValueExpression": "CURRENT_TIMESTAMP()"}"#

        let first = try await fixture.sync(catalog: Self.catalog(["t": #"{"schema": {"fields": [\#(fields)]}}"#]))
        let wide = #"{"schema": {"fields": [\#(fields), {"name": "new", "type": "STRING"}]}}"#
        let second = try await fixture.sync(catalog: Self.catalog(["t": wide]))

        for report in [first, second] {
            #expect(
                Set(wording(report.warnings)) == [
                    "acme_test.t: the policy tag of email is none, the catalog says \(tag)",
                    "acme_test.t: the default of ts is none, the catalog says CURRENT_TIMESTAMP()",
                ])
            #expect(report.failures.isEmpty)
        }
    }

    /// BigQuery adds no REQUIRED column and no default to an existing table. Every run says what is missing.
    @Test(arguments: Backend.allCases)
    func aRequiredColumnWithADefaultIsReportedAfterItWasAdded(_ backend: Backend) async throws {
        let fixture = try await fixture(
            backend, "default", ["t": #"{"schema": {"fields": [{"name": "x", "type": "STRING"}]}}"#])
        let catalog = try Self.catalog([
            "t": #"""
            {"schema": {"fields": [{"name": "x", "type": "STRING"},
              {"name": "ts", "type": "TIMESTAMP", "mode": "REQUIRED", "defaultValueExpression": "CURRENT_TIMESTAMP()"}]}}
            """#
        ])

        let first = try await fixture.sync(catalog: catalog)
        let second = try await fixture.sync(catalog: catalog)

        #expect(first["columns_added"] == 1)
        #expect(first.warnings.map(\.subject) == ["acme_test.t.ts"])
        #expect(
            Set(wording(second.warnings)) == [
                "acme_test.t: ts is NULLABLE, the catalog says REQUIRED",
                "acme_test.t: the default of ts is none, the catalog says CURRENT_TIMESTAMP()",
            ])
        #expect(second["in_sync"] == 1)
    }

    /// The outcome is the same whether or not the run has another reason to read the table.
    @Test(arguments: Backend.allCases)
    func aModeWithinARecordIsAConflictInEveryRun(_ backend: Backend) async throws {
        func record(_ mode: String) -> String {
            #"{"name": "s", "type": "RECORD", "fields": [{"name": "a", "type": "STRING", "mode": "\#(mode)"}]}"#
        }
        let fixture = try await fixture(
            backend, "mode", ["t": #"{"schema": {"fields": [\#(record("REQUIRED"))]}}"#])
        let catalog = try Self.catalog(["t": #"{"schema": {"fields": [\#(record("NULLABLE"))]}}"#])
        let wider = try Self.catalog([
            "t": #"{"schema": {"fields": [\#(record("NULLABLE")), {"name": "z", "type": "STRING"}]}}"#
        ])

        let first = try await fixture.sync(catalog: catalog)
        let second = try await fixture.sync(catalog: wider)
        let third = try await fixture.sync(catalog: wider)

        for report in [first, second, third] {
            #expect(report.failures.map(\.subject) == ["acme_test.t"])
            #expect(
                report.failures.first?.reason
                    == "s.a is REQUIRED, the catalog says NULLABLE; it was left as it is")
            #expect(report["in_sync"] == 0)
        }
        #expect(second["columns_added"] == 1)
    }

    @Test(arguments: Backend.allCases)
    func rangesOfAnotherFieldAreAConflict(_ backend: Backend) async throws {
        func table(_ field: String, by interval: Int) -> String {
            #"""
            {"schema": {"fields": [{"name": "customer_id", "type": "INTEGER"}, {"name": "shard", "type": "INTEGER"}]},
             "rangePartitioning": {"field": "\#(field)", "range": {"start": "0", "end": "100", "interval": "\#(interval)"}}}
            """#
        }
        let fixture = try await fixture(backend, "range", ["t": table("shard", by: 1)])

        let report = try await fixture.sync(catalog: Self.catalog(["t": table("customer_id", by: 10)]))

        #expect(
            report.failures.first?.reason
                == "partitioning is ranges of shard from 0 to 100 by 1, the catalog says ranges of customer_id from 0 to 100 by 10; it was left as it is"
        )
    }

    /// A scale of 0 is the scale of a NUMERIC that states none.
    @Test(arguments: Backend.allCases)
    func twoSpellingsOfOneTypeAgree(_ backend: Backend) async throws {
        func table(_ scale: String) -> String {
            #"{"schema": {"fields": [{"name": "n", "type": "NUMERIC", "precision": "10"\#(scale)}]}}"#
        }
        let fixture = try await fixture(backend, "scale", ["t": table("")])

        let report = try await fixture.sync(catalog: Self.catalog(["t": table(#", "scale": "0""#)]))

        #expect(report["in_sync"] == 1)
        #expect(report.failures.isEmpty && report.warnings.isEmpty)
    }

    private static let layouts = [
        "ing": #"{"schema": {"fields": [{"name": "a", "type": "STRING"}]}, "timePartitioning": {"type": "DAY"}}"#,
        "plain": #"{"schema": {"fields": [{"name": "a", "type": "STRING"}, {"name": "d", "type": "DATE"}]}}"#,
        "rec": #"""
        {"schema": {"fields": [{"name": "s", "type": "RECORD", "mode": "REPEATED", "description": "a list", "fields": [
          {"name": "a", "type": "STRING", "mode": "REQUIRED", "description": "NOT NULL, (b)"}]}]}}
        """#,
        "rng": #"""
        {"schema": {"fields": [{"name": "k", "type": "INTEGER"}]},
         "rangePartitioning": {"field": "k", "range": {"start": "0", "end": "100", "interval": "10"}}}
        """#,
        "hour": #"""
        {"schema": {"fields": [{"name": "t", "type": "TIMESTAMP"}]}, "timePartitioning": {"type": "HOUR", "field": "t"}}
        """#,
    ]

    @Test func tablesThatAgreeCostNoRequestWhateverTheirPartitioningAndFields() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "schema-case-requests")
        let fixture = try await OrganizationFixture(bigQuery.warehouse, (0..<5).map { .init("org_\($0)") })
        let catalog = try Self.catalog(Self.layouts)

        let first = try await fixture.sync(catalog: catalog)
        let before = try await bigQuery.requests
        let second = try await fixture.sync(catalog: catalog)

        #expect(first["tables_created"] == 25)
        #expect(second["in_sync"] == 5)
        #expect(second.warnings.isEmpty && second.failures.isEmpty)
        #expect(try await bigQuery.requests - before == 2)
    }

    private func post(_ path: String, _ body: String, to bigQuery: EmulatedBigQuery) async throws {
        let url = "\(bigQuery.emulator.url)/bigquery/v2/projects/\(bigQuery.project)\(path)"
        let response = try await CurlTransport().send(
            HTTPRequest(
                .post, url, headers: ["Content-Type": "application/json"], body: Data(body.utf8)))
        #expect(response.status == 200)
    }

    /// BigQuery gives new tables of such a dataset an expiration, and deletes them with their rows.
    @Test func aDatasetThatDeletesItsTablesIsReported() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "schema-case-expires")
        let fixture = try await OrganizationFixture(bigQuery.warehouse, (0..<4).map { .init("org_\($0)") })
        for number in 0..<4 {
            try await post(
                "/datasets",
                #"""
                {"datasetReference": {"datasetId": "org_\#(number)_test"}, "location": "US",
                 "defaultTableExpirationMs": "3600000", "defaultPartitionExpirationMs": "86400000"}
                """#, to: bigQuery)
        }
        let catalog = try Self.catalog([
            "t":
                #"{"schema": {"fields": [{"name": "d", "type": "DATE"}]}, "timePartitioning": {"type": "DAY", "field": "d"}}"#
        ])

        let first = try await fixture.sync(catalog: catalog)
        let second = try await fixture.sync(catalog: catalog)

        for report in [first, second] {
            let warnings = wording(report.warnings).filter { $0.hasPrefix("datasets:") }
            #expect(
                Set(warnings) == [
                    "datasets: BigQuery deletes its tables 0.041666666666666664 days after their creation, by default, in 4 datasets (org_0_test, org_1_test, org_2_test ...)",
                    "datasets: BigQuery deletes its partitions 1 days after their creation, by default, in 4 datasets (org_0_test, org_1_test, org_2_test ...)",
                ])
        }
    }

    /// A tenant's dataset may lie in another location than the others. It is created, compared and evolved there.
    @Test func aTenantInAnotherLocationIsServedThere() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "schema-case-regions")
        let fixture = try await OrganizationFixture(
            bigQuery.warehouse, [.init("home"), .init("eu_new"), .init("eu_old"), .init("paris")])
        let old = #"{"schema": {"fields": [{"name": "x", "type": "STRING"}]}}"#
        for (name, location) in [("eu_new", "EU"), ("eu_old", "EU"), ("paris", "europe-west9")] {
            try await post(
                "/datasets", #"{"datasetReference": {"datasetId": "\#(name)_test"}, "location": "\#(location)"}"#,
                to: bigQuery)
        }
        for name in ["eu_old", "paris"] {
            let dataset = try #require(DatasetID("\(name)_test"))
            let reference = try #require(TableReference(dataset, "t"))
            _ = try await bigQuery.warehouse.createTable(reference, try Self.table(old))
        }
        let names = (0..<20).map { "t\($0)" } + ["t"]
        let wide = #"{"schema": {"fields": [{"name": "x", "type": "STRING"}, {"name": "y", "type": "DATE"}]}}"#
        let catalog = try Self.catalog(Dictionary(uniqueKeysWithValues: names.map { ($0, wide) }))

        let dry = try await fixture.sync(catalog: catalog, isDryRun: true)
        let first = try await fixture.sync(catalog: catalog)
        let before = try await bigQuery.requests
        let second = try await fixture.sync(catalog: catalog)

        #expect(dry.failures.isEmpty && first.failures.isEmpty && second.failures.isEmpty)
        #expect(!dry.output.contains("eu_old_test: would create dataset"))
        for report in [dry, first] {
            #expect(report["datasets_created"] == 1)
            #expect(report["columns_added"] == 2)
            #expect(report["tables_created"] == 4 * 21 - 2)
        }
        #expect(second["organizations"] == 4)
        #expect(second["in_sync"] == 4)
        // The organizations, three locations, and where the three datasets that the first does not show are.
        #expect(try await bigQuery.requests - before == 7)
    }

    /// A column that BigQuery adds otherwise than the catalog says is one warning, however many tenants get it.
    @Test(arguments: Backend.allCases)
    func aSharedRelaxationIsOneLine(_ backend: Backend) async throws {
        let fixture = try await OrganizationFixture(
            try await backend.warehouse("schema-case-relaxed"), (0..<4).map { .init("org_\($0)") })
        let narrow = #"{"schema": {"fields": [{"name": "x", "type": "STRING"}]}}"#
        let wide =
            #"{"schema": {"fields": [{"name": "x", "type": "STRING"}, {"name": "y", "type": "DATE", "mode": "REQUIRED"}]}}"#
        try await fixture.sync(catalog: Self.catalog(["t": narrow]))

        let report = try await fixture.sync(catalog: Self.catalog(["t": wide]))

        #expect(report.warnings.map(\.subject) == ["t.y"])
        #expect(report.warnings[0].reason.hasSuffix("in 4 datasets (org_0_test, org_1_test, org_2_test ...)"))
        #expect(report["columns_added"] == 4)
    }

    /// The run says once what it would do or did for many tenants alike.
    @Test func manyTenantsAlikeAreOneParagraph() async throws {
        let fixture = try await OrganizationFixture(
            try await Backend.embedded.warehouse("schema-case-alike"), (10..<40).map { .init("org_\($0)") })
        let catalog = try Self.catalog([
            "t": #"{"schema": {"fields": [{"name": "x", "type": "STRING"}]}}"#,
            "u": #"{"schema": {"fields": [{"name": "x", "type": "STRING"}]}}"#,
        ])
        let odd = try #require(DatasetID("org_20_test"))
        _ = try await fixture.warehouse.createDataset(Dataset(id: odd, location: "US"))

        let dry = try await fixture.sync(catalog: catalog, isDryRun: true)
        let run = try await fixture.sync(catalog: catalog)

        #expect(
            dry.output.split(separator: "\n").map(String.init) == [
                "Plan: 30 datasets would change.",
                "  29 datasets (org_10_test, org_11_test, org_12_test ...)",
                "    + dataset in US with 2 tables",
                "  1 dataset (org_20_test)", "    + table t", "    + table u",
                "Requests: about 64.", "Not reversible: a new table or dataset can only be deleted.",
                "Digest: cf07e90e",
                "Apply:  ./scripts/run-job.sh test org-sync-all -- --approve cf07e90e",
            ])
        #expect(
            run.output.split(separator: "\n").map(String.init) == [
                "organization  dataset                                    done",
                "29            org_10_test, org_11_test, org_12_test ...  dataset created, 2 tables created",
                "org_20        org_20_test                                2 tables created",
            ])
    }

    /// A difference that tenants share is one line, however many they are.
    @Test func aSharedDifferenceIsOneLine() async throws {
        let fixture = try await OrganizationFixture(
            try await Backend.emulator.warehouse("schema-case-shared"), (0..<5).map { .init("org_\($0)") })
        let plain = #"{"schema": {"fields": [{"name": "d", "type": "DATE"}]}}"#
        let partitioned =
            #"{"schema": {"fields": [{"name": "d", "type": "DATE"}]}, "timePartitioning": {"type": "DAY", "field": "d"}}"#
        try await fixture.sync(catalog: Self.catalog(["t": plain, "u": plain]))

        let report = try await fixture.sync(catalog: Self.catalog(["t": partitioned, "u": partitioned]))

        let sentence =
            "partitioning is none, the catalog says DAY of d, in 5 datasets (org_0_test, org_1_test, org_2_test ...); "
            + "they were left as they are"
        #expect(wording(report.failures) == ["t: \(sentence)", "u: \(sentence)"])
        #expect(report["conflicts"] == 10)
        #expect(report["in_sync"] == 0)
    }
}
