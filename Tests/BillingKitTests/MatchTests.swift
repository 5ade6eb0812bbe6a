import Foundation
import JobRuntime
import SchemaKit
import Testing
import Warehouse
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
