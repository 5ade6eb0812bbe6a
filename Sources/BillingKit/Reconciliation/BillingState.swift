import JobRuntime
import Warehouse
import WarehouseKit

/// The organizations of the warehouse with their billing state, at one instant.
struct BillingState: Sendable {
    private(set) var organizations: [String: StoredBilling] = [:]
    /// Organizations whose row cannot be read as a line.
    private(set) var unreadable: [String] = []
    private(set) var bySubscription: [String: [String]] = [:]
    private(set) var byCustomer: [String: [String]] = [:]

    init(_ rows: [Row]) throws {
        for row in rows {
            let slug = try row.optionalString("org_slug") ?? ""
            guard let stored = StoredBilling(slug: slug, line: try row.string("line")) else {
                unreadable.append(slug)
                continue
            }
            organizations[slug] = stored
            let (subscription, customer) = (stored.text(of: .subscription), stored.text(of: .customer))
            if !subscription.isEmpty { bySubscription[subscription, default: []].append(slug) }
            if !customer.isEmpty { byCustomer[customer, default: []].append(slug) }
        }
    }
}
