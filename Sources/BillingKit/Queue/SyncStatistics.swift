package import JobRuntime
import Warehouse
import WarehouseKit

/// How the queue stands.
package struct SyncStatistics: Hashable, Sendable {
    package var pending: Int
    package var processing: Int
    package var failed: Int
    package var completedToday: Int
    package var oldestPending: Timestamp?

    init(_ rows: [Row]) throws {
        guard let row = rows.first else {
            throw WarehouseError(.unexpectedResult, operation: "count the queue", message: "no row came")
        }
        pending = Int(try row.int64("pending"))
        processing = Int(try row.int64("processing"))
        failed = Int(try row.int64("failed"))
        completedToday = Int(try row.int64("completed_today"))
        oldestPending = try row.optionalTimestamp("oldest_pending")
    }
}
