import Foundation
import SchemaKit
import Warehouse
import WarehouseKit

@testable import BillingKit

/// One row of `org_audit_logs` that a billing job wrote.
struct AuditRow {
    var id: String
    /// The version of the organization's row that the change made.
    var version: Int64
    var reason: String
    var changes: [(field: BillingField, from: String, to: String)]

    init(_ row: Row) throws {
        id = try row.string("audit_id")
        version = id.split(separator: "-").last.flatMap { Int64($0) } ?? -1
        guard case .json(let text)? = row["details"] else { throw CocoaError(.coderReadCorrupt) }
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        reason = object?["reason"] as? String ?? ""
        changes = (object?["changes"] as? [[String: Any]] ?? []).compactMap { change in
            (change["field"] as? String).flatMap(BillingField.init(rawValue:)).map {
                ($0, change["from"] as? String ?? "", change["to"] as? String ?? "")
            }
        }
    }
}
