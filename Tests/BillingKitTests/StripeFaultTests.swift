import Foundation
import HTTPTransport
import JobRuntime
import Synchronization
import TestSupport
import Testing

@testable import BillingKit

/// A listing is recovered within the time of the run.
@Suite struct PatientListingTests {
    private func client(_ fixture: FakeStripe, _ patience: Duration = .seconds(1800)) -> StripeClient {
        StripeClient(
            baseURL: "http://stripe.invalid", key: Secret("rk_test_fixture0001"), mode: .test, requestsPerSecond: 20,
            patience: patience, transport: FakeStripe.Transport(stripe: fixture), time: LeapingClock().time,
            logger: BillingFixture.quiet)
    }

    private func stripe(pageSize: Int = 2, _ count: Int = 7) throws -> FakeStripe {
        let stripe = try FakeStripe()
        stripe.change { account in
            account.pageSize = pageSize
            account.subscriptions = (0..<count).map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", created: 1_700_000_000 - Int64($0))
            }
        }
        return stripe
    }

    private func ids(_ client: StripeClient) async throws -> [String] {
        try await StripeListing.all(client).map(\.value.id)
    }

    @Test func thePageAfterAVanishedCursorIsFoundByTheOneBeforeIt() async throws {
        let stripe = try stripe()
        stripe.change {
            $0.refusesUnknownCursors = true
            $0.onRequest = { account, request in
                if request.query["starting_after"] == "sub_3" {
                    account.subscriptions.removeAll { ["sub_2", "sub_3"].contains($0.id) }
                }
                return nil
            }
        }

        #expect(try await ids(client(stripe)) == (0..<7).map { "sub_\($0)" })
    }

    /// Far beyond the attempts and the budget of a single request.
    @Test func tenFaultsInARowAreWaitedFor() async throws {
        for fault in [ScriptedReply.json("{}", status: 500), .json("{}"), .json(#"{"data": [], "has_more": true}"#)] {
            let stripe = try stripe()
            let faults = Mutex(10)
            stripe.change { account in
                account.onRequest = { _, request in
                    guard request.query["starting_after"] == "sub_1" else { return nil }
                    return faults.withLock { left in
                        left -= 1
                        return left >= 0 ? fault : nil
                    }
                }
            }

            #expect(try await ids(client(stripe)).count == 7)
        }
    }

    @Test func patienceEnds() async throws {
        let stripe = try stripe()
        stripe.change { $0.onRequest = { _, _ in .json("{}", status: 500) } }

        await #expect(throws: StripeError.self) { try await ids(client(stripe, .seconds(60))) }
    }
}

/// Stripe's own reason first, then the advice that fits it.
@Suite struct RefusalTests {
    @Test(arguments: [
        (
            403, "", "The provided key 'rk_test_x' does not have the required permissions for this endpoint.",
            "lacks the permission"
        ),
        (
            403, "", "Having the 'rak_subscription_read' permission would allow this request to continue.",
            "lacks the permission"
        ),
        (403, "", "The API key provided does not allow requests from your IP address.", "certain addresses only"),
        (401, "", "Invalid API Key provided: rk_test_x", "does not accept STRIPE_SECRET_KEY: it was revoked"),
        (401, "api_key_expired", "The API key is old.", "has expired"),
        (401, "", "Expired API Key provided: x", "has expired"),
        (400, "", "Invalid Stripe API version: 2026-06-24.dahlia", "asks for version 2026-06-24.dahlia"),
        (403, "", "This account was closed.", ""), (400, "", "Invalid status", ""),
    ])
    func eachKindHasItsOwnAdvice(_ status: Int, _ code: String, _ message: String, _ advice: String) throws {
        let body = try JSONSerialization.data(withJSONObject: ["error": ["message": message, "code": code]])

        let error = StripeError(
            HTTPResponse(status: status, body: body), operation: "list subscriptions", resource: .subscriptions,
            key: Secret("rk_test_x"), now: Date())

        #expect(error.message.hasPrefix(String(message.prefix(15))))
        #expect(advice.isEmpty ? !error.message.contains(" - ") : error.message.contains(advice))
        #expect(!error.message.contains("rk_test_x"))
        #expect(error.endsRun == (status != 400 || !advice.isEmpty))
    }
}
