import BigQueryWarehouse
import EmbeddedWarehouse
import Testing
import Warehouse

extension WarehouseContract {
    static let schemaUpdateClauses = [
        Clause("columns are added and the rows stay") { contract in
            let reference = try await contract.newTable("added", narrow)
            try await contract.run("INSERT INTO \(reference.sql) (id, size) VALUES ('a', 7)")
            let before = try #require(try await contract.warehouse.table(reference))
            let wider =
                before.schema.fields + [
                    FieldSchema("seen_at", "TIMESTAMP", description: "When it was seen"),
                    FieldSchema("tags", "STRING", mode: .repeated),
                ]

            try await contract.warehouse.updateSchema(
                of: reference, to: wider, ifMatch: try #require(before.etag))

            let after = try #require(try await contract.warehouse.table(reference))
            #expect(after.schema.fields.map(\.canonical) == wider.map(\.canonical))
            #expect(after.etag != before.etag)
            let row = try #require(
                try await contract.run("SELECT id, size, seen_at FROM \(reference.sql)").rows.first)
            #expect(try row.string("id") == "a")
            #expect(try row.int64("size") == 7)
            #expect(try row.optionalTimestamp("seen_at") == nil)
            let update = "UPDATE \(reference.sql) SET seen_at = @now WHERE id = 'a'"
            #expect(try await contract.run(update, ["now": .timestamp(.example)]).affectedRows == 1)
            let written = try await contract.run("SELECT seen_at FROM \(reference.sql)")
            #expect(try written.rows.first?.timestamp("seen_at") == .example)
        },
        Clause("a field is added inside a RECORD and the rows stay") { contract in
            let reference = try await contract.newTable("nested", withRecord)
            try await contract.run(
                "INSERT INTO \(reference.sql) (id, address) VALUES ('a', @address)",
                ["address": .structure([.init("city", .string("Oslo"))])])
            let before = try #require(try await contract.warehouse.table(reference))
            var wider = before.schema.fields
            wider[1].fields.append(FieldSchema("zip", "STRING", description: "Postal code"))

            try await contract.warehouse.updateSchema(
                of: reference, to: wider, ifMatch: try #require(before.etag))

            let after = try #require(try await contract.warehouse.table(reference))
            #expect(after.schema.fields.map(\.canonical) == wider.map(\.canonical))
            let row = try #require(try await contract.run("SELECT address FROM \(reference.sql)").rows.first)
            #expect(
                row["address"]
                    == .structure([.init("city", .string("Oslo")), .init("zip", .null(.string))]))
        },
        Clause("a schema that was read before another change is refused") { contract in
            let reference = try await contract.newTable("stale", narrow)
            let first = try #require(try await contract.warehouse.table(reference))
            let etag = try #require(first.etag)
            let mine = first.schema.fields + [FieldSchema("mine", "STRING")]
            try await contract.warehouse.updateSchema(of: reference, to: mine, ifMatch: etag)

            await contract.expect(.preconditionFailed) {
                try await contract.warehouse.updateSchema(
                    of: reference, to: first.schema.fields + [FieldSchema("theirs", "STRING")], ifMatch: etag)
            }

            let after = try #require(try await contract.warehouse.table(reference))
            #expect(after.schema.fields.map(\.canonical) == mine.map(\.canonical))
        },
        Clause("no schema of a missing table") { contract in
            let id = try await contract.newDataset("no_table")
            let reference = try contract.reference(id, "rows")

            await contract.expect(.notFound) {
                try await contract.warehouse.updateSchema(of: reference, to: narrow, ifMatch: "1")
            }
        },
        refusal("a field that is missing", "dropped") { $0.remove(at: 1) },
        refusal("another type", "retyped") { $0[1].type = "STRING" },
        refusal("another mode", "remoded") { $0[1].mode = .repeated },
        refusal("NULLABLE made REQUIRED", "tightened") { $0[1].mode = .required },
        refusal("a new REQUIRED column", "required") { $0.append(FieldSchema("key", "STRING", mode: .required)) },
        refusal("a nested field that is missing", "nested_drop", of: withRecord) { fields in
            fields[1].fields = [FieldSchema("zip", "STRING")]
        },
        refusal("a new REQUIRED field in a RECORD", "nested_required", of: withRecord) { fields in
            fields[1].fields.append(FieldSchema("zip", "STRING", mode: .required))
        },
    ]

    private static let narrow = [FieldSchema("id", "STRING", mode: .required), FieldSchema("size", "INTEGER")]

    private static let withRecord = [
        FieldSchema("id", "STRING"),
        FieldSchema("address", "RECORD", fields: [FieldSchema("city", "STRING")]),
    ]

    private static func refusal(
        _ change: String, _ name: String, of fields: [FieldSchema] = narrow,
        _ edit: @escaping @Sendable (inout [FieldSchema]) -> Void
    ) -> Clause {
        Clause("a schema with \(change) is refused") { contract in
            let reference = try await contract.newTable(name, fields)
            let before = try #require(try await contract.warehouse.table(reference))
            var proposed = before.schema.fields
            edit(&proposed)

            await contract.expect(.invalid) {
                try await contract.warehouse.updateSchema(
                    of: reference, to: proposed, ifMatch: try #require(before.etag))
            }

            #expect(try await contract.warehouse.table(reference) == before)
        }
    }
}
