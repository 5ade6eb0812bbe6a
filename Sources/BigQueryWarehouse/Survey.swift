import HTTPTransport
import JobRuntime
import Logging
package import Warehouse

extension BigQueryWarehouse {
    /// Compares the datasets with one query over the whole region. If the region's views cannot be used, each query covers at
    /// most 200 datasets. If `known` is `nil`, nothing is known about the datasets, so the queries read the datasets' own views:
    /// a region still shows deleted datasets, and these could be mistaken for the datasets in question.
    ///
    /// The region's views need `bigquery.tables.get` and `.list` on the project, and TABLES also needs `bigquery.routines.get`
    /// and `.list`. The views show only the datasets in the location of the job:
    /// https://cloud.google.com/bigquery/docs/information-schema-tables
    package func survey(
        _ datasets: [DatasetID], for tables: [NamedTable], known: TableReference?
    ) async throws -> SchemaSurvey {
        guard !datasets.isEmpty else { return SchemaSurvey(findings: [:]) }
        guard let known else { return try await surveyInBatches(datasets, tables) }
        let region = SurveyStatement(
            source: .region("region-\(location.lowercased())"), datasets: datasets, tables: tables, known: known)
        do {
            let result = try await run(region.statement, scope: .dataset)
            if let survey = try read(result, known: known) { return survey }
            api.logger.warning("the region's INFORMATION_SCHEMA does not show \(known): asking dataset by dataset")
        } catch let error as WarehouseError where error.code == .accessDenied || error.code == .resourcesExceeded {
            api.logger.warning(
                "the region's INFORMATION_SCHEMA cannot be used: asking dataset by dataset",
                metadata: ["error": "\(error)"])
        }
        return try await surveyByDataset(datasets, tables)
    }

    static let mostDatasetsPerQuery = 200

    /// The number of datasets that one query may be billed for. BigQuery bills at least 10 MB for each of a dataset's two views.
    /// https://cloud.google.com/bigquery/docs/best-practices-costs#limit_query_costs_by_restricting_the_number_of_bytes_billed
    private var datasetsPerQuery: Int {
        guard let bytes = maximumBytesBilled else { return Self.mostDatasetsPerQuery }
        return max(1, min(Self.mostDatasetsPerQuery, Int(bytes / (2 * 10_485_760))))
    }

    private func surveyByDataset(_ datasets: [DatasetID], _ tables: [NamedTable]) async throws -> SchemaSurvey {
        let locations = try await locationsOfDatasets()
        let (existing, missing) = datasets.split { locations[$0]?.lowercased() == location.lowercased() }
        var survey = try await surveyInBatches(existing, tables)
        for dataset in missing { survey.findings[dataset] = Self.nothing }
        return survey
    }

    private static let nothing = SchemaSurvey.Finding(datasetExists: false, absent: [], differing: [])

    /// One dataset that refuses the query or is missing fails the query for its whole batch, so the batch is halved until that
    /// dataset is alone. The tables of a dataset that refuses are then read one by one, so that its organization gets the error.
    private func surveyInBatches(_ datasets: [DatasetID], _ tables: [NamedTable]) async throws -> SchemaSurvey {
        var survey = SchemaSurvey(findings: [:])
        let size = datasetsPerQuery
        for start in stride(from: 0, to: datasets.count, by: size) {
            let batch = datasets[start..<min(start + size, datasets.count)]
            try await halvingOnRefusal(batch, isRefusal: Self.concernsADataset) { part in
                let part = Array(part)
                let statement = SurveyStatement(source: .datasets(part), datasets: part, tables: tables, known: nil)
                let result = try await run(statement.statement, scope: .dataset)
                let found = try read(result, known: nil)
                survey.findings.merge(found?.findings ?? [:]) { _, new in new }
                survey.bytesBilled += result.bytesBilled
            } refused: { part, error in
                let all = SchemaSurvey.Finding(datasetExists: true, absent: [], differing: Set(tables.map(\.name)))
                for dataset in part {
                    let isThere = (error as? WarehouseError)?.code == .notFound ? false : try await mayBeThere(dataset)
                    survey.findings[dataset] = isThere ? all : Self.nothing
                }
            }
        }
        return survey
    }

    private static func concernsADataset(_ error: any Error) -> Bool {
        guard let error = error as? WarehouseError else { return false }
        return [.accessDenied, .notFound, .resourcesExceeded].contains(error.code)
    }

    /// Whether the dataset may exist. If the account may not read the project's metadata, BigQuery refuses access to a missing
    /// dataset, too.
    private func mayBeThere(_ id: DatasetID) async throws -> Bool {
        do {
            return try await dataset(id) != nil
        } catch let error as WarehouseError where error.code == .accessDenied {
            return true
        }
    }

    /// - Parameter known: A table that certainly exists. The answer must have a row about it. Without that row, a lost answer
    ///   would look the same as datasets that agree.
    /// - Returns: `nil` if the query did not see the known table.
    private func read(_ result: QueryResult, known: TableReference?) throws -> SchemaSurvey? {
        var survey = SchemaSurvey(findings: [:], bytesBilled: result.bytesBilled)
        var hasKnown = false
        for row in result.rows {
            guard let dataset = DatasetID(try row.string("dataset")) else {
                hasKnown = true
                if try known != nil && !row.bool("is_there") { return nil }
                continue
            }
            survey.findings[dataset] = SchemaSurvey.Finding(
                datasetExists: try row.bool("is_there"), absent: try names(row.optionalString("absent")),
                differing: try names(row.optionalString("differing")))
        }
        if let known, !hasKnown {
            throw WarehouseError(
                .unexpectedResult, operation: "compare the datasets with the catalog",
                message: "the answer has no row about \(known), which every answer has", certainty: .done)
        }
        return survey
    }

    private func names(_ list: String?) -> Set<String> {
        Set((list ?? "").split(separator: ",").map(String.init))
    }

    package func createTables(_ tables: [NamedTable], in dataset: DatasetID) async throws {
        let references = tables.compactMap { table in
            TableReference(dataset, table.name).map { (reference: $0, table: table.table) }
        }
        let (scripted, others) = references.split { TableDDL.canExpress($0.table) }
        for other in others { _ = try await createTable(other.reference, other.table) }
        for part in Self.scripts(of: scripted.map { TableDDL.statement($0.reference, $0.table) }) {
            let script = Statement(
                "create \(part.count) tables in \(dataset)", part.joined(separator: "\n"))
            // IF NOT EXISTS may fail if another client creates the same table at that moment. On the retry, the table exists.
            _ = try await RetryPolicy(attempts: 5, budget: .seconds(60)).run(
                on: api.time, decide: { ($0 as? WarehouseError)?.code == .alreadyExists ? .retry() : .stop }
            ) { _ in
                try await whileNotVisible(dataset) { try await run(script, scope: .dataset) }
            }
        }
        for table in scripted { created.insert(table.reference) }
    }

    /// A query may have at most 1,024 k characters: https://cloud.google.com/bigquery/quotas#query_jobs
    static let charactersPerScript = 500_000

    private static func scripts(of statements: [String]) -> [[String]] {
        var scripts: [[String]] = []
        var size = 0
        for statement in statements {
            if scripts.isEmpty || size + statement.utf8.count > charactersPerScript {
                scripts.append([])
                size = 0
            }
            scripts[scripts.count - 1].append(statement)
            size += statement.utf8.count
        }
        return scripts
    }
}

extension Array {
    /// Returns the elements that satisfy the condition and the others, both in their original order.
    func split(_ condition: (Element) throws -> Bool) rethrows -> (matching: [Element], others: [Element]) {
        (try filter(condition), try filter { try !condition($0) })
    }
}

/// Compares many datasets with the catalog in one statement over `INFORMATION_SCHEMA`.
///
/// The statement returns one row for each dataset that seems to differ:
///
/// - It always reports a missing table or column, a view in place of a table, or a different type, mode, partitioning column, or
///   clustering.
/// - It may report a table that agrees after all: types of RECORDs are compared as text, and partitions by ingestion time or by a
///   range always count as a difference.
/// - It cannot compare the unit of the partitions, because the views do not show it.
///
/// A region's views keep showing the tables of a deleted dataset for as long as it can be restored, even beside the tables of a
/// new dataset with the same name. Therefore a table counts only if it is no older than its dataset. Two tables with the same
/// name, which COLUMNS mixes, always count as a difference. https://cloud.google.com/bigquery/docs/information-schema-intro
/// COLUMNS mixes, always count as a difference. https://cloud.google.com/bigquery/docs/information-schema-intro
struct SurveyStatement {
    /// The source of the columns and datasets.
    enum Source {
        /// All datasets of a location, such as `region-us`.
        case region(String)
        /// These datasets, which exist. A query may reference at most 1,000 tables.
        case datasets([DatasetID])
    }

    var source: Source
    var datasets: [DatasetID]
    var tables: [NamedTable]
    /// A table that the query should see. The row with an empty dataset reports whether it did.
    var known: TableReference?

    var statement: Statement {
        Statement(
            "compare \(datasets.count) datasets with the catalog",
            Self.sql(columns: columnsView, tables: tablesView, schemata: schemataView),
            parameters: [
                "datasets": .strings(datasets.map(\.name)), "columns": .array(of: Self.columnType, expectedColumns),
                "known_dataset": .string(known?.dataset.name ?? ""), "known_table": .string(known?.table ?? ""),
            ])
    }

    private var columnsView: String {
        view(
            "COLUMNS",
            "table_schema, table_name, column_name, ordinal_position, data_type, is_nullable, is_partitioning_column, "
                + "clustering_ordinal_position")
    }

    private var tablesView: String { view("TABLES", "table_schema, table_name, table_type, creation_time") }

    private var schemataView: String {
        switch source {
        case .region(let region): "`\(region)`.INFORMATION_SCHEMA.SCHEMATA"
        // These datasets exist, and the query sees no others with the same names.
        case .datasets:
            "(SELECT schema_name, TIMESTAMP_SECONDS(0) AS creation_time FROM UNNEST(@datasets) AS schema_name)"
        }
    }

    private func view(_ name: String, _ columns: String) -> String {
        switch source {
        case .region(let region): "`\(region)`.INFORMATION_SCHEMA.\(name)"
        case .datasets(let datasets):
            "("
                + datasets.map { "SELECT \(columns) FROM `\($0)`.INFORMATION_SCHEMA.\(name)" }
                .joined(separator: " UNION ALL ") + ")"
        }
    }

    /// The statement reads each view once. The row with an empty dataset is about the table that the query should see.
    static func sql(columns: String, tables: String, schemata: String) -> String {
        """
        WITH
          expected AS (SELECT table_name, column_name, data_type, nullable, partitioning, clustering FROM UNNEST(@columns)),
          wanted AS (
            SELECT
              table_name, COUNT(*) AS column_count, COUNTIF(partitioning) AS partitioning_count,
              COUNTIF(clustering > 0) AS clustering_count
            FROM expected
            GROUP BY table_name),
          asked AS (
            SELECT d AS dataset, d AS table_schema, table_name, column_count, partitioning_count, clustering_count
            FROM UNNEST(@datasets) AS d
            CROSS JOIN wanted
            UNION ALL
            SELECT '', @known_dataset, @known_table, 0, 0, 0),
          compared AS (
            SELECT
              p.table_schema, p.table_name,
              COUNTIF(
                p.data_type = e.data_type AND (p.is_nullable = 'YES' OR NOT e.nullable)
                AND (p.is_partitioning_column = 'YES') = e.partitioning
                AND IFNULL(p.clustering_ordinal_position, 0) = e.clustering) AS agreeing_count,
              COUNTIF(p.is_partitioning_column = 'YES') AS partitioning_count,
              COUNTIF(p.clustering_ordinal_position IS NOT NULL) AS clustering_count,
              COUNT(p.ordinal_position) - COUNT(DISTINCT p.ordinal_position) AS mixed_count
            FROM \(columns) AS p
            LEFT JOIN expected AS e ON e.table_name = p.table_name AND e.column_name = LOWER(p.column_name)
            WHERE p.table_schema IN UNNEST(@datasets) OR (p.table_schema = @known_dataset AND p.table_name = @known_table)
            GROUP BY p.table_schema, p.table_name),
          schemata AS (
            SELECT schema_name, MAX(creation_time) AS creation_time FROM \(schemata) AS all_schemata GROUP BY schema_name)
        SELECT
          a.dataset,
          COUNT(IF(a.dataset = '', IF(t.table_name IS NULL, NULL, c.table_name), s.schema_name)) > 0 AS is_there,
          STRING_AGG(IF(c.table_name IS NULL OR t.table_name IS NULL, a.table_name, NULL)) AS absent,
          STRING_AGG(IF(c.table_name IS NULL OR t.table_name IS NULL, NULL, a.table_name)) AS differing
        FROM asked AS a
        LEFT JOIN schemata AS s ON s.schema_name = a.table_schema
        LEFT JOIN compared AS c ON c.table_schema = a.table_schema AND c.table_name = a.table_name
        LEFT JOIN (
          SELECT table_schema, table_name, table_type, creation_time
          FROM \(tables) AS all_tables
          WHERE table_schema IN UNNEST(@datasets) OR (table_schema = @known_dataset AND table_name = @known_table)) AS t
          ON t.table_schema = a.table_schema AND t.table_name = a.table_name AND t.creation_time >= s.creation_time
        WHERE
          a.dataset = '' OR s.schema_name IS NULL OR c.table_name IS NULL OR t.table_name IS NULL
          OR t.table_type NOT IN ('BASE TABLE', 'CLONE') OR c.agreeing_count < a.column_count OR c.mixed_count > 0
          OR c.partitioning_count != a.partitioning_count OR c.clustering_count != a.clustering_count
        GROUP BY a.dataset
        """
    }

    private static let columnType = SQLType.structure([
        SQLType.Field("table_name", .string), SQLType.Field("column_name", .string),
        SQLType.Field("data_type", .string),
        SQLType.Field("nullable", .bool), SQLType.Field("partitioning", .bool), SQLType.Field("clustering", .int64),
    ])

    private var expectedColumns: [SQLValue] {
        tables.flatMap { named in
            let clustering = (named.table.clustering?.fields ?? []).map { $0.lowercased() }
            let partitioning = named.table.timePartitioning?.field?.lowercased()
            return named.table.schema.fields.map { field in
                let name = field.name.lowercased()
                return SQLValue.structure([
                    SQLValue.Field("table_name", .string(named.name)), SQLValue.Field("column_name", .string(name)),
                    SQLValue.Field("data_type", .string(field.sqlType)),
                    SQLValue.Field("nullable", .bool(field.mode == .nullable)),
                    SQLValue.Field("partitioning", .bool(name == partitioning)),
                    SQLValue.Field("clustering", .int64(Int64((clustering.firstIndex(of: name) ?? -1) + 1))),
                ])
            }
        }
    }
}
