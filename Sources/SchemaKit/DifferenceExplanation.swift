import JobRuntime
import Warehouse

/// Describes the kinds of differences that a run found, what closes them, and the statements that rebuild a table.
struct DifferenceExplanation {
    var warehouse: any SchemaWarehouse
    var tables: [NamedTable]
    /// Becomes a part of the name under which a rebuilt table's old rows are kept.
    var day: CivilDate

    /// Prints each kind of difference once. For partitioning, it reads one table and prints the statements for it; nothing is
    /// executed.
    func print(
        _ entries: [(key: DifferenceLog.Entry, value: DifferenceLog.Found)], to report: RunReport
    ) async throws {
        guard !entries.isEmpty else { return report.line("no difference to explain") }
        let kinds = Set(entries.map(\.key.difference.kind))
        for kind in SchemaDifference.Kind.allCases where kinds.contains(kind) {
            report.line("\(kind.rawValue): \(kind.meaning)")
            report.line("  \(kind.remedy)")
        }
        guard let example = entries.first(where: { $0.key.difference.kind == .partitioning }),
            let dataset = example.value.datasets.first, let reference = TableReference(dataset, example.key.table),
            let expected = tables.first(where: { $0.name == example.key.table })
        else { return }
        guard let actual = try await warehouse.table(reference) else { return }
        let script = TableRebuild(of: reference, actual: actual, as: expected.table, on: day).script
        report.line("")
        script.split(separator: "\n", omittingEmptySubsequences: false).forEach { report.line(String($0)) }
        report.attach("rebuild", .string(script))
    }
}

extension SchemaDifference.Kind {
    /// What such a difference is, as a sentence.
    package var meaning: String {
        switch self {
        case .table: "A view or another object has the name of a table."
        case .type: "A column has another type than in the catalog."
        case .mode: "A column is REQUIRED in the table and not in the catalog, or the other way round."
        case .partitioning: "The table has no partitions or other ones. Queries with a filter by day read all of it."
        case .clustering: "The table is not clustered or clustered by other columns. Queries read more of it."
        case .expiration: "BigQuery deletes old partitions of the table after another time."
        case .partitionFilter: "Queries must name partitions of the table, or need not."
        case .tableExpiration: "BigQuery will delete the table at a set time, or would by the catalog."
        case .defaultValue: "A column that a row does not name gets another value."
        case .policyTags: "Other people may read a column than the catalog says."
        case .collation: "Texts of a column compare in another way."
        case .roundingMode: "Numbers of a column are rounded in another way."
        case .encryption: "The table is encrypted with another key."
        case .friendlyName: "The table has another display name."
        case .description: "The description of the table or of a column differs."
        case .labels: "The table lacks a label of the catalog, or has another value for it."
        case .datasetExpiration: "The dataset gives new tables or partitions a time after which BigQuery deletes them."
        case .extraColumns: "The table has columns of a customer, or of an older catalog."
        }
    }

    /// What closes such a difference, as sentences.
    package var remedy: String {
        switch self {
        case .table: "Rename the object, or leave it out of the catalog; the next run creates the table."
        case .type: "Correct the catalog, or copy the table into one with the right type as for partitioning."
        case .mode:
            "ALTER TABLE ... ALTER COLUMN ... DROP NOT NULL makes a REQUIRED column NULLABLE. The other way needs a new table."
        case .partitioning:
            "BigQuery cannot change it in place. Rebuild the table with the statements of --explain, or tolerate layout."
        case .clustering:
            "--apply clustering sets it for new rows. UPDATE ... SET a column to itself clusters the old ones."
        case .expiration:
            "Decide which is right, then ALTER TABLE ... SET OPTIONS (partition_expiration_days = ...). Shorter deletes rows."
        case .partitionFilter: "ALTER TABLE ... SET OPTIONS (require_partition_filter = ...)."
        case .tableExpiration: "ALTER TABLE ... SET OPTIONS (expiration_timestamp = NULL) keeps the table."
        case .defaultValue: "--apply defaults sets it for new rows."
        case .policyTags: "Set the policy tag in the console or with bq update."
        case .collation: "It counts for new tables only. Copy the table as for partitioning."
        case .roundingMode: "ALTER TABLE ... ALTER COLUMN ... SET OPTIONS (rounding_mode = ...), for new rows."
        case .encryption: "bq update --destination_kms_key ..., or copy the table."
        case .friendlyName: "ALTER TABLE ... SET OPTIONS (friendly_name = ...)."
        case .description: "--apply descriptions sets it."
        case .labels: "--apply labels sets it. Other labels of the table stay."
        case .datasetExpiration:
            "ALTER SCHEMA ... SET OPTIONS (default_table_expiration_days = NULL) for new tables; tables that exist keep theirs."
        case .extraColumns:
            "Put them back into the catalog, or ALTER TABLE ... DROP COLUMN, which deletes their values. No job drops a column."
        }
    }
}
