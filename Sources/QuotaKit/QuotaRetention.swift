package import JobRuntime
package import Warehouse
import WarehouseKit

/// Deletes rows of `org_usage_quotas` that are older than so many days. The day exactly that long ago is kept.
///
/// The condition is on the partition column alone. BigQuery's documentation says that it then drops whole partitions without reading
/// them; on a clustered table like this one that was not measured.
/// https://cloud.google.com/bigquery/docs/using-dml-with-partitioned-tables#deleting_data_from_partitioned_tables
package struct QuotaRetention: Sendable {
    private let warehouse: MeteredWarehouse
    private let daysToKeep: Int
    private let report: RunReport
    private let isDryRun: Bool

    package init(warehouse: any SQLWarehouse, daysToKeep: Int = 90, report: RunReport, isDryRun: Bool = false) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        self.daysToKeep = daysToKeep
        self.report = report
        self.isDryRun = isDryRun
    }

    package func deleteOldRows(at now: Timestamp) async throws {
        report.declare(counts: "rows_deleted", "bytes_billed")
        let firstKept = now.date.adding(days: -daysToKeep)
        let deleted = try await isDryRun ? count(before: firstKept) : delete(before: firstKept)
        report.add(Int(deleted), to: "rows_deleted")
        report.line("\(deleted) rows from before \(firstKept) \(isDryRun ? "to delete" : "deleted")")
    }

    /// With fewer days than the longest month has, the monthly counters of its first days would be deleted within it.
    package static let fewestDaysWithoutForce = 31

    /// Why the run must not go on without `--force`: it would delete days that the counters of the current month need. A day of
    /// the run that lies in the future does that, too.
    /// - Parameter wallClock: The present time, which `--date` does not change.
    package static func objection(toKeepingDays days: Int, at now: Timestamp, wallClock: Timestamp) -> String? {
        let fewest = fewestDaysWithoutForce
        if days < fewest {
            return "DAYS_TO_KEEP=\(days) would delete days of the current month, which its counters need: "
                + "set it to \(fewest) or more, or add --force"
        }
        guard now.date.adding(days: -days) > wallClock.date.adding(days: -fewest) else { return nil }
        return "as of \(now.date), DAYS_TO_KEEP=\(days) would delete days of the last \(fewest): add --force"
    }

    private func count(before date: CivilDate) async throws -> Int64 {
        let statement = Statement(
            "count the old quota rows", Self.countSQL, parameters: ["first_kept_day": .date(date)])
        return try await warehouse.query(statement).rows.first?.int64("old_rows") ?? 0
    }

    private func delete(before date: CivilDate) async throws -> Int64 {
        let statement = Statement(
            "delete the old quota rows", Self.deleteSQL, parameters: ["first_kept_day": .date(date)])
        return try await warehouse.query(statement).affectedRows ?? 0
    }

    static let countSQL =
        "SELECT COUNT(*) AS old_rows FROM \(QuotaTables.quotas.sql) WHERE usage_date < @first_kept_day"
    static let deleteSQL = "DELETE FROM \(QuotaTables.quotas.sql) WHERE usage_date < @first_kept_day"
}
