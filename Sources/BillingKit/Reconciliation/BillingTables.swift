import Warehouse
import WarehouseKit

/// The tables that hold the billing state of organizations.
enum BillingTables {
    static let subscriptions = TableReference(DatasetID.organizations, "org_subscriptions")!
    static let quotas = TableReference(DatasetID.organizations, "org_usage_quotas")!
    static let audits = TableReference(DatasetID.organizations, "org_audit_logs")!
    static let profiles = OrganizationDirectory.profiles
    static let queue = TableReference(DatasetID.schedulerJobs, "billing_sync_queue")!
}
