import EmbeddedWarehouse
import JobRuntime
import TestSupport
import Testing

@testable import Warehouse
@testable import WarehouseKit

@Suite struct RowRetentionTests {
    enum Kind: CaseIterable {
        case date, timestamp
    }

    private static let day = CivilDate("2026-01-31")!

    /// Rows of the last microsecond before the day, of its first one, and of no time at all.
    @Test(arguments: Backend.allCases, Kind.allCases)
    func deletesWhatIsOlderThanTheDayAndKeepsTheDay(_ backend: Backend, _ kind: Kind) async throws {
        let (warehouse, table) = try await prepared(backend, kind, "retention-boundary")
        let report = ReportFixture()

        try await RowRetention(of: table, warehouse: warehouse, report: report.report).deleteRows(before: Self.day)

        #expect(try await ids(warehouse) == ["first", "later", "never"])
        #expect(report["rows_deleted"] == 2)
        #expect(report.output == "retained.rows: 2 rows from before 2026-01-31 deleted\n")
    }

    @Test(arguments: Backend.allCases, Kind.allCases)
    func aDryRunSaysWhatItWouldDeleteAndDeletesNothing(_ backend: Backend, _ kind: Kind) async throws {
        let (warehouse, table) = try await prepared(backend, kind, "retention-dry")
        let report = ReportFixture()

        try await RowRetention(of: table, warehouse: warehouse, report: report.report, isDryRun: true)
            .deleteRows(before: Self.day)

        #expect(try await ids(warehouse).count == 5)
        #expect(report["rows_deleted"] == 2)
        #expect(report.output == "retained.rows: would delete 2 rows from before 2026-01-31\n")
    }

    @Test(arguments: Backend.allCases)
    func aSecondRunDeletesNothing(_ backend: Backend) async throws {
        let (warehouse, table) = try await prepared(backend, .timestamp, "retention-again")
        let report = ReportFixture()
        try await RowRetention(of: table, warehouse: warehouse, report: ReportFixture().report)
            .deleteRows(before: Self.day)

        try await RowRetention(of: table, warehouse: warehouse, report: report.report).deleteRows(before: Self.day)

        #expect(try await ids(warehouse) == ["first", "later", "never"])
        #expect(report["rows_deleted"] == 0)
    }

    @Test(arguments: Backend.allCases)
    func withoutItsTableItSaysToRunBootstrap(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("retention-nothing")

        let error = await #expect(throws: WarehouseError.self) {
            try await RowRetention(of: .usageQuotas, warehouse: warehouse, report: ReportFixture().report)
                .deleteRows(before: Self.day)
        }

        #expect(error?.code == .notFound)
        #expect(error?.description.contains("run bootstrap first") == true)
    }

    /// Each table is cleaned up by the column that it is partitioned by, so that whole partitions go.
    @Test(arguments: AgingTable.all.map(\.table.description))
    func everyTableIsCleanedUpByItsPartitionColumn(_ name: String) async throws {
        let warehouse = try await EmbeddedWarehouse(path: ":memory:").bootstrapped()
        let aging = try #require(AgingTable.all.first { $0.table.description == name })

        let table = try #require(try await warehouse.table(aging.table))

        guard aging.isPartitioned else {
            #expect(table.timePartitioning == nil)
            return
        }
        let column = try #require(table.timePartitioning?.field)
        let field = try #require(table.schema.fields.first { $0.name == column })
        switch aging.column {
        case .date(let name):
            #expect(name == column)
            #expect(field.canonicalType == "DATE")
        case .timestamp(let name):
            #expect(name == column)
            #expect(field.canonicalType == "TIMESTAMP")
        }
        #expect(table.timePartitioning?.type == "DAY")
    }

    @Test(arguments: AgingTable.all.map(\.table.description))
    func googleSQLAnalyzesTheStatementsOfEveryTable(_ name: String) async throws {
        let aging = try #require(AgingTable.all.first { $0.table.description == name })
        let statements = [aging.countStatement(before: Self.day), aging.deleteStatement(before: Self.day)]

        let problems = try await SQLAnalyzer.ofServiceTables().problems(in: statements.map { $0.forAnalysis() })

        #expect(problems.map(\.description) == [])
    }

    /// The last microsecond (or the day) before, and the first one of the day.
    @Test(arguments: Backend.allCases, AgingTable.all.map(\.table.description))
    func everyTableLosesItsOldRowsAndKeepsTheDay(_ backend: Backend, _ name: String) async throws {
        let aging = try #require(AgingTable.all.first { $0.table.description == name })
        let warehouse = try await backend.warehouse("aging-\(aging.table.table.replacing("_", with: "-"))")
            .bootstrapped()
        let (column, old, kept): (String, SQLValue, SQLValue) =
            switch aging.column {
            case .date(let name): (name, "2026-01-30", "2026-01-31")
            case .timestamp(let name): (name, "2026-01-30T23:59:59.999999Z", "2026-01-31T00:00:00Z")
            }
        let rows: [[String: SQLValue]] = [[column: old], [column: kept]]
        let isQueue = name == "scheduler_jobs.billing_sync_queue"
        try await warehouse.insert(into: name, isQueue ? rows.map { $0.merging(["status": "completed"]) { $1 } } : rows)

        try await RowRetention(of: aging, warehouse: warehouse, report: ReportFixture().report)
            .deleteRows(before: Self.day)

        let left = try await warehouse.rows(of: name)
        switch aging.column {
        case .date(let name): #expect(try left.map { try $0.date(name) } == [Self.day])
        case .timestamp(let name): #expect(try left.map { try $0.timestamp(name) } == [Timestamp(startOf: Self.day)])
        }
    }

    @Test(arguments: Backend.allCases)
    func anItemThatIsStillToBeDoneStays(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("retention-queue").bootstrapped()
        let words = ["completed", "failed", "pending", "processing"]
        try await warehouse.insert(
            into: "scheduler_jobs.billing_sync_queue",
            words.map { ["sync_id": .string($0), "status": .string($0), "updated_at": "2020-01-01T00:00:00Z"] })

        try await RowRetention(of: .billingQueue, warehouse: warehouse, report: ReportFixture().report)
            .deleteRows(before: Self.day)

        let left = try await warehouse.rows(of: "scheduler_jobs.billing_sync_queue", orderedBy: "sync_id")
        #expect(try left.map { try $0.string("status") } == ["failed", "pending", "processing"])
    }

    /// A lease is taken as before after its row was deleted, and a row that is held stays, whatever its age.
    @Test(arguments: Backend.allCases)
    func onlyFreeLeasesAreDeleted(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("retention-leases").bootstrapped()
        let old: SQLValue = "2020-01-01T00:00:00Z"
        try await warehouse.insert(
            into: "scheduler_jobs.job_leases",
            [
                ["job": "gone", "expires_at": old, "updated_at": old],
                [
                    "job": "held", "holder": "held one/0/0", "token": "t", "acquired_at": old,
                    "expires_at": "2999-01-01T00:00:00Z", "updated_at": old,
                ],
            ])

        try await RowRetention(of: .freeLeases, warehouse: warehouse, report: ReportFixture().report)
            .deleteRows(before: Self.day)

        let left = try await warehouse.leases()
        #expect(try left.map { try $0.string("job") } == ["held"])
        let lease = JobLease(warehouse, "gone", "two/0/0", clock: LeapingClock(), from: instant("2026-02-01T00:00:00Z"))
        #expect(try await lease.withLease {})
    }

    @Test(arguments: Backend.allCases)
    func theRunHistoryLosesItsOldRuns(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("retention-history").bootstrapped()
        try await warehouse.insert(
            into: "scheduler_jobs.job_runs",
            [
                ["job": "old", "started_at": "2026-01-30T23:59:59.999999Z", "failures": .strings([])],
                ["job": "new", "started_at": "2026-01-31T00:00:00Z", "failures": .strings(["acme: is gone"])],
            ])

        try await RowRetention(of: .runHistory, warehouse: warehouse, report: ReportFixture().report)
            .deleteRows(before: Self.day)

        #expect(try await warehouse.rows(of: "scheduler_jobs.job_runs").map { try $0.string("job") } == ["new"])
    }

    @Test func keepsTheLeaseContract() async throws {
        let warehouse = try await EmbeddedWarehouse(path: ":memory:").bootstrapped()
        let contract = LeaseContract(job: "any-cleanup") { warehouse, _, report in
            try await RowRetention(of: .runHistory, warehouse: warehouse, report: report).deleteRows(before: Self.day)
        }

        let violations = try await contract.violations(on: warehouse)

        #expect(violations == [])
    }

    /// Such a job would give up its lease while its statements may still be running.
    @Test func theLeaseContractFindsAJobThatDoesNotWorkThroughItsLease() async throws {
        let warehouse = try await EmbeddedWarehouse(path: ":memory:").bootstrapped()
        let contract = LeaseContract(job: "any-cleanup") { _, _, report in
            try await RowRetention(of: .runHistory, warehouse: warehouse, report: report).deleteRows(before: Self.day)
        }

        let violations = try await contract.violations(on: warehouse)

        #expect(
            violations == [
                "the work sent no statement", "a second execution was not skipped",
                "the lease was freed while a statement may still be running",
            ])
    }

    private func prepared(
        _ backend: Backend, _ kind: Kind, _ project: String
    ) async throws -> (any Warehouse, AgingTable) {
        let warehouse = try await backend.warehouse("\(project)-\(kind)")
        let dataset = try #require(DatasetID("retained"))
        let reference = try #require(TableReference(dataset, "rows"))
        let type = kind == .date ? "DATE" : "TIMESTAMP"
        _ = try await warehouse.createDataset(Dataset(id: dataset, location: "US"))
        _ = try await warehouse.createTable(
            reference,
            Table(
                fields: [FieldSchema("id", "STRING"), FieldSchema("day", type)],
                timePartitioning: .init(type: "DAY", field: "day")))
        let times = [
            ("oldest", "2025-01-01T12:00:00Z"), ("last", "2026-01-30T23:59:59.999999Z"),
            ("first", "2026-01-31T00:00:00Z"), ("later", "2026-02-01T00:00:00Z"),
        ]
        for (id, time) in times {
            let value: SQLValue = kind == .date ? .date(instant(time).date) : .timestamp(instant(time))
            try await warehouse.run(
                "INSERT INTO \(reference.sql) (id, day) VALUES (@id, @day)", ["id": .string(id), "day": value])
        }
        try await warehouse.run("INSERT INTO \(reference.sql) (id) VALUES ('never')")
        return (warehouse, AgingTable(reference, by: kind == .date ? .date("day") : .timestamp("day")))
    }

    private func ids(_ warehouse: any Warehouse) async throws -> [String] {
        try await warehouse.rows(of: "retained.rows", orderedBy: "id").map { try $0.string("id") }
    }
}
