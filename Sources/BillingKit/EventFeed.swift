import JobRuntime
import Warehouse
import WarehouseKit

/// Queues the organizations that Stripe's events name, so that a change in Stripe needs no webhook to arrive.
///
/// - An event may come late, twice, in any order and in an older shape: it only names organizations, and an organization that
///   will be read anyway is not queued again.
/// - An event of a plan, and one that cannot be read, asks for a reconciliation of the whole account.
/// - Where events may have been missed (older than Stripe keeps them, too many, or before the first run), the cursor records a gap
///   and a reconciliation of the whole account is queued.
///
/// A pass without events costs one request to Stripe and two to the warehouse.
struct EventFeed: Sendable {
    /// The events of this time are read again by the next pass, since one may become visible after a later one.
    static let overlap = Duration.seconds(600)
    /// Stripe keeps events for thirty days: https://docs.stripe.com/api/events. The last day is not relied on.
    static let kept = Duration.seconds(29 * 86_400)
    /// The clocks of Stripe and of the warehouse's rows may differ by this much, and an event's time has no fraction of a second.
    private static let clockMargin = Duration.seconds(60)
    /// A pass reads so many events. With more, one listing of the account costs less than looking up each organization.
    static let mostEvents = 5000
    /// So many subscriptions that no organization is known to have are read to find their owners.
    private static let mostUnknown = 50

    let stripe: StripeClient
    let cursor: EventCursor
    let today: CivilDate
    let report: RunReport
    let isDryRun: Bool
    let now: @Sendable () -> Timestamp

    /// - Returns: The due items and the cursor afterward. Nothing was counted in a dry run, or if events could not be read. The
    ///   cursor has no state where it has no table.
    func queueChanges() async throws -> (due: DueSyncs?, state: EventCursor.State?) {
        let known: EventCursor.State
        do {
            known = try await cursor.read()
        } catch let error as WarehouseError where error.isOfMissingCursor {
            let next = "run bootstrap, which creates billing_event_cursor, then create-all-jobs.sh"
            report.warn("events", "Stripe's events are not read: \(next) (\(error.code.rawValue))")
            return (nil, nil)
        }
        do {
            return try await queueChanges(since: known)
        } catch let error as StripeError where error.code == .forbidden && error.resource == .events {
            report.warn(
                "events",
                "changes in Stripe are found by the queue and the nightly reconciliation only: \(error.reason)")
            return (nil, known)
        }
    }

    private func queueChanges(
        since known: EventCursor.State
    ) async throws -> (due: DueSyncs?, state: EventCursor.State?) {
        let began = now()
        let readTo = began.adding(.zero - Self.overlap)
        let oldest = began.adding(.zero - Self.kept)
        var named: [EventCursor.Naming] = []
        var gap: EventCursor.Gap?
        if let from = known.readTo, from >= oldest {
            if let events = try await events(since: from) {
                named = try await namings(of: events, readAt: began)
            } else {
                gap = .init(since: from, recordedAt: began)
            }
        } else {
            // The key must be able to read events before the cursor says how far they were read.
            _ = try await stripe.events(since: readTo) { _ in false }
            gap = .init(since: known.readTo, recordedAt: began)
        }
        var state = EventCursor.State(readTo: max(known.readTo ?? readTo, readTo), gap: known.gap)
        if let gap {
            named = [.init(slug: QueuedSync.wholeAccount, type: QueuedSync.fullType, knownAfter: began)]
            state.gap = .init(since: known.gap.map(\.since) ?? gap.since, recordedAt: began)
        }
        report.add(named.count, to: "named_by_events")
        guard !isDryRun else {
            for naming in named {
                let isWhole = naming.slug == QueuedSync.wholeAccount
                report.line("would queue \(isWhole ? "a reconciliation of the whole account" : naming.slug)")
            }
            return (nil, known)
        }
        return (try await cursor.advance(to: readTo, queueing: named, gap: gap), state)
    }

    /// - Returns: `nil` if there are too many.
    private func events(since: Timestamp) async throws -> [StripeEvent]? {
        var found: [StripeEvent] = []
        let isComplete = try await stripe.events(since: since) { page in
            found += page
            return found.count <= Self.mostEvents
        }
        report.add(found.count, to: "events")
        return isComplete ? found : nil
    }

    private func namings(of events: [StripeEvent], readAt: Timestamp) async throws -> [EventCursor.Naming] {
        let subscriptions = events.compactMap { event -> StripeSubscription? in
            if case .subscription(let subscription, _) = event.object { subscription } else { nil }
        }
        let named = events.compactMap { event -> [String]? in
            guard case .subscription(let subscription, let former) = event.object else { return nil }
            return [subscription.namedOrganization, former].compactMap(\.self)
        }.joined()
        let state =
            subscriptions.isEmpty
            ? nil
            : try await BillingState.read(
                cursor.warehouse, today: today, slugs: Set(named).filter(Organization.isValid).sorted(),
                customers: Set(subscriptions.compactMap(\.customer)).sorted(),
                subscriptions: Set(subscriptions.map(\.id)).sorted())
        var latest: [String: Timestamp] = [:]
        var unknown: [String: Timestamp] = [:]
        func note(_ slug: String, _ time: Timestamp) { latest[slug] = max(latest[slug] ?? time, time) }
        for event in events {
            // Without a readable time the event may be as new as this reading.
            let time = event.created.map { Timestamp(microseconds: $0 * 1_000_000) } ?? readAt
            switch event.object {
            case .otherProduct: break
            case .plan(let product), .price(let product?):
                if !stripe.ignore.products.contains(product) { note(QueuedSync.wholeAccount, time) }
            case .price(nil), .unreadable: note(QueuedSync.wholeAccount, time)
            case .subscription(let subscription, let former):
                guard let state else { continue }
                let slugs = organizations(of: subscription, former, in: state)
                for slug in slugs { note(slug, time) }
                if slugs.isEmpty, !subscription.isForeign(by: stripe.ignore) {
                    unknown[subscription.id] = max(unknown[subscription.id] ?? time, time)
                }
            }
        }
        try await lookUp(unknown, note)
        return latest.sorted { $0.key < $1.key }.map { slug, time in
            .init(
                slug: slug, type: slug == QueuedSync.wholeAccount ? QueuedSync.fullType : "event",
                knownAfter: time.adding(Self.clockMargin))
        }
    }

    /// The organizations that have the subscription stored, and those that its metadata names or named.
    private func organizations(
        of subscription: StripeSubscription, _ former: String?, in state: BillingState
    ) -> Set<String> {
        var slugs = Set(state.holders(ofSubscription: subscription.id).map { state.organizations.slug($0) })
        slugs.formUnion([subscription.namedOrganization, former].compactMap(\.self))
        if case .organization(let slug) = state.match(subscription) { slugs.insert(slug) }
        return slugs.filter { state.organizations[$0] != nil }
    }

    /// A subscription of a new customer may name its organization only in the customer's metadata, which no event has.
    private func lookUp(_ unknown: [String: Timestamp], _ note: (String, Timestamp) -> Void) async throws {
        guard unknown.count <= Self.mostUnknown else {
            return note(QueuedSync.wholeAccount, unknown.values.max() ?? now())
        }
        var found: [(subscription: StripeSubscription, time: Timestamp)] = []
        for (id, time) in unknown.sorted(by: { $0.key < $1.key }) {
            guard let reply = try await stripe.subscription(id), !reply.value.isForeign(by: stripe.ignore) else {
                continue
            }
            found.append((reply.value, time))
        }
        guard !found.isEmpty else { return }
        let slugs = found.flatMap { subscription, _ in
            [
                subscription.namedOrganization, subscription.customerMetadata?[.orgSlug],
                subscription.customerMetadata?[.pendingOrgSlug],
            ].compactMap(\.self)
        }
        let state = try await BillingState.read(
            cursor.warehouse, today: today, slugs: Set(slugs).filter(Organization.isValid).sorted(),
            customers: found.compactMap(\.subscription.customer), subscriptions: found.map(\.subscription.id))
        for (subscription, time) in found {
            if case .organization(let slug) = state.match(subscription) { note(slug, time) }
        }
    }
}
