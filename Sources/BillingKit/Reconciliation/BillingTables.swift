import WarehouseKit

/// The tables that hold the billing state of organizations.
enum BillingTables {
    static let subscriptions = TableReference(Catalog.organizationsDataset, "org_subscriptions")!
    static let quotas = TableReference(Catalog.organizationsDataset, "org_usage_quotas")!
    static let audits = TableReference(Catalog.organizationsDataset, "org_audit_logs")!
    static let profiles = OrganizationDirectory.profiles
    static let queue = TableReference(Catalog.operationsDataset, "billing_sync_queue")!
}
