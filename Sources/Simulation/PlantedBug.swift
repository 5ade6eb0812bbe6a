import JobRuntime
import Warehouse

/// Faults of the kinds that the jobs in Python had, put between the jobs and their services. The shipped code stays as it is; a bug
/// changes a statement, a reply or an exit code on its way.
package enum PlantedBug: String, CaseIterable, Sendable {
    /// The daily reset sets counters to 0 and does not count.
    case resetToZero = "reset-to-zero"
    /// The resets count every run that started.
    case countStarted = "count-started"
    /// An execution takes the lease although another one holds it.
    case ignoreLease = "ignore-lease"
    /// An item of the queue is completed when it is claimed.
    case doneBeforeWritten = "done-before-written"
    /// A failure is not a failure: the exit code is 0.
    case swallowedError = "swallowed-error"
    /// Only the first page of a list of Stripe is read.
    case firstPageOnly = "first-page-only"
    /// A write without an answer counts as done.
    case unknownIsSuccess = "unknown-is-success"
    /// stale-cleanup frees the places of runs that are alive.
    case freeAllPlaces = "free-all-places"
    /// Subscriptions that have ended are not listed.
    case endedNotListed = "ended-not-listed"
    /// A change of a subscription is not audited.
    case auditForgotten = "audit-forgotten"
    /// org-sync-all looks at the first organization only.
    case firstOrganizationOnly = "first-organization-only"

    package var explanation: String {
        switch self {
        case .resetToZero: "quota-reset-daily sets the counters to 0 by an UPDATE"
        case .countStarted: "the resets count every run that started, failed ones too"
        case .ignoreLease: "an execution takes a lease that another one holds"
        case .doneBeforeWritten: "an item of the billing queue is completed before it is written"
        case .swallowedError: "a run with failures ends with exit code 0"
        case .firstPageOnly: "only the first page of Stripe's lists is read"
        case .unknownIsSuccess: "a write whose reply was lost counts as done"
        case .freeAllPlaces: "stale-cleanup sets the concurrent counter to 0"
        case .endedNotListed: "subscriptions that ended are not listed"
        case .auditForgotten: "changes of subscriptions are not audited"
        case .firstOrganizationOnly: "org-sync-all compares the first organization only"
        }
    }

    /// A statement on its way to BigQuery.
    func change(_ sql: inout String, _ parameters: inout [SQLValue.Field]) {
        switch self {
        case .ignoreLease where sql.hasPrefix("UPDATE") && sql.contains("held.holder IS NOT NULL"):
            sql = sql.replacing("held.holder IS NOT NULL", with: "FALSE")
        case .auditForgotten where sql.contains("'SYNC_SUBSCRIPTION'"):
            sql = sql.replacing("WHERE n.differs AND n.audit_id NOT IN", with: "WHERE FALSE AND n.audit_id NOT IN")
        default: break
        }
    }

    /// The rows of the bulk comparison on their way from BigQuery.
    func change(surveyRows rows: inout [Row]) {
        guard self == .firstOrganizationOnly, let first = try? rows.first?.string("members").split(separator: ",").first
        else { return }
        rows = rows.filter { row in
            guard let members = try? row.string("members") else { return false }
            return members.split(separator: ",").contains(first) || members.hasPrefix("=")
        }
        for index in rows.indices where (try? rows[index].string("members").hasPrefix("=")) == false {
            rows[index].fields = rows[index].fields.map { field in
                switch field.name {
                case "members": SQLValue.Field("members", .string(String(first)))
                case "datasets": SQLValue.Field("datasets", .int64(1))
                default: field
                }
            }
        }
    }

    /// Statements that run right after the one of a job.
    func additions(to sql: String, _ parameters: [SQLValue.Field]) -> [Statement] {
        func statement(_ text: String, _ names: String...) -> Statement {
            var statement = Statement("planted bug \(rawValue)", text)
            statement.parameters = parameters.filter { names.contains($0.name) }
            return statement
        }
        switch self {
        case .resetToZero where sql.hasPrefix("MERGE") && sql.contains("pipelines_succeeded_today` ="):
            return [
                statement(
                    """
                    UPDATE `organizations.org_usage_quotas`
                    SET current_daily_pipelines = 0, current_monthly_pipelines = 0, concurrent_pipelines_running = 0
                    WHERE usage_date = @usage_date
                    """, "usage_date")
            ]
        case .doneBeforeWritten
        where sql.hasPrefix("UPDATE") && sql.contains("billing_sync_queue") && sql.contains("@expires_at"):
            return [
                statement(
                    """
                    UPDATE `scheduler_jobs.billing_sync_queue` SET status = 'completed', completed_at = @now
                    WHERE lease_token = @token
                    """, "token", "now")
            ]
        case .freeAllPlaces
        where sql.contains("concurrent_pipelines_running") && sql.contains("org_meta_pipeline_runs")
            && !sql.hasPrefix("MERGE"):
            return [
                statement("UPDATE `organizations.org_usage_quotas` SET concurrent_pipelines_running = 0 WHERE TRUE")
            ]
        default: return []
        }
    }

    /// A subscription that Stripe's list leaves out.
    func hides(_ subscription: SimulatedStripe.Subscription) -> Bool {
        self == .endedNotListed && subscription.status == "canceled"
    }
}
