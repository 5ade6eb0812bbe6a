import JobRuntime
import QuotaKit
import SchemaKit
import Warehouse
import WarehouseKit

extension QuotaFixture {
    func rows() async throws -> [QuotaRow] {
        let result = try await warehouse.query(
            Statement("read the rows of a test", "SELECT * FROM `organizations.org_usage_quotas`"))
        return QuotaRow.inOrder(
            try result.rows.map { row in
                var read = QuotaRow(
                    id: try row.string("usage_id"), slug: try row.string("org_slug"), date: try row.date("usage_date"),
                    at: try row.timestamp("created_at"))
                read.daily = try row.int64(columns.daily)
                read.succeeded = try row.int64("pipelines_succeeded_today")
                read.failed = try row.int64("pipelines_failed_today")
                read.monthly = try row.int64(columns.monthly)
                read.running = try row.int64("concurrent_pipelines_running")
                read.dailyLimit = try row.int64("daily_limit")
                read.monthlyLimit = try row.optionalInt64("monthly_limit")
                read.concurrentLimit = try row.optionalInt64("concurrent_limit")
                read.seatLimit = try row.optionalInt64("seat_limit")
                read.providersLimit = try row.optionalInt64("providers_limit")
                read.highest = try row.optionalInt64("max_concurrent_reached")
                read.lastUpdated = try row.timestamp("last_updated")
                read.updated = try row.optionalTimestamp("updated_at")
                return read
            })
    }

    /// The row of an organization, which has one.
    func row(_ slug: String, _ date: String? = nil) async throws -> QuotaRow? {
        try await rows().first { $0.slug == slug && (date == nil || $0.date.description == date) }
    }

    func runs() async throws -> [LoggedRun] {
        try await warehouse.query(
            Statement(
                "read the runs of a test",
                """
                SELECT pipeline_logging_id, org_slug, status, start_time, end_time, duration_ms, error_message
                FROM `organizations.org_meta_pipeline_runs` ORDER BY pipeline_logging_id
                """)
        ).rows.map { row in
            var run = LoggedRun(
                try row.string("pipeline_logging_id"), try row.string("org_slug"), try row.string("status"),
                try row.timestamp("start_time"))
            run.end = try row.optionalTimestamp("end_time")
            run.durationMilliseconds = try row.optionalInt64("duration_ms")
            run.error = try row.optionalString("error_message")
            return run
        }
    }
}
