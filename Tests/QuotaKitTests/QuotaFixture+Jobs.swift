import JobRuntime
import Logging
import QuotaKit
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

extension QuotaFixture {
    /// A quota job with its time; in another warehouse, one that fails in between.
    enum Job: Hashable, Sendable {
        case daily, monthly, stale
        case retention(days: Int)
    }

    @discardableResult
    func perform(
        _ job: Job, at now: Timestamp, on other: (any SQLWarehouse)? = nil, columns: QuotaColumns = .standard,
        staleAfterMinutes: Int = 60, lookbackDays: Int = 7, fence: LeaseFence? = nil, isDryRun: Bool = false,
        logger: Logger? = nil, report fixture: ReportFixture = ReportFixture(), clock: Timestamp? = nil
    ) async throws -> ReportFixture {
        let target: any SQLWarehouse = other ?? warehouse
        let reset = QuotaReset(
            warehouse: target, columns: columns, staleAfter: .seconds(60 * staleAfterMinutes), fence: fence,
            report: fixture.report, isDryRun: isDryRun, clock: { clock ?? now })
        switch job {
        case .daily: try await reset.openDay(at: now)
        case .monthly: try await reset.recountMonth(at: now)
        case .stale:
            try await StaleRunCleaner(
                warehouse: target, staleAfter: StaleAge(minutes: staleAfterMinutes), lookbackDays: lookbackDays,
                report: fixture.report, logger: logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                isDryRun: isDryRun
            ).clean(at: now)
        case .retention(let days):
            try await QuotaRetention(
                warehouse: target, daysToKeep: days, report: fixture.report, isDryRun: isDryRun
            ).deleteOldRows(at: now)
        }
        return fixture
    }

    /// As a process does it: under the job's lease. Waiting for another job's takes no time.
    @discardableResult
    func performLeased(
        _ job: Job, at now: Timestamp, on other: (any Warehouse)? = nil, holder: String, clock: Timestamp,
        report: ReportFixture = ReportFixture()
    ) async throws -> Bool {
        let (name, others) = Self.leases(job)
        let lease = JobLease(
            warehouse: other ?? warehouse, job: name, excluding: others, holder: holder, validity: .seconds(3600),
            report: report.report, now: { clock }, sleep: { _ in try await Task.sleep(for: .milliseconds(10)) })
        return try await lease.withLease { try await perform(job, at: now, on: lease.sql, fence: lease.fence) }
    }

    private static func leases(_ job: Job) -> (String, [String]) {
        switch job {
        case .daily: ("quota-reset-daily", [])
        case .monthly: ("quota-reset-monthly", ["quota-reset-daily"])
        case .stale: ("stale-cleanup", [])
        case .retention: ("quota-cleanup", [])
        }
    }
}
