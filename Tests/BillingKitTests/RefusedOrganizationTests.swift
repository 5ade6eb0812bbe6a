import TestSupport
import Testing
import WarehouseKit

@testable import BillingKit

/// One organization whose state the warehouse refuses.
@Suite struct RefusedOrganizationTests {
    private static let slugs = (1...30).map { "org_\($0)" }

    private func fixture(_ name: String) async throws -> BillingFixture {
        let fixture = try await BillingFixture(Backend.allCases[0], name, Self.slugs)
        fixture.stripe.change { account in
            account.subscriptions = Self.slugs.map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
            }
        }
        return fixture
    }

    private func refusing(_ slugs: Set<String>, _ fixture: BillingFixture) -> FaultyWarehouse {
        FaultyWarehouse(fixture.warehouse, refuses: { !slugs.isDisjoint(with: $0.changedOrganizations) })
    }

    @Test func aReconciliationAppliesAllOthersAndQueuesIt() async throws {
        let fixture = try await fixture("billing-refused")

        let report = try await fixture.reconcile(on: refusing(["org_7", "org_20"], fixture))

        #expect(report["synced"] == 28 && report["errors"] == 2 && report["queued"] == 2)
        #expect(report.failures.map(\.subject) == [#""org_20""#, #""org_7""#])
        #expect(report.failures.first?.reason.hasPrefix("not applied, but queued: could not write") == true)
        #expect(try await fixture.state("org_8")[.planName] == "STARTER")
        #expect(try await fixture.state("org_7")[.planName] == "OLD")
    }

    @Test func theQueueGoesOnWithoutIt() async throws {
        let fixture = try await fixture("billing-refused-queue")
        for slug in Self.slugs { try await fixture.enqueue(slug, id: slug) }

        let report = try await fixture.retry(on: refusing(["org_7"], fixture))

        let queue = try await fixture.queue()
        #expect(report["completed"] == 29 && report["postponed"] == 1)
        #expect(queue["org_7"]?.status == "pending" && queue["org_7"]?.retries == 1)
        #expect(queue["org_7"]?.error?.hasSuffix("a value is refused (invalid)") == true)
        #expect(try await fixture.state("org_7")[.planName] == "OLD")
    }

    @Test func whereEverythingIsRefusedTheSearchEnds() async throws {
        let fixture = try await fixture("billing-all-refused")
        let warehouse = refusing(Set(Self.slugs), fixture)

        let report = try await fixture.reconcile(on: warehouse)

        #expect(report["errors"] == 30 && report["queued"] == 30)
        // Every part of 30 is refused once; the state is read and the queue filled.
        #expect(warehouse.statements == 2 * 30 - 1 + 2)
    }

    @Test func aLostConnectionIsNotLookedForInHalves() async throws {
        let fixture = try await fixture("billing-lost")
        let warehouse = FaultyWarehouse(fixture.warehouse, .replyLost(1))

        let report = try await fixture.reconcile(on: warehouse)

        #expect(report["errors"] == 30 && report["queued"] == 30)
        #expect(warehouse.statements == 3)
    }
}

extension Statement {
    /// The organizations whose billing state it writes.
    fileprivate var changedOrganizations: Set<String> {
        guard case .array(_, let changes)? = parameters.first(where: { $0.name == "changes" })?.value else { return [] }
        return Set(
            changes.compactMap { change in
                guard case .structure(let fields) = change,
                    case .string(let slug)? = fields.first(where: { $0.name == "org_slug" })?.value
                else { return nil }
                return slug
            })
    }
}
