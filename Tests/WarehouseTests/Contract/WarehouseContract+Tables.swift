import BigQueryWarehouse
import EmbeddedWarehouse
import Testing
import Warehouse

extension WarehouseContract {
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
                try await contract.warehouse.createTables([NamedTable("costs", table)], in: id)
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

            try await contract.warehouse.createTables(wanted, in: id)
            try await contract.warehouse.createTables(wanted, in: id)

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
}
