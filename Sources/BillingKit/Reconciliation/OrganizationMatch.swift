import JobRuntime
import WarehouseKit

/// Which organization a subscription is of.
enum OrganizationMatch: Hashable, Sendable {
    case organization(String)
    /// Only the metadata of this customer can tell.
    case customer(String)
    /// The reason, in words.
    case unmatched(String)
}

extension BillingState {
    /// The subscription's own metadata comes first, then what was stored for it, then what was stored for its customer.
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
        return customer.isEmpty ? .unmatched("it has neither metadata nor a customer") : .customer(customer)
    }

    /// The customer's own metadata, where nothing else told.
    func match(_ customer: StripeCustomer?) -> OrganizationMatch {
        guard let customer else {
            return .unmatched("it has no metadata org_slug, and its customer is not there any more")
        }
        guard let slug = customer.metadata[.orgSlug] ?? customer.metadata[.pendingOrgSlug] else {
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
