import Foundation
import JobRuntime
import Warehouse

@testable import BigQueryWarehouse

enum RowProperties {
    static func check(_ input: Data) throws {
        guard let page = try? JSONDecoder().decode(QueryResponse.self, from: input) else { return }
        let reader = ResultReader(operation: "read", schema: page.schema?.fields ?? [])
        for row in page.rows ?? [] { _ = try? reader.row(row) }
    }
}
