import JobRuntime
import WarehouseKit

/// Brings the organizations of some claimed items to Stripe, and says for which of them that failed.
struct OrganizationSynchronisation {
    private static let rounds = 3

    private let retry: BillingRetry
    private let claim: String
    /// What is known about where to look, and why, by organization.
    private var waiting: [String: [QueuedSync]]
    private(set) var problems: [String: BillingProblem] = [:]
    private(set) var changed = 0

    init(_ retry: BillingRetry, _ items: [QueuedSync], claim: String) {
        self.retry = retry
        self.claim = claim
        waiting = Dictionary(grouping: items.filter { $0.problem == nil }, by: \.slug)
    }

    /// What somebody else wrote meanwhile is read again: only then is it certain that the warehouse is as new as the item.
    mutating func run() async throws {
        for _ in 0..<Self.rounds {
            try Task.checkCancellation()
            let changes = try await changes()
            let applied = try await retry.writer.apply(changes, claim: claim)
            changed += changes.count { applied.contains($0.slug) && !$0.differences.isEmpty }
            for slug in applied { waiting[slug] = nil }
            for slug in problems.keys { waiting[slug] = nil }
            if waiting.isEmpty { return }
        }
        for slug in waiting.keys {
            problems[slug] = BillingProblem("it was changed by somebody else each time it was read")
        }
    }

    /// What has to be written for those that wait. One that agrees gets the time of the reading written: somebody who read
    /// earlier and writes later must find it.
    mutating func changes() async throws -> [BillingChange] {
        guard !waiting.isEmpty else { return [] }
        let state = try await read(waiting.keys.sorted())
        for slug in waiting.keys where state.organizations[slug] == nil {
            problems[slug] = BillingProblem("there is no such organization, or its row cannot be read")
            waiting[slug] = nil
        }
        let retry = retry
        let lookup = OrganizationLookup(stripe: retry.stripe, state: state) { try await Self.wholeState(retry) }
        let (found, failed) = try await lookup.find(waiting.mapValues { $0.map(\.hints) })
        problems.merge(failed) { $1 }
        for slug in waiting.keys where found[slug] == nil && failed[slug] == nil {
            problems[slug] = BillingProblem("no subscription of it was found in Stripe")
        }
        guard !found.isEmpty else { return [] }
        let subscriptions = found.values.flatMap { $0.replies.map(\.value) }
        let plans: PlanCatalog
        do {
            plans = try await PlanCatalog.read(retry.stripe, for: subscriptions)
        } catch let error as StripeError where !error.endsRun {
            for slug in found.keys { problems[slug] = BillingProblem(error.description) }
            return []
        }
        return found.sorted { $0.key < $1.key }.compactMap { slug, subscriptions in
            problems[slug] == nil ? change(slug, subscriptions, state, plans) : nil
        }
    }

    private mutating func change(
        _ slug: String, _ subscriptions: OrganizationSubscriptions, _ state: BillingState, _ plans: PlanCatalog
    ) -> BillingChange? {
        guard let stored = state.organizations[slug] else { return nil }
        do throws(BillingProblem) {
            let chosen = try subscriptions.chosen()
            let reasons = Set((waiting[slug] ?? []).map(\.type)).sorted().joined(separator: ", ")
            return BillingChange(
                try BillingValues(chosen.value, plans), stored, read: chosen.time.joined(plans.time), reason: reasons,
                requestID: chosen.requestID)
        } catch {
            problems[slug] = error
            return nil
        }
    }

    private func read(_ slugs: [String]) async throws -> BillingState {
        let statements = BillingStateStatements(today: retry.today)
        return try BillingState(try await retry.warehouse.query(statements.some(slugs)).rows)
    }

    private static func wholeState(_ retry: BillingRetry) async throws -> BillingState {
        try BillingState(try await retry.warehouse.query(BillingStateStatements(today: retry.today).all).rows)
    }
}
