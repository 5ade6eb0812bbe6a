import JobRuntime
import TestSupport
import Warehouse

@testable import WarehouseKit

extension JobLease {
    /// A lease of ten minutes on a clock that begins at that moment, and leaps where it would wait.
    init(
        _ warehouse: any SQLWarehouse, _ job: String, _ holder: String, _ report: ReportFixture = ReportFixture(),
        clock: LeapingClock, from start: Timestamp, excluding others: [String] = [],
        validity: Duration = .seconds(600)
    ) {
        self.init(
            warehouse: warehouse, job: job, excluding: others, holder: holder, validity: validity,
            report: report.report, now: { start.adding(clock.time.elapsed()) }, sleep: clock.time.sleep)
    }
}

extension QuotaFixture {
    func leases() async throws -> [Row] {
        try await warehouse.query(
            Statement("read the leases of a test", "SELECT * FROM `scheduler_jobs.job_leases` ORDER BY job")
        ).rows
    }
}
