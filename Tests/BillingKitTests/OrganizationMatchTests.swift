import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

extension StoredBilling {
    /// The row of an organization that has only these values.
    static func row(_ slug: String, _ subscription: String = "", _ customer: String = "", status: String = "") -> Row {
        Row(
            [.init("org_slug", .string(slug)), .init("subscription_id", .string("row_\(slug)"))]
                + ["stripe_read_at", "row_count", "live_rows", "profile_variants", "quota_variants"].map {
                    .init($0, .null(.string))
                }
                + BillingField.all.map { field in
                    switch field.name {
                    case "stripe_subscription_id": .init(field.name, .string(subscription))
                    case "stripe_customer_id": .init(field.name, .string(customer))
                    case "status": .init(field.name, .string(status))
                    default: .init(field.name, .null(field.type))
                    }
                } + [.init("is_in_progress", .bool(false))])
    }

    static func fixture(_ slug: String, _ subscription: String = "", status: String = "") throws -> StoredBilling {
        try StoredBilling(row(slug, subscription, status: status))
    }
}

@Suite struct MatchTests {
    /// acme has nothing stored, globex has a subscription and a customer, initech and hooli share a customer.
    private static func state() throws -> BillingState {
        try BillingState(
            [
                ("acme", "", ""), ("globex", "sub_g", "cus_g"), ("initech", "sub_i", "cus_s"),
                ("hooli", "sub_h", "cus_s"),
            ]
            .map { StoredBilling.row($0, $1, $2) })
    }

    /// - Parameter shown: The metadata of the customer; without it the customer was deleted.
    private static func match(
        _ id: String, _ customer: String?, _ metadata: [String: String] = [:], shown: [String: String]? = [:]
    ) throws -> OrganizationMatch {
        var object: [String: Any] = ["id": id, "status": "active", "metadata": metadata]
        object["customer"] = customer.map { id -> [String: Any] in
            shown.map { ["id": id, "metadata": $0] } ?? ["id": id, "deleted": true]
        }
        let data = try JSONSerialization.data(withJSONObject: object)
        return try state().match(try JSONDecoder().decode(StripeSubscription.self, from: data))
    }

    @Test func theSubscriptionsOwnMetadataComesFirst() throws {
        #expect(try Self.match("sub_g", "cus_g", ["org_slug": "acme"]) == .organization("acme"))
        #expect(try Self.match("sub_g", "cus_g", ["pending_org_slug": "acme"]) == .organization("acme"))
        #expect(
            try Self.match("sub_1", nil, ["pending_org_slug": "acme", "org_slug": "globex"]) == .organization("globex"))
    }

    @Test func thenWhatIsStored() throws {
        #expect(try Self.match("sub_g", nil) == .organization("globex"))
        #expect(try Self.match("sub_1", "cus_g") == .organization("globex"))
        #expect(try Self.match("sub_g", nil, ["org_slug": ""]) == .organization("globex"))
        #expect(try Self.match("sub_h", "cus_s") == .organization("hooli"))
    }

    @Test func thenTheCustomer() throws {
        #expect(try Self.match("sub_1", "cus_1", shown: ["org_slug": "acme"]) == .organization("acme"))
        #expect(try Self.match("sub_1", "cus_1", shown: ["pending_org_slug": "acme"]) == .organization("acme"))
        #expect(try Self.match("sub_g", "cus_1", shown: ["org_slug": "acme"]) == .organization("globex"))
    }

    @Test func whatNothingTellsIsUnmatched() throws {
        #expect(try Self.match("sub_1", nil) == .unmatched("it has neither metadata nor a customer"))
        #expect(
            try Self.match("sub_1", "cus_1", shown: nil)
                == .unmatched("it has no metadata org_slug, and its customer is not there any more"))
        #expect(
            try Self.match("sub_1", "cus_1")
                == .unmatched("neither it nor its customer has metadata org_slug, and no organization has it stored"))
        #expect(
            try Self.match("sub_1", "cus_1", shown: ["org_slug": "nobody"])
                == .unmatched(#"its customer's metadata org_slug is "nobody", which is no organization"#))
    }

    @Test func aCustomerOfSeveralOrganizationsTellsNothing() throws {
        guard case .unmatched(let reason) = try Self.match("sub_1", "cus_s") else {
            Issue.record("matched")
            return
        }
        #expect(reason == #"several organizations have it stored: "hooli", "initech""#)
    }

    @Test(arguments: [
        "nobody", "acme'; DROP TABLE org_profiles; --", "../acme", "acme\n", "acme\u{202E}", "acme ", "ACME", "`acme`",
        String(repeating: "a", count: 5000),
    ])
    func aSlugThatIsNotThereCountsLessThanTheStoredSubscriptionAndNothingElse(_ slug: String) throws {
        #expect(try Self.match("sub_g", "cus_1", ["org_slug": slug]) == .organization("globex"))
        guard case .unmatched(let reason) = try Self.match("sub_1", "cus_g", ["org_slug": slug]) else {
            Issue.record("matched")
            return
        }
        #expect(reason.hasPrefix("its metadata org_slug is "))
        #expect(reason.count < 200)
        #expect(!reason.contains("\n") && !reason.contains("\u{202E}"))
    }
}

@Suite struct ChoiceTests {
    private static let time = ReadTime(from: SteadyClock.start, until: SteadyClock.start.adding(.seconds(1)))

    private static func reply(
        _ id: String, _ status: String, created: Int, product: String = "prod_plan"
    ) throws -> StripeReply<StripeSubscription> {
        let json =
            #"{"id": "\#(id)", "status": "\#(status)", "created": \#(created), "items": {"has_more": false, "data": [{"id": "si_1", "price": {"id": "price_1", "product": "\#(product)"}}]}}"#
        return StripeReply(
            value: try JSONDecoder().decode(StripeSubscription.self, from: Data(json.utf8)), time: time)
    }

    /// prod_plan is a plan, prod_other is none.
    private static func plans() throws -> PlanCatalog {
        let products = try [("prod_plan", FakeStripe.Account.starter), ("prod_other", [:])].map { id, metadata in
            let data = try JSONSerialization.data(withJSONObject: ["id": id, "metadata": metadata])
            return try JSONDecoder().decode(StripeProduct.self, from: data)
        }
        return PlanCatalog(
            products: StripeReply(value: products, time: time), ignore: StripeIgnore("prod_ignored"))
    }

    /// - Returns: The id of the one that counts, or why none does.
    private static func chosen(
        _ all: OrganizationSubscriptions, _ stored: (id: String, status: String) = ("", "")
    ) throws -> String {
        switch try all.choice(plans(), StoredBilling.fixture("acme", stored.id, status: stored.status)) {
        case .subscription(let reply, _, _): reply.value.id
        case .nothing(let reason, let problem): problem?.description ?? reason
        }
    }

    private static func chosen(
        _ subscriptions: [(String, String, Int)], _ stored: (id: String, status: String) = ("", "")
    ) throws -> String {
        let replies = try subscriptions.map { try reply($0.0, $0.1, created: $0.2) }
        var all = OrganizationSubscriptions(replies[0])
        for reply in replies.dropFirst() { all.add(reply) }
        return try chosen(all, stored)
    }

    @Test(arguments: [
        ([("a", "trialing", 9), ("b", "active", 1)], "b"), ([("a", "past_due", 9), ("b", "trialing", 1)], "b"),
        ([("a", "unpaid", 9), ("b", "past_due", 1)], "b"), ([("a", "canceled", 5), ("b", "unpaid", 9)], "b"),
        ([("a", "active", 5), ("b", "active", 9)], "b"), ([("a", "incomplete", 9), ("b", "canceled", 5)], "b"),
        ([("b", "active", 5), ("a", "active", 5)], "a"), ([("a", "paused", 1), ("b", "canceled", 9)], "a"),
        ([("a", "paused", 1), ("b", "incomplete_expired", 9)], "a"), ([("a", "unpaid", 5), ("b", "paused", 9)], "b"),
    ])
    func oneOfSeveralCounts(_ subscriptions: [(String, String, Int)], _ expected: String) throws {
        #expect(try Self.chosen(subscriptions) == expected)
        #expect(try Self.chosen(subscriptions.reversed()) == expected)
    }

    @Test func anUnknownStatusMakesEveryChoiceAGuess() {
        let error = #expect(throws: BillingProblem.self) { try Self.chosen([("a", "active", 9), ("b", "frozen", 1)]) }

        #expect(error?.description == #"subscription b has the unknown status "frozen""#)
    }

    @Test func whatWasReadAgainCountsAsItIsThen() throws {
        var all = OrganizationSubscriptions(try Self.reply("a", "active", created: 1))
        all.add(try Self.reply("b", "trialing", created: 2))
        all.add(try Self.reply("a", "canceled", created: 1))

        #expect(try Self.chosen(all) == "b")
    }

    @Test func aReadingCoversAllThatWasRead() throws {
        var all = OrganizationSubscriptions(try Self.reply("a", "active", created: 1))
        var later = try Self.reply("b", "canceled", created: 2)
        later.time = ReadTime(from: Self.time.until, until: Self.time.until.adding(.seconds(5)))
        all.add(later)

        guard case .subscription(let reply, _, _) = try all.choice(Self.plans(), StoredBilling.fixture("acme")) else {
            Issue.record("nothing was chosen")
            return
        }
        #expect(reply.time == ReadTime(from: Self.time.from, until: later.time.until))
    }
}

/// Organizations with more than one row in `org_subscriptions`, or with a row that something is wrong with.
@Suite struct RowChoiceTests {
    private func addRow(
        _ fixture: BillingFixture, _ slug: String, _ id: String, _ status: String, _ created: String
    ) async throws {
        _ = try await fixture.run(
            """
            INSERT INTO `organizations.org_subscriptions` (
              subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, created_at)
            VALUES (@id, @slug, @id, @status, 1, 1, 1, @created)
            """,
            [
                "id": .string(id), "slug": .string(slug), "status": .string(status),
                "created": .timestamp(Timestamp(created)!),
            ])
    }

    /// The other row of each is a trial of 2025-01-01 whose id begins with `row`.
    @Test(arguments: Backend.allCases)
    func aLiveRowCountsBeforeANewerOneAndThenTheNewest(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-rows", [])
        let rows = [
            ("dead-and-newer", "a", "CANCELLED", "2026-01-01T00:00:00Z", "OLD"),
            ("live-and-newer", "a", "ACTIVE", "2026-01-01T00:00:00Z", "a"),
            ("live-and-older", "z", "ACTIVE", "2024-01-01T00:00:00Z", "OLD"),
            ("of-the-same-time", "z", "ACTIVE", "2025-01-01T00:00:00Z", "z"),
        ]
        for (slug, id, status, created, _) in rows {
            try await fixture.add(slug, quota: false)
            try await addRow(fixture, slug, id, status, created)
        }

        for (slug, _, _, _, expected) in rows {
            #expect(try await fixture.state(slug)["plan_name"] == expected, "\(slug)")
        }
    }

    /// Otherwise the newer dead row would be written, and audited, by the next run.
    @Test(arguments: Backend.allCases)
    func aRowThatStopsBeingLiveStillCounts(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-row-ends")
        try await addRow(fixture, "acme", "newer", "CANCELLED", "2026-01-01T00:00:00Z")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.reconcile()
        fixture.stripe.change { $0.subscriptions[0].status = "past_due" }

        let first = try await fixture.reconcile()
        let second = try await fixture.reconcile()

        #expect(first["synced"] == 1 && first["mismatches_status"] == 1)
        #expect(second["mismatches"] == 0 && second["synced"] == 0)
        #expect(try await fixture.audits("acme").count == 2)
        let rows = try await fixture.run(
            "SELECT subscription_id FROM `organizations.org_subscriptions` WHERE stripe_read_at IS NOT NULL")
        #expect(try rows.map { try $0.string("subscription_id") } == ["row_acme"])
    }

    @Test func aVersionOfTheFutureIsSaidToBeOne() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-future", ["acme", "globex"])
        fixture.stripe.change { account in
            account.subscriptions = ["acme", "globex"].map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
            }
        }
        _ = try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET stripe_read_at = @at WHERE org_slug = 'acme'",
            ["at": .timestamp(Timestamp("2036-03-15T02:00:00Z")!)])

        let report = try await fixture.reconcile()

        #expect(report["synced"] == 1 && report["queued"] == 0)
        #expect(report.failures.map(\.subject) == [#""acme""#])
        #expect(report.failures.first?.reason.contains("which is in the future") == true)
    }

    /// Even an UPDATE that changes no row holds up others that write to its table.
    @Test func whereNothingDiffersOnlyTheTimeOfTheReadingIsWritten() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-touch")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.reconcile()
        try await fixture.enqueue("acme", id: "sync_1")
        let refusing = FaultyWarehouse(
            fixture.warehouse,
            refuses: { statement in
                ["UPDATE `organizations.org_usage_quotas`", "UPDATE `organizations.org_profiles`", "org_audit_logs"]
                    .contains { statement.sql.contains($0) }
            })
        let before = try await version(fixture)

        #expect(try await fixture.retry(on: refusing)["completed"] == 1)

        #expect(try await version(fixture) > before)
    }

    @Test(arguments: Backend.allCases)
    func aStoredValueWithControlCharactersIsReadLikeAnyOther(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-control")
        _ = try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET plan_name = @plan WHERE TRUE",
            ["plan": .string("PL\u{1F}AN\n")])

        #expect(try await fixture.state("acme")["plan_name"] == "PL\u{1F}AN\n")
        #expect(try await fixture.state("acme")["status"] == "TRIAL")
    }

    /// Two rows of one day, and two profiles, whose values disagree, and then agree.
    @Test(arguments: Backend.allCases)
    func rowsThatDisagreeEqualNothing(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-disagree")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.reconcile()
        for table in ["org_profiles", "org_usage_quotas"] {
            _ = try await fixture.run(
                "INSERT INTO `organizations.\(table)` SELECT * FROM `organizations.\(table)` WHERE org_slug = 'acme'")
        }
        #expect(try await fixture.reconcile()["mismatches"] == 0)
        _ = try await fixture.run(
            "UPDATE `organizations.org_usage_quotas` SET seat_limit = NULL, usage_id = 'other' WHERE TRUE")
        _ = try await fixture.run(
            """
            INSERT INTO `organizations.org_usage_quotas` (
              usage_id, org_slug, usage_date, current_daily_pipelines, pipelines_succeeded_today,
              pipelines_failed_today, current_monthly_pipelines, concurrent_pipelines_running, daily_limit,
              last_updated, created_at)
            VALUES ('third', 'acme', @today, 0, 0, 0, 0, 0, 6, @now, @now)
            """, ["today": .date(fixture.today), "now": .timestamp(BillingFixture.longAgo)])
        _ = try await fixture.run(
            """
            INSERT INTO `organizations.org_profiles` (
              org_slug, company_name, admin_email, org_dataset_id, status, created_at)
            VALUES ('acme', 'Company', 'admin@acme.example', '', 'ACTIVE', @now)
            """, ["now": .timestamp(BillingFixture.longAgo)])

        let state = try await fixture.state("acme")
        let report = try await fixture.reconcile()

        #expect(state["quota.daily_limit"] == "?" && state["profile.subscription_plan"] == "?")
        #expect(report["mismatches"] == 6 && report["synced"] == 1)
        #expect(try await fixture.reconcile()["mismatches"] == 0)
        #expect(try await fixture.state("acme")["quota.seat_limit"] == "2")
        #expect(try await fixture.state("acme")["profile.subscription_plan"] == "STARTER")
    }

    private func version(_ fixture: BillingFixture) async throws -> Timestamp {
        let rows = try await fixture.run("SELECT stripe_read_at FROM `organizations.org_subscriptions`")
        return try #require(try rows.first?.optionalTimestamp("stripe_read_at"))
    }
}
