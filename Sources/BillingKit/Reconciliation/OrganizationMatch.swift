import JobRuntime
import Warehouse
import WarehouseKit

/// Which organization a subscription is of.
enum OrganizationMatch: Hashable, Sendable {
    case organization(String)
    /// The reason, in words.
    case unmatched(String)
}

extension StripeSubscription {
    /// Its own metadata says whose it is, rightly or not: nothing else is asked.
    var namesOrganization: Bool { metadata[.orgSlug] != nil || metadata[.pendingOrgSlug] != nil }
}

extension BillingState {
    /// The subscription's own metadata comes first, then what was stored for it, then what was stored for its customer, then
    /// the customer's metadata.
    func match(_ subscription: StripeSubscription) -> OrganizationMatch {
        if let slug = subscription.metadata[.orgSlug] { return match(slug, "its metadata org_slug") }
        if let slug = subscription.metadata[.pendingOrgSlug] { return match(slug, "its metadata pending_org_slug") }
        let customer = subscription.customer ?? ""
        for known in [bySubscription[subscription.id], byCustomer[customer]] {
            guard let slugs = known else { continue }
            if slugs.count == 1 { return .organization(slugs[0]) }
            return .unmatched(
                "several organizations have it stored: \(slugs.sorted().map { quoted($0) }.joined(separator: ", "))")
        }
        guard !customer.isEmpty else { return .unmatched("it has neither metadata nor a customer") }
        guard let metadata = subscription.customerMetadata else {
            return .unmatched("it has no metadata org_slug, and its customer is not there any more")
        }
        guard let slug = metadata[.orgSlug] ?? metadata[.pendingOrgSlug] else {
            return .unmatched("neither it nor its customer has metadata org_slug, and no organization has it stored")
        }
        return match(slug, "its customer's metadata org_slug")
    }

    /// A slug comes from outside, so it counts only if the warehouse has it; a name that is wrong is no reason to look on.
    private func match(_ slug: String, _ origin: String) -> OrganizationMatch {
        if organizations[slug] != nil { return .organization(slug) }
        let reason = Organization.isValid(slug: slug) ? "is no organization" : "is no valid slug"
        return .unmatched("\(origin) is \(quoted(slug)), which \(reason)")
    }
}
