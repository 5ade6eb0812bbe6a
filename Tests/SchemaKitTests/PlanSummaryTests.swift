import Foundation
import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import SchemaKit
@testable import Warehouse

/// The texts of dry runs, as a person reads them in a terminal of 100 columns. `RECORD_GOLDEN_FILES=1` writes them anew.
@Suite struct PlanSummaryTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Plans")
    private static let tables = (1...19).map { number in
        NamedTable("table_\(number)", Table(fields: (1...8).map { FieldSchema("column_\($0)", "STRING") }))
    }

    private static func plan(
        new tables: [NamedTable] = [], adding columns: [String: [String]] = [:], isNew: Bool = false,
        isFilled: Bool = false
    ) -> SchemaPlan {
        var plan = SchemaPlan(dataset: Dataset(id: DatasetID("x_prod")!, location: "US"))
        plan.createsDataset = isNew
        plan.fillsDataset = isFilled
        plan.newTables = tables
        for (name, added) in columns.sorted(by: { $0.key < $1.key }) {
            guard let table = Self.tables.first(where: { $0.name == name }) else { continue }
            var short = table.table
            short.schema.fields.removeAll { added.contains($0.name) }
            plan.additions.append(
                TableAddition(table: table, diff: SchemaDiff(expected: table.table, actual: short), etag: "1"))
        }
        return plan
    }

    private static func names(_ numbers: ClosedRange<Int>) -> [DatasetID] {
        numbers.map { DatasetID("org_\(100_000 + $0)_prod")! }
    }

    private static func summary(
        _ groups: [(SchemaPlan, ClosedRange<Int>)], job: String = "org-sync-all", tasks: Int = 1
    ) -> PlanSummary {
        var summary = PlanSummary(
            groups: groups.map { (PlanSummary.Shape($0, byScript: true), names($1)) }, catalog: "3f9a1c07",
            tables: tables,
            command: RunCommand(job: job, environment: "prod"))
        let budgets = RequestBudgets(taskCount: tasks, time: LeapingClock().time)
        summary.leastTime = budgets.leastTime
        return summary
    }

    /// A new table brings its key and tags with it; a new column brings its policy tags.
    @Test func namesPermissionsThatTheJobLacks() throws {
        let tag = JSONValue.object(["names": .array([.string("projects/p/locations/us/taxonomies/1/policyTags/2")])])
        var guarded = Table(fields: [
            FieldSchema("name", "STRING"), FieldSchema("email", "STRING", attributes: ["policyTags": tag]),
        ])
        guarded.attributes["resourceTags"] = .object(["p/env": .string("prod")])
        guarded.attributes["encryptionConfiguration"] = .object(["kmsKeyName": .string("k")])
        let table = NamedTable("people", guarded)
        func warnings(_ edit: (inout SchemaPlan) -> Void) -> [String] {
            var plan = SchemaPlan(dataset: Dataset(id: DatasetID("x_prod")!, location: "US"))
            edit(&plan)
            var summary = PlanSummary(
                groups: [(PlanSummary.Shape(plan, byScript: true), Self.names(1...2))], catalog: "3f9a1c07",
                command: RunCommand(job: "org-sync-all", environment: "prod"))
            summary.tables = [table]
            return summary.warnings.map { String($0.prefix { $0 != "," }) }
        }
        func adding(_ column: String) -> [String] {
            warnings { plan in
                var short = guarded
                short.schema.fields.removeAll { $0.name == column }
                plan.additions = [
                    TableAddition(table: table, diff: SchemaDiff(expected: guarded, actual: short), etag: "1")
                ]
            }
        }

        let tags = "people: its policy tags need bigquery.tables.setCategory"
        #expect(
            warnings { $0.newTables = [table] } == [
                tags, "people: its resource tags need bigquery.tables.createTagBinding",
                "people: its key needs roles/cloudkms.cryptoKeyEncrypterDecrypter for BigQuery's agent",
            ])
        #expect(adding("email") == [tags])
        #expect(adding("name") == [])
    }

    private static let fiveStates: [(SchemaPlan, ClosedRange<Int>)] = [
        (plan(adding: ["table_1": ["column_8"]]), 1...60_000),
        (
            plan(adding: ["table_1": ["column_8"], "table_2": ["column_4", "column_5", "column_6", "column_7"]]),
            60_001...80_000
        ),
        (plan(new: tables, isNew: true), 80_001...90_000),
        (plan(new: Array(tables[2...6])), 90_001...99_999),
        (plan(adding: Dictionary(uniqueKeysWithValues: tables.map { ($0.name, ["column_8"]) })), 100_000...100_000),
    ]

    private static func cases() -> [String: PlanSummary] {
        var suspicious = summary([(plan(adding: ["table_1": ["column_8"]]), 1...1_000)])
        suspicious.lookalikes = [ChangeKind(table: "table_1", .addColumn("column_8", type: "STRING")): "columns_8"]
        var partly = summary([
            (plan(adding: ["table_1": ["column_8"]]), 1...10), (plan(adding: ["table_3": ["column_8"]]), 11...12),
        ])
        partly.approval = Approval(
            of: [
                PlanDigest(
                    catalog: "3f9a1c07", kinds: [ChangeKind(table: "table_1", .addColumn("column_8", type: "STRING"))])
            ], isRequired: true)
        partly.approval.catalog = "3f9a1c07"
        return [
            "five-states": summary(fiveStates), "new-tenants": summary([(plan(new: tables, isNew: true), 1...1_000)]),
            "nothing": summary([]), "misspelled": suspicious, "partly-approved": partly,
            "eight-states": summary(
                (1...8).map { (plan(adding: ["table_\($0)": ["column_8"]]), $0 * 10...$0 * 10 + 10 - $0) }),
            "bootstrap": summary([(plan(new: tables, isFilled: true), 1...1)], job: "bootstrap"),
        ]
    }

    @Test func plansAreTheGoldenFiles() throws {
        let texts = Self.cases().mapValues { $0.lines.joined(separator: "\n") + "\n" }
        if ProcessInfo.processInfo.environment["RECORD_GOLDEN_FILES"] != nil {
            try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
            for (name, text) in texts {
                try text.write(to: Self.folder.appending(path: "\(name).txt"), atomically: true, encoding: .utf8)
            }
            Issue.record("golden files were written; run again without RECORD_GOLDEN_FILES")
        }
        for (name, text) in texts {
            let golden = try String(contentsOf: Self.folder.appending(path: "\(name).txt"), encoding: .utf8)
            #expect(text == golden, "\(name)")
        }
    }

    @Test func aHundredThousandTenantsInFiveStatesAreOneScreen() {
        let summary = Self.summary(Self.fiveStates)

        #expect(summary.lines.count <= 25)
        // The digest is as long as the number of kinds.
        for line in summary.lines where !line.hasPrefix("Digest:") && !line.hasPrefix("Apply:") {
            #expect(line.count <= 100, "\(line)")
        }
    }

    @Test func theSlowestMethodDecidesHowLongItTakesForHoweverManyTasks() {
        let one = Self.summary([(Self.plan(adding: ["table_1": ["column_8"]]), 1...60_000)])
        let share = Self.summary([(Self.plan(adding: ["table_1": ["column_8"]]), 1...15_000)], tasks: 4)

        #expect(one.requests.total == 120_004)
        #expect(one.leastTime(one.requests) == .seconds(600))
        #expect(share.leastTime(share.requests) == .seconds(600))
    }

    @Test func theJSONNamesEveryDatasetAndEveryChange() {
        let groups = Self.summary(Self.fiveStates).json.object?["groups"]?.array ?? []

        let names = groups.flatMap { $0.object?["names"]?.array ?? [] }
        #expect(names.count == 100_000)
        #expect(groups.contains { $0.object?["changes"]?.array?.count == 20 })
        #expect(groups.contains { $0.object?["changes"]?.array?.count == 19 })
    }
}
