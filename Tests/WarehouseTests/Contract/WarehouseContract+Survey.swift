import BigQueryWarehouse
import EmbeddedWarehouse
import Testing
import Warehouse

extension WarehouseContract {
    static let surveyClauses = [
        survey("nothing where all agree", "agree", actual: catalog, finds: nil),
        survey("nothing in what the customer has added", "extras", finds: nil) { table in
            table.schema.fields.insert(FieldSchema("customer_column", "STRING"), at: 0)
        },
        survey("nothing in a column that could only be added as NULLABLE", "relaxed", finds: nil) { table in
            table.schema.fields[0].mode = .nullable
        },
        survey("nothing in another name of a type", "aliases", finds: nil) { table in
            table.schema.fields[1].type = "INT64"
            table.schema.fields[3].type = "STRUCT"
        },
        survey("nothing in other descriptions", "described", finds: nil) { table in
            table.description = "described otherwise"
            table.schema.fields[0].description = "described otherwise"
        },
        survey("a missing column", "missing_column") { $0.schema.fields.remove(at: 1) },
        survey("a missing field of a RECORD", "missing_field") { $0.schema.fields[3].fields.remove(at: 1) },
        survey("another type", "type_drift") { $0.schema.fields[1].type = "FLOAT" },
        survey("another type in a RECORD", "inner_drift") { $0.schema.fields[3].fields[1].type = "STRING" },
        survey("a column that is not REPEATED", "mode_drift") { $0.schema.fields[2].mode = .nullable },
        survey("a column that is REQUIRED", "required_drift") { $0.schema.fields[1].mode = .required },
        survey("another clustering", "clustering_drift") { $0.clustering = Table.Clustering(fields: ["n", "id"]) },
        survey("no clustering", "unclustered") { $0.clustering = nil },
        survey("another partitioning", "partitioning_drift") { $0.timePartitioning?.field = "day" },
        survey("no partitioning", "unpartitioned") { $0.timePartitioning = nil },
        Clause("a survey names what is absent") { contract in
            let complete = try await contract.newDataset("survey_complete")
            let partial = try await contract.newDataset("survey_partial")
            let empty = try await contract.newDataset("survey_empty")
            let missing = try contract.datasetID("survey_missing")
            let wanted = [NamedTable("costs", catalog), NamedTable("usage", catalog)]
            try await contract.warehouse.createTables(wanted, in: complete)
            let partly = [NamedTable("usage", catalog), NamedTable("customer_table", Table(fields: keyed))]
            try await contract.warehouse.createTables(partly, in: partial)

            let survey = try await contract.warehouse.survey(
                [complete, partial, empty, missing], for: wanted, known: TableReference(complete, "costs"))

            #expect(
                survey.findings == [
                    partial: .init(datasetExists: true, absent: ["costs"], differing: []),
                    empty: .init(datasetExists: true, absent: ["costs", "usage"], differing: []),
                    missing: .init(datasetExists: false, absent: ["costs", "usage"], differing: []),
                ])
        },
        // What a survey finds is a hint: BigQuery's view shows a RECORD as the text of its type.
        Clause("a survey finds at most that one table where the customer has added to a RECORD") { contract in
            let dataset = try await contract.newDataset("survey_inner_extras")
            var table = catalog
            table.schema.fields[3].fields.append(FieldSchema("customer_field", "INT64"))
            let reference = try contract.reference(dataset, "costs")
            #expect(try await contract.warehouse.createTable(reference, table))

            let wanted = [NamedTable("costs", catalog)]
            let survey = try await contract.warehouse.survey([dataset], for: wanted, known: reference)

            let hint = SchemaSurvey.Finding(datasetExists: true, absent: [], differing: ["costs"])
            #expect(survey.findings.isEmpty || survey.findings == [dataset: hint])
        },
        Clause("a survey of no datasets finds nothing") { contract in
            let survey = try await contract.warehouse.survey([], for: [NamedTable("costs", catalog)], known: nil)

            #expect(survey.findings.isEmpty)
        },
    ]

    private static let catalog = Table(
        description: "Costs",
        fields: [
            FieldSchema("id", "STRING", mode: .required), FieldSchema("n", "INTEGER"),
            FieldSchema("tags", "STRING", mode: .repeated),
            FieldSchema("project", "RECORD", fields: [FieldSchema("id", "STRING"), FieldSchema("number", "INTEGER")]),
            FieldSchema("seen_at", "TIMESTAMP"), FieldSchema("day", "DATE"),
        ],
        timePartitioning: Table.TimePartitioning(type: "DAY", field: "seen_at"),
        clustering: Table.Clustering(fields: ["id", "n"]))

    /// The table is made as `edit` leaves it, and the survey compares it with the catalog's.
    private static func survey(
        _ what: String, _ name: String, actual: Table = catalog, finds: String? = "costs",
        _ edit: @escaping @Sendable (inout Table) -> Void = { _ in }
    ) -> Clause {
        Clause("a survey finds \(what)") { contract in
            let dataset = try await contract.newDataset("survey_\(name)")
            var table = actual
            edit(&table)
            let reference = try contract.reference(dataset, "costs")
            #expect(try await contract.warehouse.createTable(reference, table))

            let survey = try await contract.warehouse.survey(
                [dataset], for: [NamedTable("costs", catalog)], known: reference)

            #expect(survey.findings[dataset]?.absent ?? [] == [])
            #expect(survey.findings[dataset]?.differing ?? [] == Set([finds].compactMap(\.self)))
            #expect((survey.findings[dataset] != nil) == (finds != nil))
        }
    }
}
