import JobRuntime
import Warehouse
import WarehouseKit

/// The organization that a subscription belongs to.
enum OrganizationMatch: Hashable, Sendable {
    case organization(String)
    /// The reason, in words.
    case unmatched(String)
}

extension StripeSubscription {
    /// The organization that its own metadata names, rightly or wrongly.
    var namedOrganization: String? { metadata[.orgSlug] ?? metadata[.pendingOrgSlug] }
}

extension BillingState {
    /// The subscription's own metadata comes first, then the organization that has the subscription stored, then the one that
    /// has its customer stored, then the customer's metadata. If the metadata names nobody, only an organization that has this
    /// very subscription stored counts: that is a fact and no guess.
    ///
    /// A malformed subscription is matched by the fields that can be read: its organization must not go on without it.
    func match(_ subscription: StripeSubscription) -> OrganizationMatch {
        if let slug = subscription.namedOrganization {
            let key: StripeMetadata.Key = subscription.metadata[.orgSlug] == nil ? .pendingOrgSlug : .orgSlug
            let match = match(slug, "its metadata \(key.rawValue)")
            guard case .unmatched(let reason) = match, let slugs = bySubscription[subscription.id] else { return match }
            return owner(among: slugs, subscription).map { .organization($0) }
                ?? .unmatched("\(reason); \(several(slugs))")
        }
        let customer = subscription.customer ?? ""
        for known in [bySubscription[subscription.id], byCustomer[customer]] {
            guard let slugs = known else { continue }
            return owner(among: slugs, subscription).map { .organization($0) } ?? .unmatched(several(slugs))
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

    /// A slug comes from outside, so it counts only if the warehouse has it. A wrong name is no reason to look further.
    private func match(_ slug: String, _ origin: String) -> OrganizationMatch {
        if organizations[slug] != nil { return .organization(slug) }
        let reason = Organization.isValid(slug: slug) ? "is no organization" : "is no valid slug"
        return .unmatched("\(origin) is \(quoted(slug)), which \(reason)")
    }

    /// The one of several organizations that have it stored: the only one that is not cancelled, or the one that the customer
    /// names.
    private func owner(among slugs: [String], _ subscription: StripeSubscription) -> String? {
        if slugs.count == 1 { return slugs[0] }
        let open = slugs.filter { organizations[$0]?.values.status != SubscriptionStatus.cancelled }
        if open.count == 1 { return open[0] }
        let named = subscription.customerMetadata.flatMap { $0[.orgSlug] ?? $0[.pendingOrgSlug] }
        return slugs.first { $0 == named }
    }

    private func several(_ slugs: [String]) -> String {
        "several organizations have it stored: \(slugs.sorted().map { quoted($0) }.joined(separator: ", "))"
    }
}

/// The subscriptions of a listing by organization.
struct SubscriptionAssignment: Sendable {
    private(set) var found: [String: OrganizationSubscriptions] = [:]
    /// The subscriptions that another organization has stored than the one they belong to.
    private(set) var moved: [String: (owner: String, customer: String?)] = [:]
    /// The subscriptions of no known organization, with the reason.
    private(set) var unmatched: [(subscription: StripeSubscription, reason: String)] = []
    /// The subscriptions whose metadata names nobody, with the organization that has them stored.
    private(set) var misnamed: [(subscription: StripeSubscription, slug: String)] = []
    /// How many are not ours.
    private(set) var ignored = 0

    init(_ replies: [StripeReply<StripeSubscription>], _ state: BillingState, _ plans: PlanCatalog) {
        for reply in replies {
            let (subscription, id) = (reply.value, reply.value.id)
            let holders = state.bySubscription[id] ?? []
            if holders.isEmpty, plans.isForeign(subscription) {
                ignored += 1
                continue
            }
            switch state.match(subscription) {
            case .organization(let slug):
                found.add(reply, to: slug)
                if holders.contains(where: { $0 != slug }) { moved[id] = (slug, subscription.customer) }
                if let named = subscription.namedOrganization, named != slug { misnamed.append((subscription, slug)) }
            case .unmatched(let reason): unmatched.append((subscription, reason))
            }
        }
    }
}
