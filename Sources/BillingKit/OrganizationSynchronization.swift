import JobRuntime
import Warehouse
import WarehouseKit

/// Corrects the organizations of some claimed items after Stripe, and says for which of them that failed, and why.
struct OrganizationSynchronization {
    enum Reach: Sendable {
        /// Where something of the organization is known to be.
        case known
        /// In the listing of the whole account, which is read once for all organizations.
        case everywhere
    }

    private static let rounds = 3

    private let retry: BillingRetry
    private let reach: Reach
    private let claim: String
    /// The items that still wait, by organization.
    private var waiting: [String: [QueuedSync]]
    private(set) var problems: [String: BillingProblem] = [:]
    /// The organizations without an active subscription where it was looked for; the one that counts may be elsewhere.
    private(set) var elsewhere: Set<String> = []
    /// The organizations whose subscription was written for another one. They have to be looked at, too.
    private(set) var formerOwners: Set<String> = []
    /// The organizations that must be written before a former owner, one of ``elsewhere``, ends.
    private(set) var newOwners: Set<String> = []
    /// The organizations of all items of the run.
    private let known: Set<String>
    private(set) var changed = 0

    init(
        _ retry: BillingRetry, _ items: [QueuedSync], _ reach: Reach, known: Set<String> = [], claim: String
    ) {
        self.known = known
        self.retry = retry
        self.reach = reach
        self.claim = claim
        waiting = Dictionary(grouping: items, by: \.slug)
    }

    /// If somebody else wrote an organization meanwhile, it is read again: only then is the warehouse certainly as new as the
    /// item.
    mutating func run() async throws {
        for _ in 0..<Self.rounds {
            try Task.checkCancellation()
            let changes = try await changes()
            var written = BillingWriter.Written()
            defer {
                changed += changes.count { written.applied.contains($0.slug) && !$0.differences.isEmpty }
                formerOwners.formUnion(written.formerOwners)
            }
            try await retry.writer.applyInParts(
                changes.filter { $0.reassignment == nil }, claim: claim, into: &written)
            let ends = ends(changes, written)
            try await retry.writer.applyInParts(ends, claim: claim, into: &written)
            for change in ends where written.applied.contains(change.slug) {
                retry.report.warn(quoted(change.slug), change.reassignment?.note ?? "")
            }
            // What refuses even a write of nothing refuses every organization.
            if !written.refused.isEmpty { try await retry.writer.confirmAccepts(like: changes[0], claim: claim) }
            for (slug, error) in written.refused { problems[slug] = BillingProblem(error.description) }
            waiting = waiting.filter { !written.applied.contains($0.key) && problems[$0.key] == nil }
            if waiting.isEmpty { return }
        }
        for slug in waiting.keys {
            problems[slug] = BillingProblem("it was changed by somebody else each time it was read")
        }
    }

    /// The former owners that end now. One whose subscription's new owner could not be written stays as it is.
    private mutating func ends(_ changes: [BillingChange], _ written: BillingWriter.Written) -> [BillingChange] {
        let ending = Set(changes.lazy.filter { $0.reassignment != nil }.map(\.slug))
        return changes.filter { change in
            guard let owner = change.reassignment?.owner else { return false }
            if problems[owner] != nil || written.refused[owner] != nil {
                problems[change.slug] = Self.problem(of: owner)
                return false
            }
            return waiting[owner] == nil || written.applied.contains(owner) || ending.contains(owner)
        }
    }

    private static func problem(of owner: String) -> BillingProblem {
        BillingProblem("its subscription is that of \(quoted(owner)) now, which could not be written")
    }

    /// The writes for the waiting organizations. An organization that agrees gets the time of the reading written: somebody who
    /// read earlier and writes later must find it. One for which Stripe has nothing to write waits no more.
    mutating func changes() async throws -> [BillingChange] {
        guard !waiting.isEmpty else { return [] }
        switch reach {
        case .known: return try await changesWhereKnown()
        case .everywhere: return try await changesEverywhere()
        }
    }

    private mutating func changesWhereKnown() async throws -> [BillingChange] {
        let (warehouse, today, slugs) = (retry.warehouse, retry.today, waiting.keys.sorted())
        let state = try await BillingState.read(warehouse, today: today, slugs: slugs)
        for slug in slugs where state.organizations[slug] == nil {
            problems[slug] = BillingProblem("there is no such organization")
            waiting[slug] = nil
        }
        guard !waiting.isEmpty else { return [] }
        let lookup = OrganizationLookup(stripe: retry.stripe, state: state) { subscriptions in
            try await BillingState.read(
                warehouse, today: today,
                slugs: slugs + subscriptions.compactMap(\.namedOrganization).filter(Organization.isValid),
                customers: subscriptions.compactMap(\.customer), subscriptions: subscriptions.map(\.id))
        }
        let found = try await lookup.find(waiting.mapValues { $0.map(\.hints) })
        problems.merge(found.problems) { $1 }
        let comparison = BillingComparison(plans: found.plans, today: today)
        return slugs.compactMap { slug in
            guard problems[slug] == nil, let stored = state.organizations[slug] else { return nil }
            do throws(BillingProblem) {
                guard let subscriptions = found.subscriptions[slug],
                    try subscriptions.choice(found.plans, stored).active != nil,
                    // A stored subscription that is not there may mean another account: the listing tells.
                    stored.isCancelled || found.seen.contains(stored.values.subscription ?? "")
                        || (stored.values.subscription ?? "").isEmpty
                else {
                    elsewhere.insert(slug)
                    waiting[slug] = nil
                    return nil
                }
                return change(slug, stored, subscriptions, comparison)
            } catch {
                problems[slug] = error
                return nil
            }
        }
    }

    private mutating func changesEverywhere() async throws -> [BillingChange] {
        let listing = try await StripeListing.read(retry.stripe)
        let state = try await BillingState.read(retry.warehouse, today: retry.today)
        if let (_, reason) = state.loss(state.listed(in: listing.subscriptions), since: listing.time.from) {
            throw StripeError(.account, operation: "compare the account with the warehouse", message: reason)
        }
        let assigned = SubscriptionAssignment(listing.subscriptions, state, listing.plans)
        for (subscription, reason) in assigned.unmatched where !subscription.malformed.isEmpty {
            retry.report.warn(
                subscription.name, "\(subscription.malformed.summary); its organization is unknown: \(reason)")
        }
        let comparison = BillingComparison(
            plans: listing.plans, today: retry.today, moved: (assigned.moved, listing.time))
        return waiting.keys.sorted().compactMap { slug in
            guard let number = state.organizations.number(of: slug),
                let change = change(
                    slug, state.organizations[number], assigned.subscriptions(of: number), comparison)
            else { return nil }
            guard let owner = change.reassignment?.owner, waiting[owner] == nil, problems[owner] == nil,
                let number = state.organizations.number(of: owner),
                !isWritten(state.organizations[number], assigned.subscriptions(of: number), comparison)
            else { return change }
            if known.contains(owner) {
                problems[slug] = Self.problem(of: owner)
            } else {
                newOwners.insert(owner)
                elsewhere.insert(slug)
                waiting[slug] = nil
            }
            return nil
        }
    }

    /// Whether an organization needs no write before another one ends.
    private func isWritten(
        _ stored: StoredBilling, _ subscriptions: OrganizationSubscriptions?, _ comparison: BillingComparison
    ) -> Bool {
        switch try? comparison.outcome(of: stored, subscriptions, reason: "") {
        case .kept: true
        case .change(let change, _): change.differences.isEmpty || change.reassignment != nil
        case .overtaken, nil: false
        }
    }

    private mutating func change(
        _ slug: String, _ stored: StoredBilling, _ subscriptions: OrganizationSubscriptions?,
        _ comparison: BillingComparison
    ) -> BillingChange? {
        let reasons = Set((waiting[slug] ?? []).map(\.reason)).sorted().joined(separator: ", ")
        do throws(BillingProblem) {
            switch try comparison.outcome(of: stored, subscriptions, reason: reasons) {
            case .change(let change, let note):
                if let note, !change.differences.isEmpty { retry.report.warn(quoted(slug), note) }
                return change
            case .overtaken: return nil
            case .kept where subscriptions == nil && !stored.isCancelled:
                throw BillingProblem("no subscription of it was found in Stripe")
            case .kept(let reason):
                if stored.isLive {
                    retry.report.warn(quoted(slug), "is \(stored.values.status ?? "") and stays so: \(reason)")
                }
                waiting[slug] = nil
                return nil
            }
        } catch {
            problems[slug] = error
            return nil
        }
    }
}
