package import JobRuntime
package import Logging
package import Warehouse
import WarehouseKit

/// Compares every subscription of the Stripe account with the warehouse and corrects the warehouse.
///
/// Invariants:
/// - Stripe is read before the warehouse, and only a listing that was read to its end says what is missing;
/// - an organization that agrees is not written; the number of statements does not depend on the number of organizations;
/// - an organization whose state is unknown is reported, and the others go on;
/// - a difference that could not be applied is queued for `billing-sync-retry`;
/// - a run without errors closes a gap in Stripe's events that was recorded before it began (see ``EventCursor``).
///
/// An organization that the queue's job is at work on gets the time of this reading written even where nothing differs: that
/// job may have read earlier and write later, and must then find a newer version. It claims before it reads, and this type reads
/// the warehouse after Stripe, so everybody who could write something older is seen.
///
/// ```swift
/// try await BillingReconciliation(
///     stripe: stripe, warehouse: warehouse, today: today, report: report, logger: logger
/// ).run(cancelMissing: nil)
/// ```
package struct BillingReconciliation: Sendable {
    /// The job's share of the requests to Stripe; see ``StripeClient``.
    package static let stripeRequestsPerSecond = 12.0

    private let stripe: StripeClient
    private let warehouse: MeteredWarehouse
    private let writer: BillingWriter
    private let queue: SyncQueue
    private let cursor: EventCursor
    private let today: CivilDate
    private let report: RunReport
    private let logger: Logger
    private let isDryRun: Bool
    private let now: @Sendable () -> Timestamp

    package init(
        stripe: StripeClient, warehouse: any SQLWarehouse, today: CivilDate, report: RunReport, logger: Logger,
        isDryRun: Bool = false, now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        self.stripe = stripe
        self.warehouse = MeteredWarehouse(warehouse, report)
        writer = BillingWriter(warehouse: self.warehouse, today: today, now: now)
        queue = SyncQueue(warehouse: self.warehouse, now: now)
        cursor = EventCursor(warehouse: self.warehouse, now: now)
        self.today = today
        self.report = report
        self.logger = logger
        self.isDryRun = isDryRun
        self.now = now
    }

    /// The reason why the run needs `--force`. Stripe tells only what is true today.
    /// - Parameter wallClock: The present time, which `--date` does not change.
    package static func objection(to run: Run, wallClock: Timestamp = .wallClock()) -> String? {
        guard run.timeSource != .present, run.now.date != wallClock.date else { return nil }
        return "\(run.now.date) is not today: today's limits would be written into its rows"
    }

    /// - Parameter limit: Mark organizations as CANCELLED whose subscription is gone, but at most so many.
    /// - Returns: Whether the state of every organization is known and is in the warehouse or in the queue.
    @discardableResult
    package func run(cancelMissing limit: Int? = nil) async throws -> Bool {
        let (began, errors) = (now(), report.count(of: "errors"))
        report.declare(
            counts: "subscriptions", "checked", "mismatches", "synced", "unmatched", "ignored", "missing_in_stripe",
            "live_without_subscription", "errors", "queued")
        let listing = try await StripeListing.read(stripe, report)
        let state = try await BillingState.read(warehouse, today: today)
        let listed = state.listed(in: listing.subscriptions)
        if let (lost, reason) = state.loss(listed, since: listing.time.from) {
            report.add(lost, to: "missing_in_stripe")
            report.fail("missing_in_stripe", reason)
            return false
        }
        let assigned = SubscriptionAssignment(listing.subscriptions, state, listing.plans)
        report(assigned, state)
        try await correct(assigned, state, listing)
        var rest = try await cancellations(listing, listed, state, assigned, limit)[...]
        var left: [String] = []
        while !rest.isEmpty {
            var part = Array(rest.prefix(BillingWriter.mostChanges))
            rest = rest.dropFirst(part.count)
            left += try await apply(&part)
        }
        try await queue(left)
        guard !isDryRun, report.count(of: "errors") == errors else { return false }
        try await closeGap(beganAt: began)
        return true
    }

    private func closeGap(beganAt began: Timestamp) async throws {
        do {
            guard try await cursor.read().gap != nil else { return }
            if try await cursor.close(beganAt: began) { report.line("the gap in Stripe's events is closed") }
        } catch let error as WarehouseError where error.isOfMissingCursor {
            // Without its table there is no gap: nothing reads events before. A gap that cannot be read stays.
        }
    }

    private func report(_ assigned: SubscriptionAssignment, _ state: BillingState) {
        report.add(assigned.ignored, to: "ignored")
        var (named, unnamed, misnamed) = (Findings(), Findings(), Findings())
        for (subscription, reason) in assigned.unmatched {
            report.add(1, to: "unmatched")
            if !subscription.malformed.isEmpty {
                report.add(1, to: "errors")
                report.fail(
                    subscription.name, "\(subscription.malformed.summary); its organization is unknown: \(reason)")
            } else if !state.holders(ofSubscription: subscription.id).isEmpty {
                report.add(1, to: "errors")
                report.fail(subscription.name, reason)
            } else {
                let (subject, example) = ("unmatched \(subscription.name)", printable(subscription.id))
                if subscription.namedOrganization == nil {
                    unnamed.add(subject, reason, example)
                } else {
                    named.add(subject, reason, example)
                }
            }
        }
        for (subscription, slug) in assigned.misnamed {
            let reason = "its metadata names nobody; it stays with \(quoted(slug)), which has it stored"
            misnamed.add(subscription.name, reason, printable(subscription.id))
        }
        warn(named, together: "unmatched", "subscriptions name an organization that does not exist")
        warn(
            unnamed, together: "unmatched",
            "subscriptions name no organization; if they are not this service's, name them in STRIPE_IGNORE")
        warn(
            misnamed, together: "misnamed",
            "subscriptions name nobody and stay with the organizations that have them stored")
    }

    /// Findings of one kind: how many there are, and the first three of them.
    private struct Findings {
        private(set) var count = 0
        private(set) var first: [(subject: String, reason: String, example: String)] = []

        mutating func add(_ subject: String, _ reason: String, _ example: String) {
            count += 1
            if count <= 3 { first.append((subject, reason, example)) }
        }

        mutating func add(_ slug: String, _ reason: String) { add(quoted(slug), reason, quoted(slug)) }
    }

    /// Up to three findings have a line each; more have one together, with three examples.
    private func warn(_ findings: Findings, together subject: String, _ text: String) {
        if findings.count <= 3 { return findings.first.forEach { report.warn($0.subject, $0.reason) } }
        let examples = findings.first.map(\.example).joined(separator: ", ")
        report.warn(subject, "\(findings.count) \(text): \(examples) and \(findings.count - 3) more")
    }

    /// Compares each organization, and writes what differs in parts as it is found: ten thousand changes at once would take
    /// more memory than the listing.
    private func correct(
        _ assigned: SubscriptionAssignment, _ state: BillingState, _ listing: StripeListing
    ) async throws {
        let comparison = BillingComparison(
            plans: listing.plans, today: today, moved: (assigned.moved, listing.time))
        var changes: [BillingChange] = []
        /// The organizations to queue.
        var left: [String] = []
        /// The organizations whose state is unknown.
        var failed: Set<String> = []
        var reassigned: [BillingChange] = []
        var (several, notes, live) = (Findings(), Findings(), Findings())
        for number in state.organizations.bySlug() {
            let stored = state.organizations[number]
            let (slug, subscriptions) = (stored.slug, assigned.subscriptions(of: number))
            if subscriptions != nil { report.add(1, to: "checked") }
            if stored.rows > 1, subscriptions != nil {
                several.add(
                    slug, "has \(stored.rows) rows in org_subscriptions; \(stored.row ?? "") is the one that counts")
            }
            do throws(BillingProblem) {
                switch try comparison.outcome(of: stored, subscriptions, reason: "reconciliation") {
                case .change(let change, _) where change.reassignment != nil: reassigned.append(change)
                case .change(let change, let note):
                    if let note, !change.differences.isEmpty { notes.add(slug, note) }
                    if !change.differences.isEmpty || stored.isInProgress { changes.append(change) }
                case .overtaken: left.append(slug)
                case .kept(let reason):
                    // One whose stored subscription is gone is missing.
                    guard stored.isLiveWithoutSubscription || (stored.isLive && subscriptions != nil) else { break }
                    live.add(slug, "is \(stored.values.status ?? "") and stays so: \(reason)")
                }
            } catch {
                failed.insert(slug)
                fail(slug, error.description)
            }
            if changes.count == BillingWriter.mostChanges { left += try await apply(&changes) }
        }
        left += try await apply(&changes)
        let unwritten = Set(left)
        for change in reassigned {
            guard let (owner, note) = change.reassignment.map({ ($0.owner, $0.note) }) else { continue }
            if unwritten.contains(owner) {
                left.append(change.slug)
            } else if failed.contains(owner) {
                fail(change.slug, "stays as it is: its subscription is that of \(quoted(owner)) now, which failed")
            } else {
                notes.add(change.slug, note)
                changes.append(change)
            }
            if changes.count == BillingWriter.mostChanges { left += try await apply(&changes) }
        }
        left += try await apply(&changes)
        try await queue(left)
        report.add(live.count, to: "live_without_subscription")
        warn(several, together: "rows", "organizations have several rows in org_subscriptions")
        warn(
            notes, together: "not all could be read",
            "organizations lost their service, or their subscription to another organization; the audits have each of them"
        )
        warn(live, together: "live_without_subscription", "organizations have service without a subscription in Stripe")
    }

    /// Prints each mismatch as organization, field, Stripe, warehouse, and counts the mismatches by field.
    private func show(_ changes: [BillingChange]) {
        var counts: [String: Int] = [:]
        for difference in changes.flatMap(\.differences) { counts[difference.field, default: 0] += 1 }
        report.add(counts.values.reduce(0, +), to: "mismatches")
        for field in BillingChange.fields {
            guard let count = counts[field] else { continue }
            report.add(count, to: "mismatches_\(field.split(separator: ".").joined(separator: "_"))")
        }
        report.table(header: BillingChange.tableHeader, rows: changes.flatMap(\.tableRows))
    }

    /// Shows and writes the changes, and forgets them.
    /// - Returns: The organizations to queue: those that could not be written or were overtaken by something newer.
    private func apply(_ changes: inout [BillingChange]) async throws -> [String] {
        defer { changes = [] }
        show(changes)
        guard !isDryRun, !changes.isEmpty else { return [] }
        try Task.checkCancellation()
        return try await apply(changes[...]).map(\.slug)
    }

    private func queue(_ left: [String]) async throws {
        guard !isDryRun, !left.isEmpty else { return }
        report.add(try await queue.add(left), to: "queued")
        logger.notice("queued \(left.count) organizations that were changed meanwhile or could not be written")
    }

    /// - Returns: The changes to queue. A change without a difference that was overtaken by something newer is done.
    private func apply(_ part: ArraySlice<BillingChange>) async throws -> [BillingChange] {
        var written = BillingWriter.Written()
        var problem: WarehouseError?
        defer { report.add(part.count { written.applied.contains($0.slug) && !$0.differences.isEmpty }, to: "synced") }
        do {
            try await writer.applyInParts(part, into: &written)
        } catch let error as WarehouseError where !error.endsRun {
            problem = error
        }
        for (slug, error) in written.refused.sorted(by: { $0.key < $1.key }) {
            fail(slug, "not applied, but queued: \(error)")
        }
        let rest = part.filter { !written.applied.contains($0.slug) }
        guard let problem else { return rest.filter { written.refused[$0.slug] != nil || !$0.differences.isEmpty } }
        let unknown = rest.count { written.refused[$0.slug] == nil }
        report.add(unknown, to: "errors")
        report.fail("\(unknown) organizations", "not applied, but queued: \(problem)")
        return rest
    }

    private func fail(_ slug: String, _ reason: String) {
        report.add(1, to: "errors")
        report.fail(quoted(slug), reason)
    }
}

extension BillingReconciliation {
    /// Reports the organizations that are not cancelled and whose stored subscription is in no page of the listing. With a limit
    /// they become cancelled, each after Stripe was asked once more. Nobody is cancelled in two cases, which are failures:
    /// - more organizations than the limit are missing;
    /// - a subscription of the listing has no readable id: it may be any of the missing ones.
    private func cancellations(
        _ listing: StripeListing, _ listed: [Bool], _ state: BillingState, _ assigned: SubscriptionAssignment,
        _ limit: Int?
    ) async throws -> [BillingChange] {
        let organizations = state.organizations
        let missing = organizations.bySlug().filter { number in
            guard !listed[number], assigned.isWithout(number) else { return false }
            let stored = organizations[number]
            // A row that was written after the listing began may be newer than the listing.
            return !(stored.values.subscription ?? "").isEmpty && stored.version < listing.time.from
                && !stored.isCancelled
        }
        report.add(missing.count, to: "missing_in_stripe")
        var findings = Findings()
        for stored in missing.lazy.map({ organizations[$0] }) {
            let id = printable(stored.values.subscription ?? "")
            findings.add(stored.slug, "missing_in_stripe: there is no subscription \(id)")
        }
        warn(
            findings, together: "missing_in_stripe",
            "organizations have a subscription stored that is not in the account")
        guard let limit, !missing.isEmpty else { return [] }
        if let reason = refusal(missing.count, limit, listing) {
            report.fail("missing_in_stripe", reason)
            return []
        }
        var changes: [BillingChange] = []
        for stored in missing.lazy.map({ organizations[$0] }) {
            do {
                if let change = try await cancellation(of: stored) { changes.append(change) }
            } catch let error as StripeError where !error.endsRun {
                fail(stored.slug, "not cancelled: \(error)")
            } catch let problem as BillingProblem {
                fail(stored.slug, problem.description)
            }
        }
        return changes
    }

    private func refusal(_ missing: Int, _ limit: Int, _ listing: StripeListing) -> String? {
        if listing.subscriptions.hasOneWithoutID {
            return "a subscription of the account has no readable id, so none was cancelled"
        }
        if missing > limit {
            return
                "\(missing) organizations would be cancelled, more than \(limit): nothing was; is the key that of this account? "
                + "Otherwise raise --cancel-missing-limit"
        }
        return nil
    }

    private func cancellation(of stored: StoredBilling) async throws -> BillingChange? {
        let from = now()
        guard try await stripe.subscription(stored.values.subscription ?? "") == nil else {
            report.warn(
                quoted(stored.slug), "its subscription is there after all; the next run compares it")
            return nil
        }
        return try BillingChange(
            stored.values.cancelled(today), stored, read: ReadTime(from: from, until: now()),
            reason: "missing_in_stripe")
    }
}
