package import JobRuntime
import Warehouse
import WarehouseKit

/// The tables that the quota jobs work on.
enum QuotaTables {
    static let quotas = QuotaColumns.table
    static let runs = TableReference(DatasetID.organizations, "org_meta_pipeline_runs")!
    static let subscriptions = TableReference(DatasetID.organizations, "org_subscriptions")!
    static let profiles = OrganizationDirectory.profiles
}

/// Which runs the daily and the monthly counter count.
package enum QuotaCounts: String, Sendable, CaseIterable {
    /// Successful runs, as the API service counts them.
    case succeeded
    /// All runs that started, whatever became of them.
    case started

    package init(reading environment: inout EnvironmentReader) {
        let word = environment.choice(
            "QUOTA_COUNTS", of: Self.allCases.map(\.rawValue), default: Self.succeeded.rawValue,
            help:
                "The runs in the daily and the monthly counter: the successful ones, as the API service counts them, or all."
        )
        self = QuotaCounts(rawValue: word) ?? .succeeded
    }

    /// A condition on a run that started in the counter's period.
    var condition: String {
        switch self {
        case .succeeded: "status IN \(RunStatuses.succeeded)"
        case .started: "TRUE"
        }
    }
}

/// A UTC day with the bounds that the counters need.
struct QuotaDay: Hashable, Sendable {
    let date: CivilDate

    init(_ date: CivilDate) {
        self.date = date
    }

    var start: Timestamp { Timestamp(startOf: date) }
    /// Exclusive.
    var end: Timestamp { Timestamp(startOf: date.adding(days: 1)) }
    var monthStart: Timestamp { Timestamp(startOf: date.firstOfMonth) }
    /// `20260131`
    var compact: String { String(date.description.filter { $0 != "-" }) }
}

/// The time after which a run that has not ended counts as crashed.
package struct StaleAge: Sendable {
    package let minutes: Int

    package var duration: Duration { .seconds(60 * minutes) }

    package init(minutes: Int) {
        self.minutes = minutes
    }

    package init(reading environment: inout EnvironmentReader) {
        minutes = environment.integer(
            "STALE_AFTER_MINUTES", default: 60, in: 1...44_640,
            help:
                "A run that is open (PENDING, RUNNING, CANCELLING) for longer than that many minutes counts as crashed."
        )
    }
}

/// How many days the rows of `org_usage_quotas` are kept.
package struct QuotaDaysToKeep: Sendable {
    package let days: Int

    package init(reading environment: inout EnvironmentReader) {
        days = environment.integer(
            "DAYS_TO_KEEP", default: 90, in: 1...36_500,
            help: "The job deletes quota rows that are older than that many days.")
    }

    /// The reason why the run needs `--force`: on a day to come it would delete rows that are not old enough yet.
    /// - Parameter wallClock: The present time, which `--date` does not change.
    package func objection(at now: Timestamp, wallClock: Timestamp) -> String? {
        guard now.date > wallClock.date else { return nil }
        return "\(now.date) is to come: the rows from before \(now.date.adding(days: -days)) would be deleted, "
            + "which are not \(days) days old today, \(wallClock.date)"
    }
}
