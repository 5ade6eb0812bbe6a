import Foundation
import JobRuntime
import Testing
import WarehouseKit

@testable import BillingKit

@Suite struct MatchTests {
    /// acme has nothing stored, globex has a subscription and a customer, initech and hooli share a customer.
    private static func state() throws -> BillingState {
        try BillingState(
            [
                ("acme", "", ""), ("globex", "sub_g", "cus_g"), ("initech", "sub_i", "cus_s"),
                ("hooli", "sub_h", "cus_s"),
            ]
            .map { slug, subscription, customer in
                let values = BillingField.allCases.map { field in
                    field == .subscription ? subscription : field == .customer ? customer : ""
                }
                let line = (["row_\(slug)", "0", "1", "0", "1", "0"] + values).joined(separator: "\u{1F}")
                return Row([SQLValue.Field("org_slug", .string(slug)), SQLValue.Field("line", .string(line))])
            })
    }

    private static func match(_ id: String, _ customer: String?, _ metadata: [String: String] = [:]) throws
        -> OrganizationMatch
    {
        var object: [String: Any] = ["id": id, "status": "active", "metadata": metadata]
        object["customer"] = customer
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
        #expect(try Self.match("sub_1", "cus_1") == .customer("cus_1"))
        let customer = try JSONDecoder().decode(
            StripeCustomer.self, from: Data(#"{"id": "cus_1", "metadata": {"org_slug": "acme"}}"#.utf8))
        #expect(try Self.state().match(customer) == .organization("acme"))
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
    func aSlugThatIsNotThereIsNoReasonToLookOn(_ slug: String) throws {
        guard case .unmatched(let reason) = try Self.match("sub_g", "cus_g", ["org_slug": slug]) else {
            Issue.record("matched")
            return
        }
        #expect(reason.hasPrefix("its metadata org_slug is "))
        #expect(reason.count < 200)
        #expect(!reason.contains("\n") && !reason.contains("\u{202E}"))
    }

    @Test func aRowWithTheSeparatorInItIsNotReadWrongly() throws {
        let line = (["row", "0", "1", "0", "1", "0", "PL\u{1F}AN"] + BillingField.allCases.dropFirst().map { _ in "" })
            .joined(separator: "\u{1F}")
        let row = Row([SQLValue.Field("org_slug", .string("acme")), SQLValue.Field("line", .string(line))])

        #expect(try BillingState([row]).unreadable == ["acme"])
    }
}
