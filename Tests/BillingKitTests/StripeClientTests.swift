import Foundation
import HTTPTransport
import JobRuntime
import Logging
import TestSupport
import Testing
import WarehouseKit

@testable import BillingKit

@Suite struct StripeClientTests {
    static let key = "rk_test_51NeverShown"

    private func client(_ server: ScriptedServer, _ clock: LeapingClock = LeapingClock()) -> StripeClient {
        StripeClient(
            baseURL: server.url, key: Secret(Self.key), mode: .test, requestsPerSecond: 20, transport: CurlTransport(),
            time: clock.time, logger: BillingFixture.quiet)
    }

    private func ids(_ client: StripeClient) async throws -> [String] {
        try await StripeListing.all(client).map(\.value.id)
    }

    private static func page(_ ids: [String], hasMore: Bool = false) -> ScriptedReply {
        let data = ids.map {
            #"{"id": "\#($0)", "status": "active", "customer": "cus_1", "items": {"data": [], "has_more": false}}"#
        }
        return .json(#"{"data": [\#(data.joined(separator: ","))], "has_more": \#(hasMore)}"#)
    }

    @Test func readsAListToItsEndWithCanceledOnes() async throws {
        let server = try ScriptedServer(replies: [Self.page(["sub_3", "sub_2"], hasMore: true), Self.page(["sub_1"])])

        let ids = try await ids(client(server))

        #expect(ids == ["sub_3", "sub_2", "sub_1"])
        #expect(server.requests.map(\.query["status"]) == ["all", "all"])
        #expect(server.requests.map(\.query["limit"]) == ["100", "100"])
        #expect(server.requests.map(\.query["starting_after"]) == [nil, "sub_2"])
        #expect(server.requests[0].headers["Stripe-Version"] == StripeClient.version)
        #expect(server.requests[0].headers["Authorization"] == "Bearer \(Self.key)")
        #expect(server.unexpected.isEmpty)
    }

    @Test func aPageThatRepeatsItselfEndsWithAnError() async throws {
        let server = try ScriptedServer { _ in
            var page = Self.page(["sub_1"], hasMore: true)
            page.headers["request-id"] = "req_78"
            return page
        }

        let error = await #expect(throws: StripeError.self) { try await self.ids(self.client(server)) }

        #expect(error?.code == .unexpectedReply && error?.requestID == "req_78")
        #expect(server.requests.count == 2)
    }

    static let transient: [ScriptedReply] = [
        .json("{}", status: 429), .json("{}", status: 500), .json("{}", status: 503), .json("{}", status: 409),
        .json("{}", status: 400, headers: ["Stripe-Should-Retry": "true"]), .reset, .closeWithoutReply,
        .truncated(page(["sub_1"]).body, afterBytes: 40), .json(#"{"data": [{"id": "sub_1""#),
    ]

    @Test(arguments: transient.indices)
    func triesAgainAfterWhatPasses(_ index: Int) async throws {
        let server = try ScriptedServer(replies: [Self.transient[index], Self.page(["sub_1"])])

        let ids = try await ids(client(server))

        #expect(ids == ["sub_1"])
        #expect(server.requests.count == 2)
    }

    @Test(arguments: [
        ScriptedReply.json("{}", status: 500, headers: ["Stripe-Should-Retry": "false"]), .json("{}", status: 400),
        .json("{}", status: 401), .json("{}", status: 403),
    ])
    func doesNotRepeatWhatStays(_ reply: ScriptedReply) async throws {
        let server = try ScriptedServer(replies: [reply])

        await #expect(throws: StripeError.self) { try await self.ids(self.client(server)) }

        #expect(server.requests.count == 1)
    }

    @Test func theLastErrorIsThrownWithItsRequest() async throws {
        let server = try ScriptedServer { _ in
            .json(#"{"error": {"message": "Too many requests"}}"#, status: 429, headers: ["request-id": "req_77"])
        }

        let error = await #expect(throws: StripeError.self) { try await self.ids(self.client(server)) }

        #expect(error?.description == "could not list subscriptions: Too many requests (rateLimited, request req_77)")
        #expect(server.requests.count == 5)
    }

    @Test(arguments: [(100, 2), (300, 1), (7200, 1)])
    func waitsAsLongAsStripeAsksOrNotAtAll(_ seconds: Int, _ requests: Int) async throws {
        let clock = LeapingClock()
        let server = try ScriptedServer { request in
            request.index == 0
                ? .json("{}", status: 429, headers: ["Retry-After": "\(seconds)"]) : Self.page(["sub_1"])
        }

        let read = try? await ids(client(server, clock))

        #expect(read == (requests == 2 ? ["sub_1"] : nil))
        #expect(server.requests.count == requests)
        #expect((clock.time.elapsed() >= .seconds(100)) == (requests == 2))
    }

    @Test func aThirdAttemptIsToldAtTheUsualLogLevel() async throws {
        let lines = LogLines(.notice)
        let server = try ScriptedServer { request in
            request.index < 2 ? .json("{}", status: 500 + request.index) : Self.page(["sub_1"])
        }
        let client = StripeClient(
            baseURL: server.url, key: Secret(Self.key), mode: .test, requestsPerSecond: 20, transport: CurlTransport(),
            time: LeapingClock().time, logger: lines.logger)

        _ = try await ids(client)

        #expect(lines.all.count == 1)
        #expect(lines.all.first?.hasPrefix("trying again in ") == true)
        #expect(lines.all.first?.hasSuffix("could not list subscriptions: HTTP status 501 (serverError)") == true)
    }

    @Test func bothJobsTogetherKeepTwentyRequestsASecond() {
        #expect(
            BillingReconciliation.stripeRequestsPerSecond + BillingRetry.stripeRequestsPerSecond == 20)
    }

    @Test(arguments: [401, 403])
    func namesTheMissingPermissionAndNeverTheKey(_ status: Int) async throws {
        let message =
            "The provided key '\(Self.key)' (rk_live_****abc) does not have the required permissions. rak_subscription_read"
        let server = try ScriptedServer { _ in
            .json(#"{"error": {"message": "\#(message)"}}"#, status: status)
        }

        let error = await #expect(throws: StripeError.self) { try await self.ids(self.client(server)) }

        let text = error.map { "\($0)" } ?? ""
        #expect(error?.endsRun == true)
        #expect(!text.contains("NeverShown") && !text.contains("rk_live"))
        #expect(text.contains("rak_subscription_read"))
        #expect(
            text.contains(
                status == 403
                    ? "lacks the permission \"Subscriptions: Read\" or \"Customers: Read\""
                    : "does not accept STRIPE_SECRET_KEY"))
    }

    @Test func sendsAtMostTwentyRequestsASecond() async throws {
        let clock = LeapingClock()
        let server = try ScriptedServer { request in
            Self.page(["sub_\(request.index)"], hasMore: request.index < 100)
        }

        _ = try await ids(client(server, clock))

        #expect(server.requests.count == 101)
        #expect(clock.time.elapsed() >= .milliseconds(4_990))
    }

    @Test func readsTheOlderShapeToo() throws {
        let old = """
            {"id": "sub_1", "status": "active", "customer": {"id": "cus_9"}, "current_period_end": 1800000000, "metadata": {},
             "plan": {"id": "gold", "product": "prod_1"},
             "items": {"data": [{"id": "si_1", "plan": {"id": "gold", "product": "prod_1"}}], "has_more": false}}
            """

        let subscription = try JSONDecoder().decode(StripeSubscription.self, from: Data(old.utf8))

        #expect(subscription.items.map(\.product) == ["prod_1"])
        #expect(subscription.currentPeriodEnd == 1_800_000_000)
        #expect(subscription.customer == "cus_9")
    }

    @Test func readsItemsThatTheListDoesNotShow() async throws {
        let stripe = try FakeStripe()
        stripe.change {
            $0.pageSize = 2
            $0.subscriptions = [
                .init(id: "sub_1", customer: "cus_1", extras: ["prod_a", "prod_b", "prod_c"], inlineItems: 1)
            ]
        }

        let replies = try await StripeListing.all(client(stripe.server))

        #expect(replies.first?.value.items.map(\.product) == ["prod_starter", "prod_a", "prod_b", "prod_c"])
        #expect(stripe.requests("/v1/subscription_items") == 2)
    }

    @Test func joinsAPriceThatCameAsAnIdOnly() async throws {
        let server = try ScriptedServer { request in
            switch request.path {
            case "/v1/products":
                .json(#"{"data": [{"id": "prod_1", "metadata": \#(Self.metadata)}], "has_more": false}"#)
            case "/v1/prices": .json(#"{"data": [{"id": "price_1", "product": "prod_1"}], "has_more": false}"#)
            default:
                .json(
                    #"{"data": [{"id": "sub_1", "status": "active", "items": {"data": [{"id": "si_1", "price": "price_1"}], "has_more": false}}], "has_more": false}"#
                )
            }
        }

        let subscriptions = try await StripeListing.all(client(server)).map(\.value)
        let plans = try await PlanCatalog.read(client(server), for: subscriptions)

        guard case .plan(let plan, _) = plans.reading(of: subscriptions[0]) else {
            Issue.record("no plan")
            return
        }
        #expect(plan.name == "STARTER")
    }

    private static let metadata =
        #"{"plan_id": "starter", "teamMembers": "2", "providers": "3", "pipelinesPerDay": "6"}"#
}

@Suite struct BillingSettingsTests {
    private static func problems(_ variables: [String: String]) -> [String] {
        var reader = EnvironmentReader(variables)
        let deployment = DeploymentEnvironment(reading: &reader, isRequired: false)
        _ = StripeSettings(reading: &reader, for: deployment)
        _ = NotificationSettings(reading: &reader)
        return reader.problems
    }

    @Test(arguments: [
        ("rk_test_1", "test"), ("sk_live_abcDEF", "prod"), ("rk_live_x\n", "prod"), ("sk_test_1", "stage"),
        ("rk_test_1", ""), ("sk_org_live_1", "prod"), ("sk_12345", "prod"), ("sk_12345", "test"),
    ])
    func takesSecretAndRestrictedKeysOfTheEnvironmentsMode(_ key: String, _ environment: String) {
        #expect(Self.problems(["STRIPE_SECRET_KEY": key, "ENVIRONMENT": environment]) == [])
    }

    @Test(arguments: [
        ("rk_test_NeverShown", "prod", "test", "live"), ("sk_test_NeverShown", "prod", "test", "live"),
        ("rk_live_NeverShown", "test", "live", "test"), ("sk_live_NeverShown", "stage", "live", "test"),
        ("sk_live_NeverShown", "", "live", "test"), ("sk_org_test_NeverShown", "prod", "test", "live"),
    ])
    func aKeyOfTheOtherModeIsAProblemAndNotShown(_ key: String, _ environment: String, _ has: String, _ needs: String) {
        let problems = Self.problems(["STRIPE_SECRET_KEY": key, "ENVIRONMENT": environment])

        #expect(problems.count == 1)
        #expect(
            problems.first?.hasPrefix(
                "STRIPE_SECRET_KEY is a key of \(has) mode (it is not shown), and ENVIRONMENT needs one of \(needs) mode"
            )
                == true)
        #expect(problems.first?.contains("Never") == false)
    }

    @Test func readsWhatIsToBeIgnored() {
        var reader = EnvironmentReader([
            "STRIPE_SECRET_KEY": "rk_test_1", "STRIPE_IGNORE": "prod_Q1support, shop_id,tier=legacy",
        ])

        let ignore = StripeSettings(reading: &reader, for: nil).ignore

        #expect(reader.problems == [])
        #expect(ignore.products == ["prod_Q1support"])
        #expect(ignore.members == [.init(key: "shop_id"), .init(key: "tier", value: "legacy")])
        #expect(Self.problems(["STRIPE_SECRET_KEY": "rk_test_1", "STRIPE_IGNORE": "prod_1,,x"]).count == 1)
    }

    @Test(arguments: [
        "pk_live_NeverShown", "NeverShown", "sk_", "sk_test_Never Shown", "sk_test_NeverShown\r\nX-Evil: 1",
    ])
    func refusesOthersWithoutShowingThem(_ key: String) {
        let problems = Self.problems(["STRIPE_SECRET_KEY": key])

        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("STRIPE_SECRET_KEY ") == true)
        #expect(problems.first?.contains("Never") == false)
    }

    @Test func aMissingKeyIsOneProblem() {
        #expect(Self.problems([:]).count == 1)
    }

    @Test(arguments: [
        ("https://api.stripe.com", true), ("http://127.0.0.1:8420", true), ("http://localhost:8420/", true),
        ("http://[::1]:8420", true), ("http://stripe.example", false), ("http://localhost.evil.example", false),
        ("ftp://x", false), ("https://", false), ("https://user@host", false), ("https://host?x=1", false),
    ])
    func sendsTheKeyOverTLSOnly(_ url: String, _ isFine: Bool) {
        #expect(Self.problems(["STRIPE_SECRET_KEY": "rk_test_1", "STRIPE_API_BASE": url]).isEmpty == isFine)
        #expect(
            Self.problems(["STRIPE_SECRET_KEY": "rk_test_1", "API_SERVICE_URL": url, "CA_ROOT_API_KEY": "hush"]).isEmpty
                == isFine)
    }
}
