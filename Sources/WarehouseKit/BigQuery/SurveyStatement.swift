/// The bulk comparison as one statement over `INFORMATION_SCHEMA`.
///
/// It returns one row for each dataset that seems to differ. It may name a table that agrees after all (types of RECORDs are
/// compared as text; partitions by ingestion time or by a range always count as a difference), but never keeps quiet about a
/// missing column or another type, mode, partitioning column or clustering. What the view does not show it cannot compare:
/// the unit of the partitions, and whether the table is a view.
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
            Self.sql(columns: columnsView, schemata: schemataView),
            parameters: [
                "datasets": .strings(datasets.map(\.name)), "columns": .array(of: Self.columnType, expectedColumns),
                "known_dataset": .string(known?.dataset.name ?? ""), "known_table": .string(known?.table ?? ""),
            ])
    }

    private var columnsView: String {
        switch source {
        case .region(let region): "`\(region)`.INFORMATION_SCHEMA.COLUMNS"
        case .datasets(let datasets):
            "("
                + datasets.map { "SELECT \(Self.columnNames) FROM `\($0)`.INFORMATION_SCHEMA.COLUMNS" }
                .joined(separator: " UNION ALL ") + ")"
        }
    }

    private var schemataView: String {
        switch source {
        case .region(let region): "`\(region)`.INFORMATION_SCHEMA.SCHEMATA"
        case .datasets: "(SELECT schema_name FROM UNNEST(@datasets) AS schema_name)"
        }
    }

    private static let columnNames =
        "table_schema, table_name, column_name, data_type, is_nullable, is_partitioning_column, clustering_ordinal_position"

    static func sql(columns: String, schemata: String) -> String {
        """
        WITH
          expected AS (SELECT table_name, column_name, data_type, nullable, partitioning, clustering FROM UNNEST(@columns)),
          wanted AS (
            SELECT
              table_name, COUNT(*) AS column_count, COUNTIF(partitioning) AS partitioning_count,
              COUNTIF(clustering > 0) AS clustering_count
            FROM expected
            GROUP BY table_name),
          present AS (
            SELECT \(columnNames)
            FROM \(columns)
            WHERE table_schema IN UNNEST(@datasets) OR (table_schema = @known_dataset AND table_name = @known_table)),
          compared AS (
            SELECT
              p.table_schema, p.table_name,
              COUNTIF(
                p.data_type = e.data_type AND (p.is_nullable = 'YES' OR NOT e.nullable)
                AND (p.is_partitioning_column = 'YES') = e.partitioning
                AND IFNULL(p.clustering_ordinal_position, 0) = e.clustering) AS agreeing_count,
              COUNTIF(p.is_partitioning_column = 'YES') AS partitioning_count,
              COUNTIF(p.clustering_ordinal_position IS NOT NULL) AS clustering_count
            FROM present AS p
            LEFT JOIN expected AS e ON e.table_name = p.table_name AND e.column_name = LOWER(p.column_name)
            GROUP BY p.table_schema, p.table_name),
          schemata AS (SELECT schema_name FROM \(schemata))
        SELECT
          d AS dataset, COUNT(s.schema_name) > 0 AS is_there,
          STRING_AGG(IF(c.table_name IS NULL, w.table_name, NULL)) AS absent,
          STRING_AGG(IF(c.table_name IS NULL, NULL, w.table_name)) AS differing
        FROM UNNEST(@datasets) AS d
        CROSS JOIN wanted AS w
        LEFT JOIN schemata AS s ON s.schema_name = d
        LEFT JOIN compared AS c ON c.table_schema = d AND c.table_name = w.table_name
        WHERE
          -- A region's COLUMNS goes on showing a dataset that was deleted, for as long as it can be restored.
          s.schema_name IS NULL OR c.table_name IS NULL OR c.agreeing_count < w.column_count OR c.partitioning_count != w.partitioning_count
          OR c.clustering_count != w.clustering_count
        GROUP BY d
        UNION ALL
        SELECT '', COUNT(*) > 0, NULL, NULL FROM present WHERE table_schema = @known_dataset AND table_name = @known_table
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
