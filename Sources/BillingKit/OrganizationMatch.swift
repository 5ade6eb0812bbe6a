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
            guard case .unmatched(let reason) = match else { return match }
            let holders = holders(ofSubscription: subscription.id)
            if holders.isEmpty { return match }
            return owner(among: holders, subscription).map { .organization(organizations.slug($0)) }
                ?? .unmatched("\(reason); \(several(holders))")
        }
        let customer = subscription.customer ?? ""
        for holders in [holders(ofSubscription: subscription.id), holders(ofCustomer: customer)] where !holders.isEmpty
        {
            return owner(among: holders, subscription).map { .organization(organizations.slug($0)) }
                ?? .unmatched(several(holders))
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
        if organizations.number(of: slug) != nil { return .organization(slug) }
        let reason = Organization.isValid(slug: slug) ? "is no organization" : "is no valid slug"
        return .unmatched("\(origin) is \(quoted(slug)), which \(reason)")
    }

    /// The number of the one of several organizations that have it stored: the only one that is not cancelled, or the one that
    /// the customer names.
    private func owner(among holders: [Int], _ subscription: StripeSubscription) -> Int? {
        if holders.count == 1 { return holders[0] }
        let open = holders.filter { !organizations[$0].isCancelled }
        if open.count == 1 { return open[0] }
        let named = subscription.customerMetadata.flatMap { $0[.orgSlug] ?? $0[.pendingOrgSlug] }
        return holders.first { organizations.slug($0) == named }
    }

    private func several(_ holders: [Int]) -> String {
        let slugs = holders.map(organizations.slug).sorted()
        return "several organizations have it stored: \(slugs.map { quoted($0) }.joined(separator: ", "))"
    }
}

/// The subscriptions of a listing by organization.
struct SubscriptionAssignment: Sendable {
    private let subscriptions: SubscriptionList
    private let state: BillingState
    /// The numbers of the subscriptions, by that of their organization.
    private var owned = CompactIndex()
    private var unmatchedNumbers: [Int] = []
    private var misnamedNumbers: [Int] = []
    /// The subscriptions that another organization has stored than the one they belong to.
    private(set) var moved: [String: (owner: String, customer: String?)] = [:]
    /// How many are not ours.
    private(set) var ignored = 0

    init(_ subscriptions: SubscriptionList, _ state: BillingState, _ plans: PlanCatalog) {
        self.subscriptions = subscriptions
        self.state = state
        for number in subscriptions.indices {
            let subscription = subscriptions[number].value
            let holders = state.holders(ofSubscription: subscription.id)
            if holders.isEmpty, plans.isForeign(subscription) {
                ignored += 1
                continue
            }
            guard case .organization(let slug) = state.match(subscription),
                let owner = state.organizations.number(of: slug)
            else {
                unmatchedNumbers.append(number)
                continue
            }
            owned.add(number, for: UInt32(owner))
            if holders.contains(where: { $0 != owner }) { moved[subscription.id] = (slug, subscription.customer) }
            if let named = subscription.namedOrganization, named != slug { misnamedNumbers.append(number) }
        }
        owned.sort()
    }

    /// The subscriptions of an organization; `nil` where Stripe has none.
    /// - Parameter organization: Its number in the billing state.
    func subscriptions(of organization: Int) -> OrganizationSubscriptions? {
        let replies = owned.numbers(for: UInt32(organization)).map { subscriptions[$0] }
        guard let first = replies.first else { return nil }
        return replies.dropFirst().reduce(into: OrganizationSubscriptions(first)) { $0.add($1) }
    }

    /// Whether Stripe has no subscription of the organization.
    func isWithout(_ organization: Int) -> Bool { owned.numbers(for: UInt32(organization)).isEmpty }

    /// The subscriptions of no known organization, with the reason.
    var unmatched: some Sequence<(subscription: StripeSubscription, reason: String)> {
        unmatchedNumbers.lazy.compactMap { number in
            let subscription = subscriptions[number].value
            guard case .unmatched(let reason) = state.match(subscription) else { return nil }
            return (subscription, reason)
        }
    }

    /// The subscriptions whose metadata names nobody, with the organization that has them stored.
    var misnamed: some Sequence<(subscription: StripeSubscription, slug: String)> {
        misnamedNumbers.lazy.compactMap { number in
            let subscription = subscriptions[number].value
            guard case .organization(let slug) = state.match(subscription) else { return nil }
            return (subscription, slug)
        }
    }
}
