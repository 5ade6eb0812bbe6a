import Foundation
import GRDB
import JobRuntime
import TestSupport
import Testing

import struct Warehouse.Table

@testable import EmbeddedWarehouse
@testable import Warehouse

/// The SQLite tables behind the tables of a warehouse: one for each definition, and one for each table that was written.
@Suite struct EmbeddedStorageTests {
    private let folder: TemporaryFolder
    private let warehouse: EmbeddedWarehouse
    private var path: String { folder.file("a.db") }

    /// The tables `acme.costs` and `other.costs`, which are alike.
    init() async throws {
        folder = try TemporaryFolder()
        warehouse = try EmbeddedWarehouse(path: folder.file("a.db"))
        for name in ["acme", "other"] {
            let id = try #require(DatasetID(name))
            _ = try await warehouse.createDataset(Dataset(id: id, location: "US"))
            try await warehouse.createTables([NamedTable("costs", Self.costs)], in: id, at: "US")
        }
    }

    private static let costs: Table = {
        var table = Table(fields: [
            FieldSchema("org_slug", "STRING", mode: .required), FieldSchema("day", "DATE"),
            FieldSchema("tags", "STRING", mode: .repeated),
        ])
        table.clustering = Table.Clustering(fields: ["org_slug"])
        return table
    }()

    @Test func aTableWithoutItsLikeIsAnSQLiteTableAtOnceAndAnotherOneWithItsFirstRow() async throws {
        #expect(try tables() == ["acme.costs"])

        try await run("INSERT INTO `other.costs` (org_slug, day) VALUES ('other', '2026-03-02')")

        #expect(try tables() == ["acme.costs", "other.costs"])
        #expect(try indices() == ["index.acme.costs", "index.other.costs"])
        #expect(try await count("other.costs") == 1)
        #expect(try await count("acme.costs") == 0)
    }

    @Test func aReadFindsNoRowsChecksColumnsAndLeavesTheFileAsItIs() async throws {
        try checkpoint()
        let before = FileManager.default.contents(atPath: path)

        let rows = try await warehouse.query(
            Statement(
                "read",
                "SELECT o.org_slug, o.day, o.tags FROM `other.costs` AS o JOIN `acme.costs` AS a USING (org_slug)"))
        let error = await #expect(throws: WarehouseError.self) {
            try await warehouse.query(Statement("read", "SELECT nothing FROM `other.costs`"))
        }
        let missing = await #expect(throws: WarehouseError.self) {
            try await warehouse.query(
                Statement("read", "SELECT day FROM `other.costs` JOIN `other.nothing` USING (day)"))
        }

        #expect(rows.rows.isEmpty)
        #expect(error?.code == .invalid)
        #expect(error?.message.contains("nothing") == true)
        #expect(missing?.code == .notFound)
        #expect(missing?.message.contains("other.nothing") == true)
        #expect(try tables() == ["acme.costs"])
        try checkpoint()
        #expect(FileManager.default.contents(atPath: path) == before)
    }

    /// The first statement's SQLite table is gone when its transaction is rolled back.
    @Test(arguments: [":memory:", "b.db"])
    func aStatementMayBeSentAgainAfterItsTableWasRolledBack(name: String) async throws {
        let warehouse = try EmbeddedWarehouse(path: name == ":memory:" ? name : folder.file(name))
        for name in ["acme", "other"] {
            let id = try #require(DatasetID(name))
            _ = try await warehouse.createDataset(Dataset(id: id, location: "US"))
            try await warehouse.createTables([NamedTable("costs", Self.costs)], in: id, at: "US")
        }
        let read = Statement("read", "SELECT org_slug FROM `other.costs`")
        let write = { (slug: SQLValue) in
            Statement("write", "INSERT INTO `other.costs` (org_slug) VALUES (@slug)", parameters: ["slug": slug])
        }

        for _ in 0..<3 {
            #expect(try await warehouse.query(read).rows.isEmpty)
            let error = await #expect(throws: WarehouseError.self) { try await warehouse.query(write(.null(.string))) }
            #expect(error?.message == "Required field org_slug cannot be null")
        }
        _ = try await warehouse.query(write(.string("x")))

        #expect(try await warehouse.query(read).rows.count == 1)
    }

    @Test func aChangeThatBeginsAsAQueryIsRefused() async throws {
        let error = await #expect(throws: WarehouseError.self) {
            try await run("WITH a AS (SELECT 'x' AS s) INSERT INTO `acme.costs` (org_slug) SELECT s FROM a")
        }

        #expect(error?.code == .invalid)
        #expect(try await count("acme.costs") == 0)
    }

    @Test func pagesOfATableWithoutASQLiteTableAreOneEmptyPage() async throws {
        var statement = Statement("read", "SELECT day FROM `other.costs`")
        statement.rowsPerPage = 10
        var pages: [Int] = []

        _ = try await warehouse.query(statement) { pages.append($0.count) }

        #expect(pages == [0])
    }

    @Test func columnsThatWereAddedBeforeTheFirstRowAreInItsTable() async throws {
        let reference = try #require(EmbeddedMetadata.reference("other.costs"))
        let etag = try #require(try await warehouse.table(reference)?.etag)
        let fields = Self.costs.schema.fields + [FieldSchema("cost", "FLOAT64")]

        try await warehouse.updateSchema(of: reference, to: fields, ifMatch: etag)
        #expect(try tables() == ["acme.costs"])
        try await run("INSERT INTO `other.costs` (org_slug, cost) VALUES ('other', 1.5)")

        let row = try await warehouse.query(Statement("read", "SELECT cost FROM `other.costs`")).rows.first
        #expect(row?["cost"] == SQLValue.float64(1.5))
        #expect(
            try await warehouse.table(try #require(EmbeddedMetadata.reference("acme.costs")))?.schema.fields.count == 3)
    }

    @Test func aRequiredColumnOfALateTableIsNeverNull() async throws {
        let error = await #expect(throws: WarehouseError.self) {
            try await run("INSERT INTO `other.costs` (day) VALUES (NULL)")
        }

        #expect(error?.message == "Required field org_slug cannot be null")
        #expect(try tables() == ["acme.costs"], "the statement failed, and its transaction with it")
    }

    @Test func aMergeAndAScriptWriteIntoLateTables() async throws {
        let reference = try #require(EmbeddedMetadata.reference("other.costs"))
        let merged = try await warehouse.merge(
            MergeStatement(
                "merge", into: reference, from: "SELECT 'a' AS org_slug, @day AS day", keys: ["org_slug"],
                scope: "TRUE",
                compared: ["day"], stamped: [], inserted: ["org_slug", "day"],
                parameters: [SQLValue.Field("day", .date(CivilDate("2026-03-02")!))]))
        try await run(
            "INSERT INTO `acme.costs` (org_slug) SELECT org_slug FROM `other.costs`; DELETE FROM `other.costs` WHERE TRUE"
        )

        #expect(merged == MergeResult(inserted: 1, updated: 0))
        #expect(try await count("acme.costs") == 1)
        #expect(try await count("other.costs") == 0)
    }

    @Test func anotherProcessSeesATableThatWasWrittenAfterItHadReadItEmpty() async throws {
        let second = try EmbeddedWarehouse(path: path)
        let sql = "SELECT org_slug FROM `other.costs`"
        let before = try await second.query(Statement("read", sql)).rows.count

        try await run("INSERT INTO `other.costs` (org_slug) VALUES ('x')")
        let after = try await second.query(Statement("read", sql)).rows.count
        _ = try await second.query(Statement("write", "INSERT INTO `other.costs` (org_slug) VALUES ('y')"))

        #expect(before == 0)
        #expect(after == 1)
        #expect(try await count("other.costs") == 2)
    }

    @Test func aHundredOrganizationsCostAFewHundredKilobytes() async throws {
        try checkpoint()
        let before = try size()
        let tables = (0..<19).map { number in
            NamedTable(
                "costs_of_the_cloud_\(number)",
                Table(fields: Self.costs.schema.fields + [FieldSchema("c\(number)", "STRING")]))
        }

        for number in 0..<100 {
            let id = try #require(DatasetID("demo_\(10_000 + number)"))
            _ = try await warehouse.createDataset(Dataset(id: id, location: "US"))
            try await warehouse.createTables(tables, in: id, at: "US")
        }

        try checkpoint()
        #expect(try self.tables().count == 20)
        #expect(try size() - before < 400_000)
    }

    @Test func aFileOfTheEarlierLayoutIsRefusedWithWhatToDo() throws {
        let old = folder.file("old.db")
        try DatabaseQueue(path: old).write { database in
            try database.execute(
                sql: """
                    CREATE TABLE _datasets (id TEXT NOT NULL PRIMARY KEY);
                    CREATE TABLE _tables (dataset TEXT, name TEXT, resource TEXT, version INTEGER); PRAGMA user_version = 1
                    """)
        }
        let before = FileManager.default.contents(atPath: old)

        let error = #expect(throws: WarehouseError.self) { try EmbeddedWarehouse(path: old) }

        #expect(error?.code == .invalid)
        #expect(error?.endsRun == true)
        #expect(error?.message.contains("remove it and run bootstrap again") == true)
        #expect(FileManager.default.contents(atPath: old) == before)
    }

    private func run(_ sql: String) async throws { _ = try await warehouse.query(Statement("run", sql)) }

    private func count(_ table: String) async throws -> Int64? {
        try await warehouse.query(Statement("count", "SELECT COUNT(*) AS n FROM `\(table)`")).rows.first?.int64("n")
    }

    private func tables() throws -> [String] { try names("table").filter { !$0.hasPrefix("_") } }
    private func indices() throws -> [String] { try names("index").filter { $0.hasPrefix("index.") } }

    private func names(_ type: String) throws -> [String] {
        try DatabaseQueue(path: path).read {
            try String.fetchAll(
                $0, sql: "SELECT name FROM sqlite_master WHERE type = ? ORDER BY name", arguments: [type])
        }
    }

    private func size() throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    }

    private func checkpoint() throws {
        try DatabaseQueue(path: path).writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
    }
}
