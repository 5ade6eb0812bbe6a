import JobRuntime
import Testing
import Warehouse

extension WarehouseContract {
    static let surveyClauses = [
        survey("what agrees", "agree") { _ in },
        survey("what the customer has added", "extras") { table in
            table.schema.fields.insert(FieldSchema("customer_column", "STRING"), at: 0)
        },
        survey("what a customer has added to a RECORD", "inner_extras") { table in
            table.schema.fields[3].fields.append(FieldSchema("customer_field", "INT64"))
        },
        survey("a column that could only be added as NULLABLE", "relaxed") { $0.schema.fields[0].mode = .nullable },
        survey("another name of a type", "aliases") { table in
            table.schema.fields[1].type = "INT64"
            table.schema.fields[3].type = "STRUCT"
        },
        survey("other descriptions", "described") { table in
            table.description = "described \"otherwise\",\nin two lines \\ 'and' more"
            table.schema.fields[0].description = "described \"otherwise\", NOT NULL"
            table.schema.fields[3].fields[0].description = "a <b>, (c) NOT NULL"
        },
        survey("other labels", "labels") { $0.labels = ["team": "other", "own": "x"] },
        survey("a missing column", "missing_column") { $0.schema.fields.remove(at: 2) },
        survey("a missing field of a RECORD", "missing_field") { $0.schema.fields[3].fields.remove(at: 1) },
        survey("another type", "type_drift") { $0.schema.fields[1].type = "FLOAT" },
        survey("types with parameters", "parameters") { table in
            table.schema.fields[1] = FieldSchema(
                "n", "NUMERIC", attributes: ["precision": .string("10"), "scale": .string("2")])
            table.schema.fields[2] = FieldSchema(
                "tags", "STRING", mode: .repeated, attributes: ["maxLength": .string("20")])
        },
        survey("another type in a RECORD", "inner_drift") { $0.schema.fields[3].fields[1].type = "STRING" },
        survey("a column that is not REPEATED", "mode_drift") { $0.schema.fields[2].mode = .nullable },
        survey("a column that is REQUIRED", "required_drift") { $0.schema.fields[1].mode = .required },
        survey("a field of a RECORD that is REQUIRED", "inner_mode") { $0.schema.fields[3].fields[0].mode = .required },
        survey("a field of a RECORD that is REPEATED", "inner_list") { $0.schema.fields[3].fields[1].mode = .repeated },
        survey("a default", "default") { table in
            table.schema.fields[4].attributes["defaultValueExpression"] = .string("CURRENT_TIMESTAMP()")
        },
        survey("another clustering", "clustering_drift") { $0.clustering = Table.Clustering(fields: ["n", "id"]) },
        survey("no clustering", "unclustered") { $0.clustering = nil },
        survey("another partitioning", "partitioning_drift") { $0.timePartitioning?.field = "day" },
        survey("another unit of partitions", "unit_drift") { $0.timePartitioning?.type = "MONTH" },
        survey("partitions of a DATE by year", "year") {
            $0.timePartitioning = Table.TimePartitioning(type: "YEAR", field: "day")
        },
        survey("partitions by ingestion time", "ingestion") {
            $0.timePartitioning = Table.TimePartitioning(type: "DAY", field: nil)
        },
        survey("partitions by the hour of ingestion", "ingestion_hour") {
            $0.timePartitioning = Table.TimePartitioning(type: "HOUR", field: nil)
        },
        survey("partitions by ranges", "ranges") { table in
            table.timePartitioning = nil
            table.rangePartitioning = Table.RangePartitioning(field: "n", start: -10, end: 100, interval: 5)
        },
        survey("no partitioning", "unpartitioned") { $0.timePartitioning = nil },
        survey("partitions that expire and need a filter", "options") { table in
            table.timePartitioning?.expirationMs = "5400000"
            table.requirePartitionFilter = true
        },
        Clause("a survey shows what is absent") { contract in
            let complete = try await contract.newDataset("survey_complete")
            let partial = try await contract.newDataset("survey_partial")
            let empty = try await contract.newDataset("survey_empty")
            let missing = try contract.datasetID("survey_missing")
            let location = contract.warehouse.location
            let wanted = [NamedTable("costs", catalog), NamedTable("usage", catalog)]
            try await contract.warehouse.createTables(wanted, in: complete, at: location)
            let partly = [NamedTable("usage", catalog), NamedTable("customer_table", Table(fields: keyed))]
            try await contract.warehouse.createTables(partly, in: partial, at: location)
            let targets = [complete, partial, empty, missing].map { SurveyTarget(subject: "of_\($0)", dataset: $0) }
            let known = SurveyScope.Known.table(try contract.reference(complete, "costs"))

            for known in [known, .nothing] {
                let scope = SurveyScope(.datasets(targets), location: location, known: known)
                let survey = try await contract.warehouse.survey(scope, for: wanted)

                let members = try await contract.warehouse.members(of: survey.groups, in: scope, for: wanted)
                func datasets(_ isWanted: (SchemaSurvey.State) -> Bool) -> Set<DatasetID> {
                    Set(
                        survey.groups.filter { isWanted($0.state) }.flatMap { members.byKey[$0.key] ?? [] }.map(
                            \.dataset))
                }
                #expect(datasets { $0 == .noDataset } == [missing])
                #expect(datasets { $0 == .noTable("costs") } == [partial, empty])
                #expect(datasets { $0 == .noTable("usage") } == [empty])
                #expect(datasets { if case .table("costs", _) = $0 { true } else { false } } == [complete])
                #expect(datasets { if case .dataset = $0 { true } else { false } } == [complete, partial, empty])
                #expect(survey.groups.allSatisfy { $0.members.allSatisfy { $0.subject == "of_\($0.dataset)" } })
            }
        },
        Clause("datasets that look alike are one group") { contract in
            let wanted = [NamedTable("costs", catalog)]
            var targets: [SurveyTarget] = []
            for number in 0..<3 {
                let dataset = try await contract.newDataset("survey_alike_\(number)")
                try await contract.warehouse.createTables(wanted, in: dataset, at: contract.warehouse.location)
                targets.append(SurveyTarget(subject: dataset.name, dataset: dataset))
            }

            let survey = try await contract.warehouse.survey(
                SurveyScope(.datasets(targets), location: contract.warehouse.location, known: .targets), for: wanted)

            #expect(survey.groups.map(\.count) == [3, 3])
            #expect(survey.groups.allSatisfy { $0.members.sorted() == targets.sorted() })
        },
        Clause("a survey covers the rows of a query") { contract in
            let dataset = try await contract.newDataset("survey_rows")
            let known = try await contract.newTable("survey_known", keyed)
            let targets = Statement(
                "name the datasets",
                "SELECT s AS subject, d AS dataset FROM (SELECT 'acme' AS s, '\(dataset)' AS d) AS t")

            let survey = try await contract.warehouse.survey(
                SurveyScope(.rows(of: targets), location: contract.warehouse.location, known: .table(known)),
                for: [NamedTable("costs", catalog)])

            let target = SurveyTarget(subject: "acme", dataset: dataset)
            #expect(survey.groups.allSatisfy { $0.members == [target] })
            #expect(Set(survey.groups.map(\.state)) == [.dataset(DatasetDefaults()), .noTable("costs")])
        },
        Clause("a survey of no datasets shows nothing") { contract in
            let scope = SurveyScope(.datasets([]), location: contract.warehouse.location, known: .nothing)

            let survey = try await contract.warehouse.survey(scope, for: [NamedTable("costs", catalog)])

            #expect(survey.groups.isEmpty)
        },
    ]

    private static let catalog = Table(
        description: "Costs",
        fields: [
            FieldSchema("id", "STRING", mode: .required, description: "The key"), FieldSchema("n", "INTEGER"),
            FieldSchema("tags", "STRING", mode: .repeated),
            FieldSchema("project", "RECORD", fields: [FieldSchema("id", "STRING"), FieldSchema("number", "INTEGER")]),
            FieldSchema("seen_at", "TIMESTAMP"), FieldSchema("day", "DATE"),
        ],
        timePartitioning: Table.TimePartitioning(type: "DAY", field: "seen_at"),
        clustering: Table.Clustering(fields: ["id", "n"]), labels: ["team": "data"])

    /// The table is created as `edit` leaves it. The survey and the reading of the table have to agree on what differs.
    private static func survey(
        _ what: String, _ name: String, _ edit: @escaping @Sendable (inout Table) -> Void
    ) -> Clause {
        Clause("a survey shows \(what)") { contract in
            let dataset = try await contract.newDataset("survey_\(name)")
            var table = catalog
            edit(&table)
            let reference = try contract.reference(dataset, "costs")
            #expect(try await contract.warehouse.createTable(reference, table))
            let read = try #require(try await contract.warehouse.table(reference))
            let expected = SchemaDiff(expected: catalog, actual: read)

            for known in [SurveyScope.Known.table(reference), .nothing] {
                let scope = SurveyScope(
                    .datasets([SurveyTarget(subject: name, dataset: dataset)]), location: contract.warehouse.location,
                    known: known)
                let survey = try await contract.warehouse.survey(scope, for: [NamedTable("costs", catalog)])

                let shown = survey.groups.compactMap { group -> Table? in
                    if case .table("costs", let table) = group.state { table } else { nil }
                }
                let diff = SchemaDiff(
                    expected: catalog, actual: try #require(shown.first, "\(survey.groups.map(\.state))"))
                #expect(diff.additions == expected.additions)
                #expect(diff.differences == expected.differences)
                let extra = Set(table.schema.fields.map(\.name)).subtracting(catalog.schema.fields.map(\.name))
                #expect(survey.extras.map(\.columns) == (extra.isEmpty ? [] : [extra]))
                #expect(survey.extras.allSatisfy { $0.count == 1 && $0.members.map(\.dataset) == [dataset] })
            }
        }
    }
}
