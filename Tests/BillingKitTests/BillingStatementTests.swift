import Foundation
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

@Suite struct BillingStatementTests {
    @Test func googleSQLAcceptsEveryStatement() async throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        let tables = try [
            (DatasetID.organizations, Catalog.Group.organizations), (DatasetID.schedulerJobs, .operations),
        ].flatMap { dataset, group in
            try catalog.tables(group).map {
                try SQLAnalyzer.Table(
                    dataset: dataset.name, name: $0.name, resource: try JSONEncoder().encode($0.table))
            }
        }
        let values = BillingValues(plan: "A", status: "ACTIVE", daily: 1, monthly: 30, concurrent: 2)
        let stored = try #require(StoredBilling(slug: "acme", line: Self.emptyLine))
        let time = ReadTime(from: SteadyClock.start, until: SteadyClock.start)
        let change = try #require(try BillingChange(values, stored, read: time, reason: "test")).parameter
        let outcome = SyncOutcome(id: "a", ending: .failed, retries: 1).parameter
        let types = [
            "changes": "ARRAY<\(change.type.text)>", "outcomes": "ARRAY<\(outcome.type.text)>",
            "items": "ARRAY<STRUCT<sync_id STRING, org_slug STRING>>", "slugs": "ARRAY<STRING>",
            "customers": "ARRAY<STRING>", "subscriptions": "ARRAY<STRING>", "limit": "INT64",
            "today": "DATE", "sep": "STRING", "claim": "STRING", "token": "STRING", "sync_id": "STRING",
            "never": "TIMESTAMP", "now": "TIMESTAMP", "audits_since": "TIMESTAMP", "expires_at": "TIMESTAMP",
            "day_start": "TIMESTAMP", "day_end": "TIMESTAMP",
        ]
        let single = [
            "all": BillingStateStatements.sql(filter: ""),
            "some": BillingStateStatements.sql(filter: BillingStateStatements.someFilter),
            "claim": SyncQueue.claimPendingSQL, "claim alone": SyncQueue.claimAbandonedSQL,
            "due count": SyncQueue.countDueSQL,
            "claimed": SyncQueue.claimedSQL, "due": SyncQueue.dueSQL, "finish": SyncQueue.finishSQL,
            "release": SyncQueue.releaseSQL, "add": SyncQueue.addSQL, "count": SyncQueue.countFailedSQL,
            "requeue": SyncQueue.requeueSQL, "statistics": SyncQueue.statisticsSQL,
        ]
        let script = (BillingWriter.script + BillingWriter.touchScript).split(separator: ";").map(String.init)
            .filter { text in !text.allSatisfy(\.isWhitespace) && !text.contains("TRANSACTION") }
        let named =
            single.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            + script.enumerated().map { ("script \($0)", $1) }

        let problems = try await SQLAnalyzer(tables: tables).problems(
            in: named.map { SQLAnalyzer.Statement(name: $0.0, sql: $0.1, parameters: types) })

        #expect(problems == [])
        #expect(script.count == 8)
    }

    private static let emptyLine = String(
        repeating: String(StoredBilling.separator), count: 5 + BillingField.allCases.count
    ).replacingFirst(with: "\u{1F}0\u{1F}0\u{1F}0\u{1F}0\u{1F}0")
}

extension String {
    /// With its first five characters replaced.
    fileprivate func replacingFirst(with start: String) -> String { start + dropFirst(5) }
}
