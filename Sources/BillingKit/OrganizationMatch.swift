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
    /// Its own metadata names its organization, rightly or wrongly: nothing else is asked.
    var namesOrganization: Bool { metadata[.orgSlug] != nil || metadata[.pendingOrgSlug] != nil }
}

extension BillingState {
    /// The subscription's own metadata comes first, then the organization that has the subscription stored, then the one that
    /// has its customer stored, then the customer's metadata.
    ///
    /// A malformed subscription is matched by the fields that can be read: its organization must not go on without it.
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

    /// A slug comes from outside, so it counts only if the warehouse has it. A wrong name is no reason to look further.
    private func match(_ slug: String, _ origin: String) -> OrganizationMatch {
        if organizations[slug] != nil { return .organization(slug) }
        let reason = Organization.isValid(slug: slug) ? "is no organization" : "is no valid slug"
        return .unmatched("\(origin) is \(quoted(slug)), which \(reason)")
    }
}

/// The subscriptions of one organization, of which one counts.
struct OrganizationSubscriptions: Sendable {
    private(set) var replies: [StripeReply<StripeSubscription>]
    /// Covers all of them, since the choice depends on all of them.
    private(set) var time: ReadTime

    init(_ reply: StripeReply<StripeSubscription>) {
        replies = [reply]
        time = reply.time
    }

    /// A subscription that is known already is replaced: it was read again.
    mutating func add(_ reply: StripeReply<StripeSubscription>) {
        let id = reply.value.id
        if !id.isEmpty, let index = replies.firstIndex(where: { $0.value.id == id }) {
            replies[index] = reply
        } else {
            replies.append(reply)
        }
        time = time.joined(reply.time)
    }

    /// Why no choice is possible, where one of them is malformed.
    var problem: BillingProblem? { replies.lazy.compactMap(\.value.problem).first }

    /// Active comes before trialing, trialing before past due, past due before the rest; the newest counts among equals. An
    /// unknown status and a malformed subscription make every choice a guess.
    func chosen() throws(BillingProblem) -> StripeReply<StripeSubscription> {
        if let problem { throw problem }
        var best = replies[0]
        var rank = try SubscriptionStatus(of: best.value).rank
        for reply in replies.dropFirst() {
            let other = try SubscriptionStatus(of: reply.value).rank
            if (other, -reply.value.created, reply.value.id) < (rank, -best.value.created, best.value.id) {
                (best, rank) = (reply, other)
            }
        }
        best.time = time
        return best
    }

    /// When the newest of its active subscriptions was created; `nil` without one. Only an active subscription that is not
    /// older could count instead.
    var activeSince: Int64? {
        replies.lazy.map(\.value).filter { $0.status == SubscriptionStatus.active.rawValue }.map(\.created).max()
    }
}

extension [String: OrganizationSubscriptions] {
    mutating func add(_ reply: StripeReply<StripeSubscription>, to slug: String) {
        if self[slug] == nil { self[slug] = OrganizationSubscriptions(reply) } else { self[slug]?.add(reply) }
    }
}

/// The subscriptions of a listing by organization.
struct SubscriptionAssignment: Sendable {
    private(set) var found: [String: OrganizationSubscriptions] = [:]
    /// The subscriptions of no known organization, with the reason.
    private(set) var unmatched: [(subscription: StripeSubscription, reason: String)] = []

    init(_ replies: [StripeReply<StripeSubscription>], _ state: BillingState) {
        for reply in replies {
            switch state.match(reply.value) {
            case .organization(let slug): found.add(reply, to: slug)
            case .unmatched(let reason): unmatched.append((reply.value, reason))
            }
        }
    }
}
