import BigQueryWarehouse
import EmbeddedWarehouse
import JobRuntime
import Testing
import Warehouse

extension WarehouseContract {
    static let datasetClauses = [
        Clause("a dataset is read as it was created") { contract in
            let id = try contract.datasetID("dataset")
            let dataset = Dataset(
                id: id, location: contract.warehouse.location, description: "Costs of \"Acme\", café №1",
                labels: ["environment": "prod", "org": "acme"])

            #expect(try await contract.warehouse.createDataset(dataset))

            let found = try #require(try await contract.warehouse.dataset(id))
            #expect(found.id == id)
            #expect(found.location.lowercased() == dataset.location.lowercased())
            #expect(found.description == dataset.description)
            #expect(found.labels == dataset.labels)
        },
        Clause("a dataset created again is left as it is") { contract in
            let id = try contract.datasetID("dataset_again")
            let first = Dataset(
                id: id, location: contract.warehouse.location, description: "first", labels: ["org": "acme"])
            #expect(try await contract.warehouse.createDataset(first))

            let second = Dataset(
                id: id, location: contract.warehouse.location, description: "second", labels: ["org": "other"])
            #expect(try await contract.warehouse.createDataset(second) == false)

            let found = try #require(try await contract.warehouse.dataset(id))
            #expect(found.description == "first")
            #expect(found.labels == ["org": "acme"])
        },
        Clause("a dataset without description and labels has none") { contract in
            let id = try await contract.newDataset("plain_dataset")

            let found = try #require(try await contract.warehouse.dataset(id))
            #expect(found.description == nil)
            #expect(found.labels.isEmpty)
        },
        Clause("a missing dataset is nil and has no tables") { contract in
            let id = try contract.datasetID("missing_dataset")
            let reference = try contract.reference(id, "costs")

            #expect(try await contract.warehouse.dataset(id) == nil)
            #expect(try await contract.warehouse.table(reference) == nil)
            await contract.expect(.notFound) { _ = try await contract.warehouse.tables(in: id) }
        },
        Clause("tables are listed by name") { contract in
            let id = try await contract.newDataset("listed")
            #expect(try await contract.warehouse.tables(in: id) == [])
            let table = Table(fields: [FieldSchema("id", "STRING")])

            try await contract.warehouse.createTables(
                ["zeta", "alpha", "Mid", "beta_2"].map { NamedTable($0, table) }, in: id,
                at: contract.warehouse.location)

            #expect(try await contract.warehouse.tables(in: id) == ["Mid", "alpha", "beta_2", "zeta"])
        },
    ]

    static let tableClauses = [
        Clause("a table is read as it was created") { contract in
            let reference = try await contract.reference(contract.newDataset("table"), "costs")

            #expect(try await contract.warehouse.createTable(reference, everyKindOfField))

            let found = try #require(try await contract.warehouse.table(reference))
            #expect(found.schema.fields.map(\.canonical) == everyKindOfField.schema.fields.map(\.canonical))
            #expect(found.description == everyKindOfField.description)
            #expect(found.timePartitioning?.type == "DAY")
            #expect(found.timePartitioning?.field == "usage_date")
            #expect(found.clustering == everyKindOfField.clustering)
            #expect(found.labels ?? [:] == everyKindOfField.labels)
            #expect(found.etag?.isEmpty == false)
            #expect(found.type == "TABLE")
        },
        Clause("a table created again is left as it is") { contract in
            let reference = try await contract.newTable("table_again", [FieldSchema("id", "STRING")])
            let before = try await contract.warehouse.table(reference)

            let other = Table(description: "other", fields: [FieldSchema("code", "INT64")])
            #expect(try await contract.warehouse.createTable(reference, other) == false)

            #expect(before != nil)
            #expect(try await contract.warehouse.table(reference) == before)
        },
        Clause("a missing table is nil") { contract in
            let id = try await contract.newDataset("missing_table")

            #expect(try await contract.warehouse.table(try contract.reference(id, "costs")) == nil)
        },
        Clause("no table is created in a missing dataset") { contract in
            let id = try contract.datasetID("missing_parent")
            let table = Table(fields: [FieldSchema("id", "STRING")])
            let reference = try contract.reference(id, "costs")

            await contract.expect(.notFound) { _ = try await contract.warehouse.createTable(reference, table) }
            await contract.expect(.notFound) {
                try await contract.warehouse.createTables(
                    [NamedTable("costs", table)], in: id, at: contract.warehouse.location)
            }
            #expect(try await contract.warehouse.dataset(id) == nil)
        },
        Clause("many tables are created at once, those that are there left as they are") { contract in
            let id = try await contract.newDataset("bulk")
            let existing = try contract.reference(id, "existing")
            let narrow = Table(description: "narrow", fields: [FieldSchema("id", "STRING")])
            #expect(try await contract.warehouse.createTable(existing, narrow))
            let before = try await contract.warehouse.table(existing)
            var wanted = [NamedTable("existing", everyKindOfField), NamedTable("costs", everyKindOfField)]
            wanted += (1...20).map { NamedTable("table_\($0)", narrow) }

            try await contract.warehouse.createTables(wanted, in: id, at: contract.warehouse.location)
            try await contract.warehouse.createTables(wanted, in: id, at: contract.warehouse.location)

            #expect(try await contract.warehouse.tables(in: id) == wanted.map(\.name).sorted())
            #expect(try await contract.warehouse.table(existing) == before)
            let costs = try #require(try await contract.warehouse.table(try contract.reference(id, "costs")))
            #expect(SchemaDiff(expected: everyKindOfField, actual: costs).isConforming)
            #expect(costs.schema.fields.map(\.canonical) == everyKindOfField.schema.fields.map(\.canonical))
            #expect(costs.description == everyKindOfField.description)
            #expect(costs.labels ?? [:] == everyKindOfField.labels)
        },
        Clause("of two that create a table at once, exactly one did") { contract in
            let reference = try await contract.reference(contract.newDataset("race"), "costs")

            let created = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<2 {
                    group.addTask { try await contract.warehouse.createTable(reference, everyKindOfField) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }

            #expect(created.filter(\.self).count == 1)
            let found = try #require(try await contract.warehouse.table(reference))
            #expect(SchemaDiff(expected: everyKindOfField, actual: found).isConforming)
        },
    ]

    /// Spelled with legacy and GoogleSQL type names.
    static let everyKindOfField = {
        var table = Table(
            description: "Daily costs, \"as billed\"",
            fields: [
                FieldSchema("id", "STRING", mode: .required, description: "Key of the row"),
                FieldSchema("usage_date", "DATE", mode: .required),
                FieldSchema("org_slug", "STRING"),
                FieldSchema("quantity", "INTEGER"),
                FieldSchema("rate", "FLOAT", description: "Per unit; it's in USD"),
                FieldSchema("amount", "NUMERIC"),
                FieldSchema("exact_amount", "BIGNUMERIC"),
                FieldSchema("is_credit", "BOOLEAN"),
                FieldSchema("created_at", "TIMESTAMP", mode: .required),
                FieldSchema("local_time", "DATETIME"),
                FieldSchema("at_time", "TIME"),
                FieldSchema("digest", "BYTES"),
                FieldSchema("raw", "JSON"),
                FieldSchema("tags", "STRING", mode: .repeated, description: "As set by the provider"),
                FieldSchema(
                    "project", "RECORD", description: "Where the cost arose",
                    fields: [
                        FieldSchema("id", "STRING", mode: .required),
                        FieldSchema("number", "INT64", description: "Numeric id"),
                        FieldSchema("ancestors", "STRING", mode: .repeated),
                    ]),
                FieldSchema(
                    "credits", "STRUCT", mode: .repeated,
                    fields: [FieldSchema("name", "STRING"), FieldSchema("amount", "FLOAT64")]),
            ],
            timePartitioning: Table.TimePartitioning(type: "DAY", field: "usage_date"),
            clustering: Table.Clustering(fields: ["org_slug", "id"]))
        table.labels = ["group": "costs"]
        return table
    }()

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

    static let tableChangeClauses = [
        Clause("a change sets what it names and leaves the rest and the rows") { contract in
            let reference = try await contract.reference(contract.newDataset("changed"), "rows")
            var table = Table(description: "old", fields: narrow + [withRecord[1]])
            table.labels = ["own": "x", "team": "old"]
            #expect(try await contract.warehouse.createTable(reference, table))
            try await contract.run("INSERT INTO \(reference.sql) (id, size) VALUES ('a', 7)")
            let before = try #require(try await contract.warehouse.table(reference))
            var fields = before.schema.fields
            fields[0].description = "The key"
            fields[1].attributes["defaultValueExpression"] = .string("0")
            fields[2].fields[0].description = "A city"
            let change = TableChange(
                clustering: .init(fields: ["id"]), description: "new", labels: ["team": "new", "more": "y"],
                fields: fields)

            try await contract.warehouse.update(reference, with: change, ifMatch: try #require(before.etag))

            let after = try #require(try await contract.warehouse.table(reference))
            #expect(after.description == "new")
            #expect(after.labels == ["own": "x", "team": "new", "more": "y"])
            #expect(after.clustering?.fields == ["id"])
            #expect(after.schema.fields.map(\.canonical) == fields.map(\.canonical))
            #expect(after.schema.fields[1].defaultValueExpression == "0")
            #expect(after.etag != before.etag)
            #expect(try await contract.run("SELECT size FROM \(reference.sql)").rows.first?.int64("size") == 7)
        },
        Clause("clustering and a default are removed, and nothing else") { contract in
            let reference = try await contract.reference(contract.newDataset("unchanged"), "rows")
            var table = Table(
                description: "old", fields: narrow, clustering: .init(fields: ["id"]), labels: ["own": "x"])
            table.schema.fields[1].attributes["defaultValueExpression"] = .string("0")
            #expect(try await contract.warehouse.createTable(reference, table))
            let before = try #require(try await contract.warehouse.table(reference))
            #expect(before.schema.fields[1].defaultValueExpression == "0")
            let change = TableChange(clustering: .init(fields: []), fields: narrow)

            try await contract.warehouse.update(reference, with: change, ifMatch: try #require(before.etag))

            let after = try #require(try await contract.warehouse.table(reference))
            #expect(after.clustering?.fields ?? [] == [])
            #expect(after.schema.fields[1].defaultValueExpression == nil)
            #expect(after.description == "old")
            #expect(after.labels == ["own": "x"])
        },
        Clause("a change of a table that has changed, or by a column that is not there, is refused") { contract in
            let reference = try await contract.newTable("refused_change", narrow)
            let before = try #require(try await contract.warehouse.table(reference))
            let etag = try #require(before.etag)

            await contract.expect(.invalid) {
                let change = TableChange(clustering: .init(fields: ["nobody"]))
                try await contract.warehouse.update(reference, with: change, ifMatch: etag)
            }
            #expect(try await contract.warehouse.table(reference) == before)
            try await contract.warehouse.update(reference, with: TableChange(description: "mine"), ifMatch: etag)
            await contract.expect(.preconditionFailed) {
                try await contract.warehouse.update(reference, with: TableChange(description: "theirs"), ifMatch: etag)
            }

            #expect(try await contract.warehouse.table(reference)?.description == "mine")
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
