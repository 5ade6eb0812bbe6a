import JobRuntime

extension BillingReconciliation {
    /// Organizations that are not cancelled and whose stored subscription is in none of the pages. They are reported; with a
    /// limit they become cancelled, each after one more look. None of them does if there are more than that, or if no stored
    /// subscription at all is in the listing: then the key is that of another account.
    func missing(
        _ listing: StripeListing, _ state: BillingState, _ found: [String: OrganizationSubscriptions], _ limit: Int?
    ) async throws -> [BillingChange] {
        let listed = Set(listing.subscriptions.map(\.value.id))
        let gone = state.organizations.values.filter { stored in
            let id = stored.text(of: .subscription)
            // What was written after the listing began may be newer than it.
            return !id.isEmpty && !listed.contains(id) && found[stored.slug] == nil
                && stored.version < listing.startedAt && stored.text(of: .status) != SubscriptionStatus.cancelled
        }.sorted { $0.slug < $1.slug }
        report.add(gone.count, to: "missing_in_stripe")
        for stored in gone {
            report.warn(
                quoted(stored.slug),
                "missing_in_stripe: there is no subscription \(printable(stored.text(of: .subscription)))")
        }
        guard let limit, !gone.isEmpty else { return [] }
        guard state.bySubscription.keys.contains(where: listed.contains) else {
            report.fail(
                "missing_in_stripe",
                "no stored subscription at all is in the account, so none was cancelled: is the key that of this account?"
            )
            return []
        }
        guard gone.count <= limit else {
            report.fail(
                "missing_in_stripe",
                "\(gone.count) organizations would be cancelled, more than \(limit): nothing was; is the key that of this account? "
                    + "Otherwise raise --cancel-missing-limit")
            return []
        }
        var changes: [BillingChange] = []
        for stored in gone {
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

    private func cancellation(of stored: StoredBilling) async throws -> BillingChange? {
        let from = now()
        guard try await stripe.subscription(stored.text(of: .subscription)) == nil else {
            report.warn(
                quoted(stored.slug), "its subscription is there after all, and will be compared by the next run")
            return nil
        }
        guard var values = stored.values else { return nil }
        values.status = SubscriptionStatus.cancelled
        values.end = values.end.map { min($0, today) } ?? today
        return try BillingChange(values, stored, read: ReadTime(from: from, until: now()), reason: "missing_in_stripe")
    }

    /// Each mismatch as organization, field, Stripe, warehouse; and their number by field.
    func show(_ changes: [BillingChange]) {
        var counts: [BillingField: Int] = [:]
        var rows: [[String]] = []
        for change in changes {
            for difference in change.differences {
                counts[difference.field, default: 0] += 1
                let stripe = Self.shown(difference.stripe, difference.field)
                let warehouse = Self.shown(difference.warehouse, difference.field)
                rows.append([change.slug, difference.field.rawValue, stripe, warehouse])
            }
        }
        report.add(rows.count, to: "mismatches")
        for field in BillingField.allCases {
            if let count = counts[field] { report.add(count, to: "mismatches_\(field.countName)") }
        }
        report.table(header: ["organization", "field", "stripe", "warehouse"], rows: rows)
    }

    private static func shown(_ text: String, _ field: BillingField) -> String {
        switch field {
        case _ where text.isEmpty: "-"
        case .currentPeriodEnd: Int64(text).map { Timestamp(microseconds: $0).description } ?? text
        case .cancelAtPeriodEnd: text == "1" ? "true" : "false"
        default: text
        }
    }
}

extension BillingField {
    /// As it is part of a count's name.
    fileprivate var countName: String { rawValue.split(separator: ".").joined(separator: "_") }
}
