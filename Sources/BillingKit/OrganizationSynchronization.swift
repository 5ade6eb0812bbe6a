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
    private(set) var changed = 0

    init(_ retry: BillingRetry, _ items: [QueuedSync], _ reach: Reach, claim: String) {
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
            defer { changed += changes.count { written.applied.contains($0.slug) && !$0.differences.isEmpty } }
            try await retry.writer.applyInParts(changes, claim: claim, into: &written)
            for (slug, error) in written.refused { problems[slug] = BillingProblem(error.description) }
            waiting = waiting.filter { !written.applied.contains($0.key) && problems[$0.key] == nil }
            if waiting.isEmpty { return }
        }
        for slug in waiting.keys {
            problems[slug] = BillingProblem("it was changed by somebody else each time it was read")
        }
    }

    /// The writes for the waiting organizations. An organization that agrees gets the time of the reading written: somebody who
    /// read earlier and writes later must find it.
    mutating func changes() async throws -> [BillingChange] {
        guard !waiting.isEmpty else { return [] }
        let (state, found) = try await find()
        for slug in waiting.keys where found[slug] == nil && problems[slug] == nil {
            problems[slug] = BillingProblem("no subscription of it was found in Stripe")
        }
        waiting = waiting.filter { problems[$0.key] == nil }
        guard !waiting.isEmpty else { return [] }
        let plans: PlanCatalog
        do {
            plans = try await PlanCatalog.read(
                retry.stripe, for: found.values.flatMap { $0.replies.map(\.value) })
        } catch let error as StripeError where !error.endsRun {
            for slug in waiting.keys { problems[slug] = BillingProblem(error.description) }
            return []
        }
        return found.sorted { $0.key < $1.key }.compactMap { slug, subscriptions in
            waiting[slug] == nil ? nil : change(slug, subscriptions, state, plans)
        }
    }

    private mutating func find() async throws -> (BillingState, [String: OrganizationSubscriptions]) {
        switch reach {
        case .known: try await findWhereKnown()
        case .everywhere: try await findEverywhere()
        }
    }

    private mutating func findWhereKnown() async throws -> (BillingState, [String: OrganizationSubscriptions]) {
        let (warehouse, today, slugs) = (retry.warehouse, retry.today, waiting.keys.sorted())
        let state = try await BillingState.read(warehouse, today: today, slugs: slugs)
        for slug in slugs where state.organizations[slug] == nil {
            problems[slug] = BillingProblem("there is no such organization")
            waiting[slug] = nil
        }
        let lookup = OrganizationLookup(stripe: retry.stripe, state: state) { customers, subscriptions in
            try await BillingState.read(
                warehouse, today: today, slugs: slugs, customers: customers.sorted(),
                subscriptions: subscriptions.sorted())
        }
        let found = try await lookup.find(waiting.mapValues { $0.map(\.hints) })
        problems.merge(found.problems) { $1 }
        for slug in slugs where problems[slug] == nil {
            let subscriptions = found.subscriptions[slug]
            problems[slug] = subscriptions?.problem
            guard problems[slug] == nil, subscriptions?.activeSince == nil else { continue }
            elsewhere.insert(slug)
            waiting[slug] = nil
        }
        return (state, found.subscriptions)
    }

    private mutating func findEverywhere() async throws -> (BillingState, [String: OrganizationSubscriptions]) {
        let listed: [StripeReply<StripeSubscription>]
        do {
            listed = try await StripeListing.all(retry.stripe)
        } catch let error as StripeError where !error.endsRun {
            for slug in waiting.keys { problems[slug] = BillingProblem(error.description) }
            return (try BillingState(), [:])
        }
        let state = try await BillingState.read(retry.warehouse, today: retry.today)
        let assigned = SubscriptionAssignment(listed, state)
        for (subscription, reason) in assigned.unmatched where !subscription.malformed.isEmpty {
            retry.report.warn(
                subscription.name, "\(subscription.malformed.summary); its organization is unknown: \(reason)")
        }
        return (state, assigned.found.filter { waiting[$0.key] != nil })
    }

    private mutating func change(
        _ slug: String, _ subscriptions: OrganizationSubscriptions, _ state: BillingState, _ plans: PlanCatalog
    ) -> BillingChange? {
        guard let stored = state.organizations[slug] else { return nil }
        do throws(BillingProblem) {
            let chosen = try subscriptions.chosen()
            let reasons = Set((waiting[slug] ?? []).map(\.type)).sorted().joined(separator: ", ")
            return try BillingChange(
                try BillingValues(chosen.value, plans), stored, read: chosen.time.joined(plans.time), reason: reasons,
                requestID: chosen.requestID)
        } catch {
            problems[slug] = error
            return nil
        }
    }
}
