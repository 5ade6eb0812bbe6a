import EmbeddedWarehouse
import Foundation
import TestSupport
import Testing
import Warehouse

@Suite struct EmbeddedWarehouseTests {
    @Test func bindsToEachStatementOfAScriptWhatItNames() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        let table = try await newTable(in: warehouse).sql

        let result = try await warehouse.query(
            Statement(
                "insert two",
                """
                INSERT INTO \(table) (id, n) VALUES (@first, @n);
                INSERT INTO \(table) (id, n) VALUES (@second, @n);
                UPDATE \(table) SET n = n + 1 WHERE id IN (@first, @second)
                """, parameters: ["first": .string("a"), "second": .string("b"), "n": .int64(1)]))

        #expect(result.affectedRows == 2)
    }

    @Test func refusesNamesThatDifferInCaseOnly() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        let dataset = try #require(DatasetID("acme"))
        let table = Table(fields: [FieldSchema("id", "STRING")])
        #expect(try await warehouse.createDataset(Dataset(id: dataset, location: "US")))
        #expect(try await warehouse.createTable(try reference("acme", "costs"), table))

        let otherDataset = await #expect(throws: WarehouseError.self) {
            try await warehouse.createDataset(Dataset(id: try #require(DatasetID("Acme")), location: "US"))
        }
        let otherTable = await #expect(throws: WarehouseError.self) {
            try await warehouse.createTable(try reference("acme", "Costs"), table)
        }

        #expect(otherDataset?.code == .notImplemented)
        #expect(otherTable?.code == .notImplemented)
        #expect(try await warehouse.table(try reference("acme", "Costs")) == nil)
    }

    @Test func refusesToMakeARequiredColumnNullable() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        let reference = try await newTable(in: warehouse)
        let before = try #require(try await warehouse.table(reference))
        var fields = before.schema.fields
        fields[0].mode = .nullable

        let error = await #expect(throws: WarehouseError.self) {
            try await warehouse.updateSchema(of: reference, to: fields, ifMatch: try #require(before.etag))
        }

        #expect(error?.code == .notImplemented)
        #expect(try await warehouse.table(reference) == before)
    }

    @Test func keepsRowsUnderFlexibleNames() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        let dataset = try #require(DatasetID("acme"))
        let reference = try #require(TableReference(dataset, "rows"))
        _ = try await warehouse.createDataset(Dataset(id: dataset, location: "US"))
        let first = [FieldSchema("order id", "INTEGER", mode: .required), FieldSchema("Größe", "FLOAT")]
        _ = try await warehouse.createTable(reference, Table(fields: first))
        let etag = try #require(try await warehouse.table(reference)?.etag)

        try await warehouse.updateSchema(
            of: reference, to: first + [FieldSchema("it's #1", "STRING"), FieldSchema("2nd", "DATE")], ifMatch: etag)
        _ = try await warehouse.query(
            Statement("write", "INSERT INTO \(reference.sql) (`order id`, `Größe`, `it's #1`) VALUES (1, 2.5, 'x')"))
        let result = try await warehouse.query(
            Statement("read", "SELECT `order id`, `Größe`, `it's #1`, `2nd` FROM \(reference.sql)"))

        let row = try #require(result.rows.first)
        #expect(try row.int64("order id") == 1)
        #expect(row["Größe"] == .float64(2.5))
        #expect(try row.string("it's #1") == "x")
        #expect(try row.optionalDate("2nd") == nil)
    }

    @Test(arguments: [
        FieldSchema("a`; DROP TABLE x", "STRING"), FieldSchema("", "STRING"), FieldSchema("a.b", "STRING"),
        FieldSchema("a", "STRING) --"), FieldSchema("a", "MONEY"), FieldSchema("ID", "STRING"),
        FieldSchema("a", "RECORD"), FieldSchema("a", "RECORD", fields: [FieldSchema("b.c", "STRING")]),
    ])
    func refusesFieldsThatBigQueryHasNot(_ field: FieldSchema) async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        let reference = try await newTable(in: warehouse)
        let before = try #require(try await warehouse.table(reference))

        let created = await #expect(throws: WarehouseError.self) {
            try await warehouse.createTable(
                try self.reference("acme", "other"), Table(fields: before.schema.fields + [field]))
        }
        let updated = await #expect(throws: WarehouseError.self) {
            try await warehouse.updateSchema(
                of: reference, to: before.schema.fields + [field], ifMatch: try #require(before.etag))
        }

        #expect(created?.code == .invalid)
        #expect(updated?.code == .invalid)
        #expect(try await warehouse.tables(in: reference.dataset) == ["rows"])
    }

    @Test(arguments: [
        "INSERT INTO `acme.rows` (id, n) VALUES (NULL, @secret)",
        "INSERT INTO `acme.rows` (id, n) VALUES ('a', @secret)",
        "SELECT * FROM `acme.nothing` WHERE id = @secret", "SELECT nothing FROM `acme.rows` WHERE id = @secret",
        "SELECT FROM WHERE @secret", "SELECT DATE(@secret) AS d", "SELECT @secret AS s WHERE @other = 1",
        "SELECT id FROM `acme.rows` WHERE n IN UNNEST(@secret)", "MERGE @secret", "SELECT '@secret",
    ])
    func showsNoBoundValueInAnError(sql: String) async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        _ = try await newTable(in: warehouse)

        let error = await #expect(throws: WarehouseError.self) {
            try await warehouse.query(Statement("find it", sql, parameters: ["secret": .string("sk_live_1234")]))
        }

        let text = try #require(error).description
        #expect(text.hasPrefix("could not find it: "))
        #expect(!text.contains("sk_live_1234"))
    }

    private func reference(_ dataset: String, _ table: String) throws -> TableReference {
        let id = try #require(DatasetID(dataset))
        return try #require(TableReference(id, table))
    }

    private func newTable(in warehouse: EmbeddedWarehouse) async throws -> TableReference {
        let reference = try reference("acme", "rows")
        #expect(try await warehouse.createDataset(Dataset(id: reference.dataset, location: "US")))
        let fields = [FieldSchema("id", "STRING", mode: .required), FieldSchema("n", "INT64")]
        #expect(try await warehouse.createTable(reference, Table(fields: fields)))
        return reference
    }
}
