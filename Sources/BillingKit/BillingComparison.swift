import JobRuntime
import Warehouse

/// Compares an organization with what Stripe has of it.
struct BillingComparison {
    enum Outcome {
        /// - Parameter note: What could not be read, or what else an operator should see, where something differs.
        case change(BillingChange, note: String?)
        /// The warehouse may hold something newer: Stripe has to be read again.
        case overtaken
        /// Stripe has nothing that could replace what the organization has, for this reason.
        case kept(String)
    }

    let plans: PlanCatalog
    let today: CivilDate
    /// The subscriptions of the whole account that have moved, and when it was read; `nil` where only a part was.
    var moved: (subscriptions: [String: (owner: String, customer: String?)], time: ReadTime)?

    /// - Parameter subscriptions: The organization's; `nil` where Stripe has none.
    func outcome(
        of stored: StoredBilling, _ subscriptions: OrganizationSubscriptions?, reason: String
    ) throws(BillingProblem) -> Outcome {
        var (kept, problem) = ("Stripe has no subscription of it", BillingProblem?.none)
        if let subscriptions {
            switch try subscriptions.choice(plans, stored) {
            case .subscription(let chosen, let reading, let others):
                return try outcome(of: stored, chosen, reading, others, reason: reason)
            case .nothing(let explanation, let reason): (kept, problem) = (explanation, reason)
            }
        }
        if let loss = try loss(of: stored) { return loss }
        if let problem { throw problem }
        return .kept(kept)
    }

    private func outcome(
        of stored: StoredBilling, _ chosen: StripeReply<StripeSubscription>, _ reading: PlanReading, _ others: String?,
        reason: String
    ) throws(BillingProblem) -> Outcome {
        // A subscription that is over and cannot be read gives a new organization no row.
        if stored.row == nil, chosen.value.status == SubscriptionStatus.canceled.rawValue, reading.problem != nil {
            return .kept("Stripe has only what is over: \(chosen.value.name) is canceled")
        }
        var problem: BillingProblem?
        let values = try BillingValues(chosen.value, reading, keeping: stored, today: today, problem: &problem)
        let change = try BillingChange(
            values, stored, read: chosen.time.joined(plans.time), reason: reason, requestID: chosen.requestID)
        guard let change else { return .overtaken }
        let note = problem.map {
            "is \(values.status ?? ""), and what cannot be read stays as it was: \($0.description)"
        }
        return .change(change, note: note ?? others.map { "is \(values.status ?? ""): \($0)" })
    }

    /// An organization whose subscription belongs to another one now, and that has nothing left, ends.
    private func loss(of stored: StoredBilling) throws(BillingProblem) -> Outcome? {
        guard let moved, let id = stored.values.subscription, let (owner, customer) = moved.subscriptions[id],
            owner != stored.slug, stored.values.status != SubscriptionStatus.cancelled
        else { return nil }
        var values = stored.values.cancelled(today)
        values.subscription = nil
        if customer == values.customer { values.customer = nil }
        let change = try BillingChange(values, stored, read: moved.time, reason: "reassigned")
        guard var change else { return .overtaken }
        change.reassignment = .init(
            owner: owner,
            note:
                "is \(SubscriptionStatus.cancelled): its subscription \(printable(id)) is that of \(quoted(owner)) now")
        return .change(change, note: nil)
    }
}

extension BillingValues {
    /// The state with its service ended, today at the latest.
    func cancelled(_ today: CivilDate) -> BillingValues {
        var values = self
        values.status = SubscriptionStatus.cancelled
        values.end = values.end.map { min($0, today) } ?? today
        return values
    }
}

extension BillingState {
    /// Fewer stored subscriptions say nothing about a share.
    private static let fewest = 4

    /// Which organizations have a subscription stored that the listing has, by their numbers.
    func listed(in subscriptions: SubscriptionList) -> [Bool] {
        var listed = [Bool](repeating: false, count: organizations.count)
        for number in subscriptions.indices {
            for holder in holders(ofSubscription: subscriptions.id(number)) { listed[holder] = true }
        }
        return listed
    }

    /// Why the account cannot be the one that the warehouse mirrors: none of the stored subscriptions is in it, or fewer than
    /// half of four or more. Stripe lists every subscription that ever was, so a listing that lacks many is that of another
    /// account, or of other data. An organization that is cancelled already is not missing, but shows that the account is right.
    ///
    /// - Parameters:
    ///   - listed: The result of ``listed(in:)``.
    ///   - start: A row that was written later may be newer than the listing.
    func loss(_ listed: [Bool], since start: Timestamp) -> (lost: Int, reason: String)? {
        var (present, lost) = (0, 0)
        for (stored, isListed) in zip(organizations, listed) where !(stored.values.subscription ?? "").isEmpty {
            if isListed {
                present += 1
            } else if stored.values.status != SubscriptionStatus.cancelled, stored.version < start {
                lost += 1
            }
        }
        guard lost > 0, present == 0 || (present < lost && present + lost >= Self.fewest) else { return nil }
        let share =
            present == 0
            ? "no stored subscription at all is" : "only \(present) of \(present + lost) stored subscriptions are"
        return (lost, "\(share) in the account, so nothing was written: is the key that of this account?")
    }
}
