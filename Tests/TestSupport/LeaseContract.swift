import HTTPTransport
package import JobRuntime
import Synchronization
package import Warehouse
package import WarehouseKit

/// The rules that every job under a lease keeps, whatever its work is.
///
/// ```swift
/// let contract = LeaseContract(job: "quota-cleanup") { warehouse, _, report in
///     try await RowRetention(of: .usageQuotas, warehouse: warehouse, report: report).deleteRows(before: day)
/// }
/// #expect(try await contract.violations(on: warehouse) == [])
/// ```
///
/// The work must send at least one statement. The warehouse must have the service's tables and no lease.
package struct LeaseContract: Sendable {
    /// The job's work on the warehouse it is given. What it throws counts as a failed run.
    package typealias Work = @Sendable (any SQLWarehouse, LeaseFence, RunReport) async throws -> Void

    private let job: String
    private let others: [String]
    private let work: Work

    /// - Parameter others: The jobs whose leases the job takes, too.
    package init(job: String, excluding others: [String] = [], work: @escaping Work) {
        self.job = job
        self.others = others
        self.work = work
    }

    /// The rules that the job breaks; none if it keeps the contract.
    package func violations(on warehouse: any Warehouse) async throws -> [String] {
        var violations = try await secondExecution(on: warehouse)
        violations += try await end(of: .refused, isKept: false, on: warehouse)
        violations += try await end(of: .unseen, isKept: true, on: warehouse)
        return violations
    }

    /// While one execution works, another one of the same job is skipped. Afterwards the lease is free.
    private func secondExecution(on warehouse: any Warehouse) async throws -> [String] {
        let (first, second) = (ReportFixture(), ReportFixture())
        let state = Mutex((isWorking: false, hasTried: false, isDone: false, hasOverlapped: false))
        let watched = FaultyWarehouse(
            warehouse,
            beforeEach: { _ in
                let tries = state.withLock { state in
                    guard state.isWorking, !state.hasTried else { return false }
                    state.hasTried = true
                    return true
                }
                guard tries else { return }
                let isDone = try await makeLease(on: warehouse, "second/0/0", second).withLease {
                    state.withLock { $0.hasOverlapped = true }
                }
                state.withLock { $0.isDone = isDone }
            })
        let lease = makeLease(on: watched, "first/0/0", first)
        try await lease.withLease {
            state.withLock { $0.isWorking = true }
            try await work(lease.sql, lease.fence, first.report)
            state.withLock { $0.isWorking = false }
        }
        let (_, hasTried, isDone, hasOverlapped) = state.withLock { $0 }
        var violations: [String] = []
        if !hasTried { violations.append("the work sent no statement") }
        if isDone || hasOverlapped || second.skipReason == nil {
            violations.append("a second execution was not skipped")
        }
        if !second.failures.isEmpty { violations.append("a second execution failed") }
        if try await !isFree(warehouse) { violations.append("the lease was kept after the work was done") }
        return violations
    }

    private enum Fault {
        /// The warehouse answers that the statement did nothing.
        case refused
        /// Nobody sees how the statement ends.
        case unseen

        var error: WarehouseError {
            switch self {
            case .refused: WarehouseError(.invalid, operation: "work", message: "a value is refused")
            case .unseen:
                WarehouseError(
                    .transport, operation: "work", message: "the connection is gone", certainty: .unknown)
            }
        }
    }

    /// After its first statement failed, the job gives its lease back, or keeps it for the grace and not as a worker.
    private func end(of fault: Fault, isKept: Bool, on warehouse: any Warehouse) async throws -> [String] {
        let isWorking = Mutex(false)
        let report = ReportFixture()
        let broken = FaultyWarehouse(
            warehouse,
            beforeEach: { _ in
                let isHit = isWorking.withLock { isWorking in
                    defer { isWorking = false }
                    return isWorking
                }
                if isHit { throw fault.error }
            })
        let lease = makeLease(on: broken, "broken/0/0", report)
        let isDone = try? await lease.withLease {
            isWorking.withLock { $0 = true }
            // The lease itself goes through the broken warehouse again when the work has ended.
            defer { isWorking.withLock { $0 = false } }
            try await work(lease.sql, lease.fence, report.report)
        }
        var violations: [String] = []
        if isDone == false { violations.append("the lease was not free at the start") }
        let isFree = try await isFree(warehouse)
        if isKept, isFree { violations.append("the lease was freed while a statement may still be running") }
        if !isKept, !isFree { violations.append("the lease was kept after a failure that left nothing running") }
        if isKept, try await rows(warehouse).contains(where: { try $0.optionalTimestamp("acquired_at") != nil }) {
            violations.append("the lease is kept as if somebody were still working")
        }
        return violations
    }

    private func makeLease(on warehouse: any Warehouse, _ holder: String, _ report: ReportFixture) -> JobLease {
        JobLease(
            warehouse: warehouse, job: job, excluding: others, holder: holder, validity: .seconds(600),
            report: report.report, sleep: { _ in throw CancellationError() })
    }

    private func isFree(_ warehouse: any Warehouse) async throws -> Bool {
        try await rows(warehouse).allSatisfy { try $0.optionalString("holder") == nil }
    }

    private func rows(_ warehouse: any Warehouse) async throws -> [Row] {
        let names = Set([job] + others)
        return try await warehouse.rows(of: "scheduler_jobs.job_leases").filter { names.contains(try $0.string("job")) }
    }
}
