import JobRuntime
import Warehouse
import WarehouseKit

/// What becomes of a claimed item.
struct SyncOutcome: Sendable {
    enum Ending: String, Sendable {
        case completed
        /// Tried again later.
        case pending
        /// Given up; it stays until somebody requeues it.
        case failed
    }

    var id: String
    var ending: Ending
    var retries: Int64
    var nextRetry: Timestamp?
    var error: String?

    static func completed(_ item: QueuedSync) -> SyncOutcome {
        SyncOutcome(id: item.id, ending: .completed, retries: item.retries)
    }

    /// After a try that failed: again in 1, 2, 4, 8 and 16 minutes, up to a fifth later, until the retries are used up.
    static func failedTry(
        _ item: QueuedSync, _ problem: BillingProblem, at now: Timestamp, jitter: Double
    ) -> SyncOutcome {
        if problem.isPermanent || item.retries >= item.maxRetries {
            return SyncOutcome(id: item.id, ending: .failed, retries: item.retries, error: problem.description)
        }
        let delay = Duration.seconds(60 << min(item.retries, 10)) * (1 + jitter / 5)
        return SyncOutcome(
            id: item.id, ending: .pending, retries: item.retries + 1, nextRetry: now.adding(delay),
            error: problem.description)
    }

    /// The element of the statement's parameter `outcomes`.
    var parameter: SQLValue {
        .structure([
            SQLValue.Field("sync_id", .string(id)), SQLValue.Field("status", .string(ending.rawValue)),
            SQLValue.Field("retry_count", .int64(retries)),
            SQLValue.Field("next_retry_at", nextRetry.map { .timestamp($0) } ?? .null(.timestamp)),
            SQLValue.Field("last_error", error.map { .string(String($0.prefix(1000))) } ?? .null(.string)),
        ])
    }
}
