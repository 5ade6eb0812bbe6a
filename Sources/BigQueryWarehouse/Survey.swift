import HTTPTransport
import JobRuntime
import Logging
package import Warehouse

extension BigQueryWarehouse {
    /// One query over the whole region; where that cannot be had, one for each 200 datasets. Datasets of which nothing is known
    /// are asked themselves, so that what a region still shows of deleted ones cannot be taken for them.
    ///
    /// The region's views need `bigquery.tables.get` and `.list`, and TABLES `bigquery.routines.get` and `.list`, on the project,
    /// and they show only what is in the location of the job:
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

    /// As many as may be billed: BigQuery bills at least 10 MB for each of a dataset's two views.
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

    /// One dataset that refuses or is missing fails the query for its whole batch, so the batch is halved until that dataset is
    /// alone. The tables of a dataset that refuses are then read one by one, so that its organization gets the error.
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

    /// An account that may not read the project's metadata is refused for a missing dataset, too.
    private func mayBeThere(_ id: DatasetID) async throws -> Bool {
        do {
            return try await dataset(id) != nil
        } catch let error as WarehouseError where error.code == .accessDenied {
            return true
        }
    }

    /// - Parameter known: A table that certainly exists. The answer must have a row about it: without that row, datasets that
    ///   agree and an answer that was lost would look alike.
    /// - Returns: `nil` if the known table was not seen.
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
            // IF NOT EXISTS may lose against somebody who creates the same table at that moment. The second time it is there.
            _ = try await RetryPolicy(attempts: 5, budget: .seconds(60)).run(
                on: api.time, decide: { ($0 as? WarehouseError)?.code == .alreadyExists ? .retry() : .stop }
            ) { _ in
                try await whileNotVisible(dataset) { try await run(script, scope: .dataset) }
            }
        }
        for table in scripted { created.insert(table.reference) }
    }

    /// A query has 1,024 k characters at most: https://cloud.google.com/bigquery/quotas#query_jobs
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
    /// Those that satisfy the condition, and the others, each in order.
    func split(_ condition: (Element) throws -> Bool) rethrows -> (matching: [Element], others: [Element]) {
        (try filter(condition), try filter { try !condition($0) })
    }
}

/// The bulk comparison as one statement over `INFORMATION_SCHEMA`.
///
/// It returns one row for each dataset that seems to differ. It may name a table that agrees after all (types of RECORDs are
/// compared as text; partitions by ingestion time or by a range always count as a difference), but never keeps quiet about a
/// missing table or column, a view in its place, or another type, mode, partitioning column or clustering. What the views do
/// not show it cannot compare: the unit of the partitions.
///
/// A region's views go on showing the tables of a dataset that was deleted, for as long as it can be restored, also beside
/// those of a new dataset of that name. So a table counts that is no older than its dataset, and two tables of one name, which
/// COLUMNS mixes, always count as a difference. https://cloud.google.com/bigquery/docs/information-schema-intro
struct SurveyStatement {
    /// Where the columns and datasets come from.
    enum Source {
        /// All datasets of a location: `region-us`.
        case region(String)
        /// These datasets, which exist; a query may reference 1,000 tables at most.
        case datasets([DatasetID])
    }

    var source: Source
    var datasets: [DatasetID]
    var tables: [NamedTable]
    /// A table that should be seen: the row with an empty dataset says whether it was.
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
        // These are there, with no others of their names.
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

    /// Each view is read once. The row with an empty dataset is about the table that should be seen.
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
