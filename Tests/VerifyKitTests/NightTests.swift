import Foundation
import JobRuntime
import TestSupport
import Testing
import Warehouse

@testable import SchemaKit
@testable import VerifyKit
@testable import WarehouseKit

/// While the other jobs and the API service work, verify finds nothing; and what nobody repairs, it finds in the same night.
@Suite struct NightTests {
    /// `VERIFY_NIGHTS=300 swift test --filter NightTests` plays so many nights.
    private static let nights = UInt64(ProcessInfo.processInfo.environment["VERIFY_NIGHTS"] ?? "") ?? 3

    @Test(arguments: 1...nights)
    func verifyRaisesNoFalseAlarm(seed: UInt64) async throws {
        let (night, past) = (try await ServiceNight(seed: seed), try await ServiceNight(seed: seed))
        var random = SplitMix64(seed: seed &* 7919)
        let midnight = Timestamp(startOf: night.now.date.adding(days: 1))
        var halfDone = 0
        let minutes = [-60, 1, 31, 100, 180, 240].map { $0 + Int.random(in: 0...12, using: &random) }
        for minute in minutes {
            try await night.advance(to: midnight.adding(.seconds(60 * minute)))
            // In the middle of something.
            let moment = night.nextMoment
            try await night.advance(to: moment)

            let report = try await Self.verify(night, past, at: moment)
            // Without the past, what is half done would be a finding.
            halfDone += try await Self.verify(night, night, at: moment).failures.count

            #expect(
                report.failures.map { "\($0.subject): \($0.reason)" } == [],
                "seed \(seed), \(moment), after \(night.counts)")
        }
        #expect(halfDone > 0, "seed \(seed): the night was too quiet")
        #expect(
            night.counts.keys.contains("COMPLETED") && night.counts.keys.contains("stale-cleanup"), "\(night.counts)")
    }

    /// The tolerance does not hide what lasts: a counter that was changed by hand half an hour ago.
    @Test(arguments: [
        ("current_daily_pipelines", "quota-counters"), ("daily_limit", "quota-limits"),
        ("current_monthly_pipelines", "quota-counters"),
    ])
    func verifyFindsWhatLasts(column: String, invariant: String) async throws {
        let (night, past) = (try await ServiceNight(seed: 5), try await ServiceNight(seed: 5))
        let midnight = Timestamp(startOf: night.now.date.adding(days: 1))
        let change = "UPDATE `organizations.org_usage_quotas` SET \(column) = \(column) + 40 WHERE org_slug = 'acme'"
        for each in [night, past] {
            try await each.advance(to: midnight.adding(.seconds(60 * 150)))
            try await each.warehouse.run(change)
        }
        try await night.advance(to: midnight.adding(.seconds(60 * 180)))

        let report = try await Self.verify(night, past, at: night.now)

        #expect(report.broken.contains(invariant))
    }

    private static func verify(
        _ night: ServiceNight, _ past: ServiceNight, at moment: Timestamp
    ) async throws -> ReportFixture {
        let fixture = ReportFixture()
        let sql = RememberingWarehouse(present: night, past: past)
        try await Attestation(
            sql: sql, schema: night.warehouse, fence: nil,
            expectations: Expectations(
                catalog: try Catalog.embedded(Catalog.Group.allCases), environment: .test, location: "US"),
            execution: nil, report: fixture.report, isDryRun: true, now: { moment }
        ).perform(at: moment)
        return fixture
    }
}
