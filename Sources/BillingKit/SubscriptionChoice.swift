import JobRuntime

/// Which of an organization's subscriptions counts.
enum SubscriptionChoice: Sendable {
    /// - Parameter others: Live subscriptions that are no plan, where none that is a plan is live.
    case subscription(StripeReply<StripeSubscription>, PlanReading, others: String?)
    /// Stripe has nothing that could replace what the organization has. The problem is a live subscription that is no plan,
    /// where the organization has nothing else: probably somebody forgot its product's metadata.
    case nothing(String, problem: BillingProblem?)

    /// The chosen subscription, where it is active.
    var active: StripeSubscription? {
        guard case .subscription(let reply, _, _) = self, reply.value.status == SubscriptionStatus.active.rawValue
        else {
            return nil
        }
        return reply.value
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

    private struct Candidate {
        var reply: StripeReply<StripeSubscription>
        var status: SubscriptionStatus
        var reading: PlanReading

        /// The lowest counts; the newest among equals.
        var place: (Int, Int64, String) { (status.rank, -reply.value.created, reply.value.id) }
    }

    /// The living come before the dead (``SubscriptionStatus/rank``), the newest among equals. There is no choice between a plan
    /// and what is none, or never became a subscription:
    ///
    /// - An attempt (`incomplete`, `incomplete_expired`) counts only where the organization has this attempt stored, has no
    ///   service, and has nothing else.
    /// - A subscription to products that are no plan counts only where the organization has it stored: then it was a plan.
    ///
    /// - Throws: Where every choice would be a guess: an unknown status, or a live subscription that cannot be read.
    func choice(_ plans: PlanCatalog, _ stored: StoredBilling) throws(BillingProblem) -> SubscriptionChoice {
        let storedID = stored.values.subscription ?? ""
        var candidates: [Candidate] = []
        var (attempts, others): ([Candidate], [Candidate]) = ([], [])
        for reply in replies {
            let (subscription, isStored) = (reply.value, !storedID.isEmpty && reply.value.id == storedID)
            guard isStored || !plans.isForeign(subscription) else { continue }
            let reading = plans.reading(of: subscription)
            guard let status = SubscriptionStatus(rawValue: subscription.status) else {
                if case .noPlan = reading, !isStored { continue }
                if let problem = subscription.problem { throw problem }
                _ = try SubscriptionStatus(of: subscription)
                continue
            }
            let candidate = Candidate(reply: reply, status: status, reading: reading)
            if status.isAttempt {
                attempts.append(candidate)
            } else if case .noPlan = reading, !isStored {
                others.append(candidate)
            } else {
                candidates.append(candidate)
            }
        }
        let live = others.filter { $0.status.rank <= SubscriptionStatus.pastDue.rank }.min { $0.place < $1.place }
        // Beside a live plan, what is no plan does not compete even where it is stored.
        let isPlan = { (candidate: Candidate) in if case .noPlan = candidate.reading { false } else { true } }
        if candidates.contains(where: { $0.status.isLive && isPlan($0) }) { candidates.removeAll { !isPlan($0) } }
        if let best = candidates.min(by: { $0.place < $1.place }) {
            return try chosen(best, candidates, live)
        }
        if !SubscriptionStatus.live.contains(stored.values.status),
            let own = attempts.first(where: { $0.reply.value.id == storedID })
        {
            return try chosen(own, attempts, live)
        }
        var problem: BillingProblem?
        if let live, !stored.isContract, let reason = live.reading.problem?.description {
            problem = BillingProblem(
                "\(reason) - if \(live.reply.value.name) is no plan, name the product in STRIPE_IGNORE")
        }
        return .nothing(Self.explanation(attempts, others), problem: problem)
    }

    /// One that is not live is written with what can be read of it. One that is live must be beyond doubt, and so must those
    /// that could take its place.
    private func chosen(
        _ best: Candidate, _ all: [Candidate], _ others: Candidate?
    ) throws(BillingProblem) -> SubscriptionChoice {
        if best.status.isLive,
            let problem = all.lazy.filter({ $0.status == best.status }).compactMap(\.reply.value.problem).first
        {
            throw problem
        }
        var reply = best.reply
        reply.time = time
        let note =
            best.status.isLive ? nil : others.map { "\($0.reply.value.name) is \($0.status.rawValue), but no plan" }
        return .subscription(reply, best.reading, others: note)
    }

    private static func explanation(_ attempts: [Candidate], _ others: [Candidate]) -> String {
        if let attempt = attempts.min(by: { $0.place < $1.place }) {
            return "Stripe has only attempts to subscribe: \(attempt.reply.value.name) is \(attempt.status.rawValue)"
        }
        if let other = others.min(by: { $0.place < $1.place }) {
            return "Stripe has only what is no plan: \(other.reply.value.name) is \(other.status.rawValue)"
        }
        return "Stripe has only what STRIPE_IGNORE names"
    }
}

extension [String: OrganizationSubscriptions] {
    mutating func add(_ reply: StripeReply<StripeSubscription>, to slug: String) {
        if self[slug] == nil { self[slug] = OrganizationSubscriptions(reply) } else { self[slug]?.add(reply) }
    }
}
