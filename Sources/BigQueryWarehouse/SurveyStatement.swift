import JobRuntime
import Warehouse

/// Reads what the tables of many datasets look like, in one statement over `INFORMATION_SCHEMA`.
///
/// The statement describes each table by a text, its shape: the columns of the catalog with type, mode, default, policy tags,
/// collation, rounding mode and description, the layout and the options. ``SurveyedTable`` reads this text. The summary has one
/// row for each distinct shape of a table, so 100,000 datasets that look alike come back as one row for each table.
///
/// - `COLUMNS` shows neither the modes within a RECORD nor the unit of partitions. Both are in the DDL that `TABLES` shows (fact BQ-63):
///   https://cloud.google.com/bigquery/docs/information-schema-tables
/// - Columns and options that are not compared are left out, so that columns and labels of single customers do not make new
///   shapes. A table with RECORDs is the exception: its DDL is a part of its shape. Columns that no catalog has are counted for each
///   shape.
/// - A region's views keep showing the tables of a deleted dataset for as long as it can be restored, even beside the tables of
///   a new dataset with the same name. Therefore a table counts only if it is no older than its dataset (fact BQ-61).
///   https://cloud.google.com/bigquery/docs/information-schema-intro
/// - Each view is read once, because BigQuery bills what is read.
/// - `COLUMNS` also shows the pseudo-columns of a table with partitions by ingestion time, whose names begin with `_PARTITION`.
///   https://cloud.google.com/bigquery/docs/information-schema-columns
struct SurveyStatement {
    /// Where the views are.
    enum Source {
        /// The views of a location, such as `region-us`. They show all of its datasets.
        case region(String)
        /// The views of these datasets, which exist. They do not show the datasets' default expirations.
        case datasets([DatasetID])
    }

    var source: Source
    var scope: SurveyScope
    var tables: [NamedTable]

    /// The most members that a row of the summary names. A row about the most common state of a table names three, so that the
    /// answer to a run in sync is small.
    static let mostMembers = 1_000

    /// How many different lists of additional columns a row of the summary has.
    private static let mostExtras = 100

    private var mostMembersOfMostCommonState: Int {
        if case .region = source { 3 } else { Self.mostMembers }
    }

    private var knownTable: TableReference? {
        if case .table(let table) = scope.known { table } else { nil }
    }

    /// One row for each state: `table_name` (empty for the dataset itself), `shape` (NULL for what is not shown), `shape_key`, the
    /// number of `datasets` and the `members` as text. `extra_datasets` is how many of them have columns that the catalog does not have;
    /// `extra_columns` are these columns, and `extra_members` names three of these datasets.
    var summary: Statement {
        statement(
            "compare the datasets with the catalog",
            """
            SELECT
              table_name, shape, shape_key, datasets,
              IF(datasets = MAX(datasets) OVER (PARTITION BY table_name), few_members, members) AS members,
              extra_datasets, extra_columns, extra_members
            FROM (
              SELECT
                table_name, TO_HEX(MD5(shape)) AS shape_key, ANY_VALUE(shape) AS shape, COUNT(*) AS datasets,
                ARRAY_TO_STRING(
                  ARRAY_AGG(subject || '=' || dataset ORDER BY subject LIMIT \(mostMembersOfMostCommonState)), ',')
                  AS few_members,
                ARRAY_TO_STRING(
                  ARRAY_AGG(subject || '=' || dataset ORDER BY subject LIMIT \(Self.mostMembers)), ',') AS members,
                COUNT(extras) AS extra_datasets,
                STRING_AGG(DISTINCT extras, @record LIMIT \(Self.mostExtras)) AS extra_columns,
                ARRAY_TO_STRING(
                  ARRAY_AGG(IF(extras IS NULL, NULL, subject || '=' || dataset) IGNORE NULLS ORDER BY subject LIMIT 3), ',')
                  AS extra_members
              FROM shown
              GROUP BY table_name, shape_key)
            ORDER BY table_name, shape
            """)
    }

    /// One row for each dataset and table in one of the states: `table_name`, `shape_key`, `subject` and `dataset`.
    func members(of keys: [String]) -> Statement {
        var statement = statement(
            "name the datasets that differ",
            """
            SELECT table_name, shape_key, subject, dataset
            FROM (SELECT table_name, TO_HEX(MD5(shape)) AS shape_key, subject, dataset FROM shown)
            WHERE subject != '' AND table_name || ':' || IFNULL(shape_key, '') IN UNNEST(@keys)
            ORDER BY subject
            """)
        statement.parameters.append(SQLValue.Field("keys", .strings(keys)))
        return statement
    }

    /// The datasets themselves, as the columns `subject` and `dataset`.
    static func targets(_ scope: SurveyScope) -> Statement {
        var statement = Statement(
            "list the datasets",
            "SELECT subject, dataset FROM (\(targetsSQL(scope))) AS asked WHERE \(share)\nORDER BY subject")
        statement.parameters = shareParameters(scope) + targetParameters(scope)
        return statement
    }

    /// The part of the datasets that this task compares, the same one in each statement (fact BQ-66).
    private static let share = "ABS(MOD(FARM_FINGERPRINT(subject), @task_count)) = @task_index"

    private static func shareParameters(_ scope: SurveyScope) -> [SQLValue.Field] {
        [
            SQLValue.Field("task_count", .int64(Int64(scope.task.count))),
            SQLValue.Field("task_index", .int64(Int64(scope.task.index))),
        ]
    }

    private static func targetsSQL(_ scope: SurveyScope) -> String {
        switch scope.targets {
        case .datasets: "SELECT subject, dataset FROM UNNEST(@datasets)"
        case .rows(let statement): statement.sql
        }
    }

    private static func targetParameters(_ scope: SurveyScope) -> [SQLValue.Field] {
        switch scope.targets {
        case .datasets(let targets):
            let type = SQLType.structure([SQLType.Field("subject", .string), SQLType.Field("dataset", .string)])
            let values = targets.map {
                SQLValue.structure([
                    SQLValue.Field("subject", .string($0.subject)), SQLValue.Field("dataset", .string($0.dataset.name)),
                ])
            }
            return [SQLValue.Field("datasets", .array(of: type, values))]
        case .rows(let statement): return statement.parameters
        }
    }

    private func statement(_ purpose: String, _ select: String) -> Statement {
        var statement = Statement(purpose, Self.sql(scope, views: views) + "\n" + select)
        statement.parameters =
            Self.shareParameters(scope) + Self.targetParameters(scope)
            + [
                SQLValue.Field("unit", .string(SurveyedTable.unit)),
                SQLValue.Field("record", .string(SurveyedTable.record)),
                SQLValue.Field("group", .string(SurveyedTable.group)),
                SQLValue.Field("known_dataset", .string(knownTable?.dataset.name ?? "")),
                SQLValue.Field("tables", .array(of: Self.tableType, expectedTables)),
            ]
        return statement
    }

    /// The names of the views, or what stands for them.
    struct Views {
        var schemata, schemataOptions, tables, tableOptions, columns, columnFieldPaths: String
    }

    private var views: Views {
        switch source {
        case .region(let region):
            func view(_ name: String) -> String { "`\(region)`.INFORMATION_SCHEMA.\(name)" }
            return Views(
                schemata: view("SCHEMATA"), schemataOptions: view("SCHEMATA_OPTIONS"), tables: view("TABLES"),
                tableOptions: view("TABLE_OPTIONS"), columns: view("COLUMNS"),
                columnFieldPaths: view("COLUMN_FIELD_PATHS"))
        case .datasets(let datasets):
            func view(_ name: String, _ columns: String) -> String {
                let parts = datasets.map { "SELECT \(columns) FROM `\($0)`.INFORMATION_SCHEMA.\(name)" }
                return "(\(parts.joined(separator: " UNION ALL ")))"
            }
            return Views(
                // These datasets exist, and the query sees no others with the same names.
                schemata:
                    "(SELECT dataset AS schema_name, TIMESTAMP_SECONDS(0) AS creation_time FROM UNNEST(@datasets))",
                schemataOptions: "(SELECT '' AS schema_name, '' AS option_name, '' AS option_value)",
                tables: view(
                    "TABLES", "table_schema, table_name, table_type, creation_time, ddl, default_collation_name"),
                tableOptions: view("TABLE_OPTIONS", "table_schema, table_name, option_name, option_value"),
                columns: view(
                    "COLUMNS",
                    "table_schema, table_name, column_name, ordinal_position, data_type, is_nullable, "
                        + "is_partitioning_column, clustering_ordinal_position, column_default"),
                columnFieldPaths: view(
                    "COLUMN_FIELD_PATHS",
                    "table_schema, table_name, column_name, field_path, description, collation_name, rounding_mode, "
                        + "policy_tags"))
        }
    }

    /// The number of views that the statement reads for each dataset.
    static let viewsOfDataset = 4

    /// Everything up to the final SELECT. The known table is a target without a subject.
    static func sql(_ scope: SurveyScope, views: Views) -> String {
        let (unit, record, group) = ("@unit", "@record", "@group")
        func join(_ columns: String...) -> String { columns.joined(separator: " || \(unit) || ") }
        /// The rows of a view about tables of the catalog whose name, of a column or an option, is in the table's list.
        func joinWanted(_ list: String, _ name: String) -> String {
            "JOIN wanted AS w ON NOT w.is_known AND w.table_name = v.table_name AND \(isWanted(list, name))"
        }
        func isWanted(_ list: String, _ name: String) -> String {
            "STRPOS(w.\(list), \(unit) || \(name) || \(unit)) > 0"
        }
        return """
            WITH
              targets AS (
                SELECT subject, dataset FROM (\(targetsSQL(scope))) AS asked WHERE \(share)
                UNION ALL
                SELECT '', @known_dataset),
              wanted AS (SELECT table_name, column_names, option_names, has_records, is_known FROM UNNEST(@tables)),
              all_schemata AS (
                SELECT schema_name, MAX(creation_time) AS creation_time FROM \(views.schemata) AS v GROUP BY schema_name),
              all_defaults AS (
                SELECT
                  schema_name,
                  STRING_AGG(\(join("option_name", "option_value")), \(record) ORDER BY option_name) AS defaults
                FROM \(views.schemataOptions) AS v
                WHERE option_name IN ('default_table_expiration_days', 'default_partition_expiration_days')
                GROUP BY schema_name),
              all_options AS (
                SELECT
                  v.table_schema, v.table_name,
                  STRING_AGG(
                    \(join("v.option_name", "IF(v.option_name = 'expiration_timestamp', '', v.option_value)")),
                    \(record) ORDER BY v.option_name) AS options
                FROM \(views.tableOptions) AS v
                \(joinWanted("option_names", "v.option_name"))
                GROUP BY v.table_schema, v.table_name),
              all_columns AS (
                SELECT
                  v.table_schema, v.table_name,
                  STRING_AGG(
                    IF(
                      \(isWanted("column_names", "LOWER(v.column_name)")),
                      \(join(
                        "v.column_name", "v.data_type", "IFNULL(v.is_nullable, '')", "IFNULL(v.is_partitioning_column, '')",
                        "IFNULL(CAST(v.clustering_ordinal_position AS STRING), '')", "IFNULL(v.column_default, '')")),
                      NULL),
                    \(record) ORDER BY LOWER(v.column_name), v.ordinal_position) AS columns,
                  STRING_AGG(
                    IF(
                      \(isWanted("column_names", "LOWER(v.column_name)"))
                      OR STARTS_WITH(UPPER(v.column_name), '_PARTITION'), NULL, v.column_name),
                    \(unit) ORDER BY v.column_name) AS extras
                FROM \(views.columns) AS v
                JOIN wanted AS w ON NOT w.is_known AND w.table_name = v.table_name
                GROUP BY v.table_schema, v.table_name),
              all_paths AS (
                SELECT
                  v.table_schema, v.table_name,
                  STRING_AGG(
                    \(join(
                        "v.field_path", "IFNULL(v.description, '')", "IFNULL(v.collation_name, '')",
                        "IFNULL(v.rounding_mode, '')", "IFNULL(ARRAY_TO_STRING(v.policy_tags, ','), '')")),
                    \(record) ORDER BY v.field_path) AS paths
                FROM \(views.columnFieldPaths) AS v
                \(joinWanted("column_names", "LOWER(v.column_name)"))
                GROUP BY v.table_schema, v.table_name),
              shown AS (
                SELECT
                  a.subject, a.dataset, w.table_name,
                  CASE
                    WHEN s.schema_name IS NULL THEN NULL
                    WHEN w.table_name = '' THEN IFNULL(d.defaults, '')
                    WHEN t.table_name IS NULL THEN NULL
                    WHEN w.is_known THEN ''
                    WHEN c.columns IS NULL THEN NULL
                    ELSE
                      t.table_type || \(group) || c.columns || \(group) || IFNULL(p.paths, '') || \(group)
                      || IFNULL(o.options, '') || \(group)
                      || IFNULL(REGEXP_EXTRACT(t.ddl, r'\\nPARTITION BY ([^\\n]*)'), '') || \(group)
                      || IF(
                        STRPOS(w.option_names, \(unit) || 'default_collation' || \(unit)) > 0,
                        IFNULL(t.default_collation_name, ''), '') || \(group)
                      || IF(w.has_records, IFNULL(REGEXP_EXTRACT(t.ddl, r'(?s)\\n\\((.*?)\\n\\)'), ''), '')
                  END AS shape,
                  IF(t.table_name IS NULL, NULL, c.extras) AS extras
                FROM targets AS a
                JOIN wanted AS w ON w.is_known = (a.subject = '')
                LEFT JOIN all_schemata AS s ON s.schema_name = a.dataset
                LEFT JOIN all_defaults AS d ON d.schema_name = a.dataset
                LEFT JOIN \(views.tables) AS t
                ON t.table_schema = a.dataset AND t.table_name = w.table_name AND t.creation_time >= s.creation_time
                LEFT JOIN all_columns AS c ON c.table_schema = a.dataset AND c.table_name = w.table_name
                LEFT JOIN all_paths AS p ON p.table_schema = a.dataset AND p.table_name = w.table_name
                LEFT JOIN all_options AS o ON o.table_schema = a.dataset AND o.table_name = w.table_name
                WHERE w.table_name = '' OR w.is_known OR s.schema_name IS NOT NULL)
            """
    }

    private static let tableType = SQLType.structure([
        SQLType.Field("table_name", .string), SQLType.Field("column_names", .string),
        SQLType.Field("option_names", .string), SQLType.Field("has_records", .bool), SQLType.Field("is_known", .bool),
    ])

    /// The names of the options that count for a table: those that delete or hide rows, and those that its file states.
    private static func options(of table: Table) -> [String] {
        var names = ["expiration_timestamp", "partition_expiration_days", "require_partition_filter"]
        if table.description != nil { names.append("description") }
        if table.labels?.isEmpty == false { names.append("labels") }
        let members = [
            "friendlyName": "friendly_name", "encryptionConfiguration": "kms_key_name",
            "defaultRoundingMode": "default_rounding_mode", "defaultCollation": "default_collation",
        ]
        return names + members.filter { table.attributes[$0.key] != nil }.map(\.value).sorted()
    }

    private var expectedTables: [SQLValue] {
        func list(_ names: [String]) -> SQLValue {
            .string(SurveyedTable.unit + names.map { $0 + SurveyedTable.unit }.joined())
        }
        func value(
            _ name: String, columns: [String] = [], options: [String] = [], hasRecords: Bool = false,
            isKnown: Bool = false
        ) -> SQLValue {
            .structure([
                SQLValue.Field("table_name", .string(name)),
                SQLValue.Field("column_names", list(columns.map { $0.lowercased() })),
                SQLValue.Field("option_names", list(options)),
                SQLValue.Field("has_records", .bool(hasRecords)), SQLValue.Field("is_known", .bool(isKnown)),
            ])
        }
        var values = [value("")]
        values += tables.map { named in
            let fields = named.table.schema.fields
            return value(
                named.name, columns: fields.map(\.name), options: Self.options(of: named.table),
                hasRecords: fields.contains { $0.canonicalType == "STRUCT" })
        }
        if let known = knownTable { values.append(value(known.table, isKnown: true)) }
        return values
    }
}
