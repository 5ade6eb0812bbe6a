package import JobRuntime
package import Warehouse

/// The GoogleSQL statements with which an operator rebuilds one table with the partitioning and clustering of the catalog.
///
/// BigQuery cannot partition a table in place (fact BQ-51). The statements create a new table beside the old one, copy all rows and columns,
/// compare both, and swap their names. The old table stays. No job executes them.
///
/// ```swift
/// print(TableRebuild(of: reference, actual: actual, as: catalog, on: today).script)
/// ```
package struct TableRebuild: Sendable {
    package struct Step: Sendable {
        package var purpose: String
        package var sql: String
    }

    /// Why the statements cannot do it; `nil` if they can.
    package private(set) var obstacle: String?
    /// Up to the comparison nothing of the old table changes, unless it demands a filter by partition.
    package private(set) var copy: [Step] = []
    package private(set) var comparison = Step(purpose: "", sql: "")
    package private(set) var swap: [Step] = []
    package private(set) var wayBack: [Step] = []
    /// What the new table does not get by these statements.
    package private(set) var losses: [String] = []

    private let reference: TableReference
    private let kept: String

    /// - Parameters:
    ///   - actual: The table as it was read.
    ///   - expected: The table of the catalog.
    ///   - day: Becomes a part of the old table's new name.
    package init(of reference: TableReference, actual: Table, as expected: Table, on day: CivilDate) {
        self.reference = reference
        kept = "\(reference.table)_before_\("\(day)".filter(\.isNumber))"
        let built = "\(reference.table)_rebuilt"
        guard let copy = TableReference(reference.dataset, built), let old = TableReference(reference.dataset, kept)
        else {
            obstacle = "the table's name is too long for a second one beside it"
            return
        }
        let new = Self.table(actual, as: expected)
        obstacle = Self.obstacle(to: new)
        losses = Self.losses(of: actual)
        var unfiltered = new
        unfiltered.requirePartitionFilter = nil
        let columns = actual.schema.fields.map { ColumnName.quoted($0.name) }.joined(separator: ", ")
        if actual.requirePartitionFilter == true {
            self.copy.append(
                Step(
                    purpose: "Let statements read the whole table",
                    sql: "ALTER TABLE \(reference.sql) SET OPTIONS (require_partition_filter = FALSE);"))
        }
        self.copy += [
            Step(
                purpose: "Create the new table beside the old one",
                sql: TableDDL.statement(copy, unfiltered, ifMissing: false)),
            Step(
                purpose: "Copy all rows and columns",
                sql: "INSERT INTO \(copy.sql) (\(columns))\nSELECT \(columns) FROM \(reference.sql);"),
        ]
        comparison = Step(
            purpose: "Compare both tables; the statement fails if they differ",
            sql: Self.comparison(of: reference, and: copy, columns))
        swap = [
            Step(purpose: "Keep the old table under another name", sql: Self.rename(reference, kept)),
            Step(purpose: "Give the new table the name", sql: Self.rename(copy, reference.table)),
        ]
        if new.requirePartitionFilter == true {
            swap.append(
                Step(
                    purpose: "Demand a filter by partition, as the catalog does",
                    sql: "ALTER TABLE \(reference.sql) SET OPTIONS (require_partition_filter = TRUE);"))
        }
        wayBack = [
            Step(purpose: "Put the new table aside", sql: Self.rename(reference, built)),
            Step(purpose: "Give the old table its name again", sql: Self.rename(old, reference.table)),
        ]
    }

    /// All of it as a script with comments. The way back is commented out.
    package var script: String {
        var lines = ["-- How to rebuild \(reference) with the partitioning and clustering of the catalog"]
        if let obstacle {
            return (lines + ["-- This cannot be done by statements: \(obstacle)."]).joined(separator: "\n")
        }
        lines += [
            "-- 1. Stop everything that writes to the table, also streaming inserts, and do not run org-sync-all meanwhile.",
            "--    BigQuery neither renames a table with a streaming buffer nor shows all of its rows to a copy. The buffer is",
            "--    empty at the latest 90 minutes after the last insert: bq show says \"streamingBuffer\" until then.",
            "-- 2. Run the statements one by one. The copy and the comparison read the whole table and are billed.",
            "--    An INSERT writes at most 4,000 partitions; copy a longer history in parts, with a WHERE for each.",
        ]
        if !losses.isEmpty {
            lines.append(
                "-- 3. Set these again afterward, because the statements do not carry them: \(losses.joined(separator: ", "))."
            )
        }
        lines.append("-- Grants and row access policies of the table itself do not move to the new one.")
        for step in copy + [comparison] + swap { lines += ["", "-- \(step.purpose)", step.sql] }
        lines += [
            "", "-- Between the two renames the table does not exist for a moment. The old one stays as \(kept).",
        ]
        lines.append("-- To go back, first copy the rows that were written since, then:")
        for step in wayBack { lines.append("-- \(step.sql)") }
        return lines.joined(separator: "\n")
    }

    /// The actual columns, also those that the catalog does not have, in the layout of the catalog.
    private static func table(_ actual: Table, as expected: Table) -> Table {
        var table = Table(
            description: expected.description ?? actual.description,
            fields: SchemaDiff(expected: expected, actual: actual).merged,
            timePartitioning: expected.timePartitioning, clustering: expected.clustering,
            labels: (actual.labels ?? [:]).merging(expected.labels ?? [:]) { $1 })
        table.rangePartitioning = expected.rangePartitioning
        table.requirePartitionFilter = expected.requirePartitionFilter
        return table
    }

    private static func obstacle(to table: Table) -> String? {
        if let type = table.type, type != "TABLE" { return "it is \(type)" }
        let column = table.timePartitioning?.field ?? table.rangePartitioning?.field
        guard let column else {
            return table.timePartitioning == nil
                ? nil : "it would be partitioned by the time of ingestion, which the rows do not have any more"
        }
        let field = table.schema.fields.first { $0.name.lowercased() == column.lowercased() }
        let types = table.rangePartitioning == nil ? ["DATE", "TIMESTAMP", "DATETIME"] : ["INT64"]
        guard let field, types.contains(field.canonicalType), field.mode != .repeated else {
            return "\(column) is \(field?.sqlType ?? "missing"), by which BigQuery cannot partition"
        }
        return nil
    }

    private static func losses(of table: Table) -> [String] {
        func guarded(_ fields: [FieldSchema], _ path: String) -> [String] {
            fields.flatMap { field in
                let own = !field.policyTags.isEmpty || (field.isGuarded && field.fields.isEmpty)
                return (own ? ["policies of \(path)\(field.name)"] : [])
                    + guarded(field.fields, "\(path)\(field.name).")
            }
        }
        return table.attributes.keys.sorted() + guarded(table.schema.fields, "")
    }

    private static func rename(_ table: TableReference, _ name: String) -> String {
        "ALTER TABLE \(table.sql) RENAME TO \(ColumnName.quoted(name));"
    }

    /// The number of rows and the sum of their fingerprints: equal for equal rows in any order.
    private static func comparison(of old: TableReference, and new: TableReference, _ columns: String) -> String {
        func summary(_ table: TableReference) -> String {
            """
            (
                SELECT COUNT(*) AS row_count, SUM(CAST(FARM_FINGERPRINT(TO_JSON_STRING(t)) AS BIGNUMERIC)) AS checksum
                FROM (SELECT \(columns) FROM \(table.sql)) AS t
              )
            """
        }
        return """
            SELECT
              IF(
                o.row_count = n.row_count AND IFNULL(o.checksum = n.checksum, o.row_count = 0),
                FORMAT('equal: %d rows', o.row_count),
                ERROR(FORMAT('%d rows before and %d in the copy, or other values: do not swap', o.row_count, n.row_count))
              ) AS outcome
            FROM
              \(summary(old)) AS o
              CROSS JOIN \(summary(new)) AS n;
            """
    }
}
