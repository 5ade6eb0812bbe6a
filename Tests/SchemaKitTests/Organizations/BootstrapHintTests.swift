import Foundation
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct BootstrapHintTests {
    /// Views that show nothing, while both datasets are there with tables that agree.
    @Test func doesNotCallMissingWhatTheViewsDoNotShow() async throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        let tables = catalog.tables(.organizations) + catalog.tables(.operations)
        let resources = try Dictionary(
            uniqueKeysWithValues: tables.map {
                ($0.name, String(decoding: try JSONEncoder().encode($0.table), as: UTF8.self))
            })
        let fixture = try BigQueryFixture { request in
            let name = request.path.split(separator: "/").last.map(String.init) ?? ""
            if let resource = resources[name] { return .json(resource) }
            guard name == "queries" else {
                return .json(#"{"datasetReference": {"datasetId": "\#(name)"}, "location": "US"}"#)
            }
            let dataset = request.jsonBody["queryParameters"]?[0]?["parameterValue"]?["arrayValues"]?[0]?["value"]
            return .json(
                """
                {"jobComplete": true, "schema": {"fields": [
                   {"name": "dataset", "type": "STRING"}, {"name": "is_there", "type": "BOOLEAN"},
                   {"name": "absent", "type": "STRING"}, {"name": "differing", "type": "STRING"}]},
                 "rows": [{"f": [{"v": "\(dataset?.string ?? "")"}, {"v": "false"}, {"v": null}, {"v": null}]}]}
                """)
        }
        let report = ReportFixture()

        try await Bootstrap(
            warehouse: fixture.warehouse, catalog: catalog, environment: nil, report: report.report
        ).addColumns()

        #expect(report.failures.isEmpty)
        #expect(report["columns_added"] == 0)
        #expect(fixture.server.requests.allSatisfy { $0.method != "PATCH" })
    }
}
