import JobRuntime

/// The subscriptions of one organization, of which one counts.
struct OrganizationSubscriptions: Sendable {
    private(set) var replies: [StripeReply<StripeSubscription>]
    /// Which of them counts depends on all of them.
    private(set) var time: ReadTime

    init(_ reply: StripeReply<StripeSubscription>) {
        replies = [reply]
        time = reply.time
    }

    /// One that came before is replaced: it was read again.
    mutating func add(_ reply: StripeReply<StripeSubscription>) {
        if let index = replies.firstIndex(where: { $0.value.id == reply.value.id }) {
            replies[index] = reply
        } else {
            replies.append(reply)
        }
        time = time.joined(reply.time)
    }

    /// Active before trialing before past due before the rest, and the newest among equals. A status that nobody knows makes
    /// every choice a guess.
    func chosen() throws(BillingProblem) -> StripeReply<StripeSubscription> {
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

    /// When the newest of its active subscriptions was made; `nil` without one. Of others elsewhere only an active one that is
    /// not older could count instead.
    var activeSince: Int64? {
        replies.lazy.map(\.value).filter { $0.status == SubscriptionStatus.active.rawValue }.map(\.created).max()
    }
}

extension [String: OrganizationSubscriptions] {
    mutating func add(_ reply: StripeReply<StripeSubscription>, to slug: String) {
        if self[slug] == nil { self[slug] = OrganizationSubscriptions(reply) } else { self[slug]?.add(reply) }
    }
}
