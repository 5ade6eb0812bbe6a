package import JobRuntime
package import Warehouse

/// How long a lease lasts if nobody releases it.
package struct LeaseSettings: JobSettings {
    package let validity: Duration

    package static let environmentHelp: [(name: String, text: String)] = [
        (
            "LEASE_SECONDS",
            "How long a killed run keeps others out; more than the task timeout. Default: 3600."
        )
    ]

    package init(reading environment: inout EnvironmentReader) {
        validity = .seconds(environment.integer("LEASE_SECONDS", default: 3600, in: 10...604_800))
    }
}

/// The settings of a job that must not overlap with itself.
package protocol LeaseUser: WarehouseUser {
    var lease: LeaseSettings { get }
}

extension JobContext where Job.Settings: LeaseUser {
    /// Opens the warehouse and does the work under the job's lease. While another execution of the job holds it, the work is left
    /// out and the run ends as skipped; one that another job holds is waited for. A dry run writes nothing, so it takes no lease.
    package func withLeasedWarehouse(_ work: (any Warehouse) async throws -> Void) async throws {
        try await withFencedWarehouse { warehouse, _ in try await work(warehouse) }
    }

    /// The same for work with statements that would do harm after the lease was lost: they carry the fence, which a dry run does
    /// without.
    ///
    /// - Parameter others: Jobs that must not run at the same time either.
    package func withFencedWarehouse(
        excluding others: [String] = [], _ work: (any Warehouse, LeaseFence?) async throws -> Void
    ) async throws {
        try await withWarehouse { warehouse in
            guard !isDryRun else { return try await work(warehouse, nil) }
            let lease = JobLease(
                warehouse: warehouse, job: Job.name, excluding: others, holder: task.leaseHolder,
                validity: settings.lease.validity, report: report)
            try await lease.withLease { try await work(lease.workplace, lease.fence) }
        }
    }
}
