import Foundation
import JobRuntime
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

/// What a refusal does to the rest of a run, over BigQuery's API.
@Suite struct OrganizationFailureTests {
    private static let slugs = (0..<5).map { "org_\($0)" }

    /// Five organizations; in each dataset the table `job_runs` seems to differ.
    private func fixture(_ table: @escaping @Sendable (ScriptedRequest) -> ScriptedReply) throws -> BigQueryFixture {
        try BigQueryFixture { request in
            guard request.path.hasSuffix("/queries") else { return table(request) }
            let isListing = request.jsonBody["query"]?.string?.contains("org_slug") == true
            let cells = Self.slugs.map { slug in
                isListing
                    ? #"{"f": [{"v": "\#(slug)"}, {"v": ""}]}"#
                    : #"{"f": [{"v": "\#(slug)_test"}, {"v": "true"}, {"v": null}, {"v": "job_runs"}]}"#
            }
            let names = isListing ? ["org_slug", "org_dataset_id"] : ["dataset", "is_there", "absent", "differing"]
            let fields = names.map { #"{"name": "\#($0)", "type": "\#($0 == "is_there" ? "BOOL" : "STRING")"}"# }
            let known = isListing ? "" : #", {"f": [{"v": ""}, {"v": "true"}, {"v": null}, {"v": null}]}"#
            return .json(
                #"{"jobComplete": true, "schema": {"fields": [\#(fields.joined(separator: ","))]}, "rows": [\#(cells.joined(separator: ","))\#(known)]}"#
            )
        }
    }

    private func sync(_ fixture: BigQueryFixture, _ report: ReportFixture) throws -> OrganizationSync {
        let file = CatalogFile(
            name: "job_runs", path: "job_runs.json",
            contents: Data(#"{"schema": {"fields": [{"name": "job", "type": "STRING"}]}}"#.utf8))
        return OrganizationSync(
            sql: fixture.warehouse, schema: fixture.warehouse, catalog: try Catalog([.organization: [file]]),
            environment: .test,
            report: report.report)
    }

    @Test func servesTheOthersWhereOneIsRefused() async throws {
        let report = ReportFixture()
        let fixture = try fixture { request in
            if request.path.contains("/org_3_test/") { return .refusal(403, "accessDenied", "not yours") }
            return request.method == "GET" ? .json(#"{"etag": "e", "schema": {"fields": []}}"#) : .json("{}")
        }

        try await sync(fixture, report).run()

        #expect(report.failures.map(\.subject) == ["org_3"])
        #expect(report.failures.first?.reason == "could not read table org_3_test.job_runs: not yours (accessDenied)")
        #expect(report["tables_updated"] == 4)
        #expect(report.output.contains("failed; nothing to do"))
    }

    @Test(arguments: ["quotaExceeded", "billingNotEnabled"])
    func endsWhereTheOthersWouldFailInTheSameWay(_ reason: String) async throws {
        let report = ReportFixture()
        let fixture = try fixture { _ in .refusal(403, reason) }

        let error = await #expect(throws: WarehouseError.self) { try await sync(fixture, report).run() }

        #expect(error?.code.rawValue == reason)
        #expect(report["tables_updated"] == 0)
    }

    @Test func leavesAtOnceWhenItIsCancelled() async throws {
        let report = ReportFixture()
        let (asked, ask) = AsyncStream<Void>.makeStream()
        let fixture = try fixture { _ in
            ask.yield()
            return .delayed(.seconds(3600), .json("{}"))
        }
        let sync = try sync(fixture, report)

        let run = Task { try await sync.run() }
        for await _ in asked { break }
        run.cancel()

        await #expect(throws: CancellationError.self) { try await run.value }
        #expect(report.failures.isEmpty)
    }
}
