package import Foundation
import Warehouse

/// GoogleSQL's analyzer (`Tests/Analyzer`). It finds the statements that BigQuery would refuse, given these tables.
package struct SQLAnalyzer: Sendable {
    package struct Table: Sendable {
        let dataset: String
        let name: String
        let fields: Data

        /// - Parameter resource: a table in the form of BigQuery's REST `Table` resource; its `schema.fields` are used.
        package init(dataset: String, name: String, resource: Data) throws {
            let table = try JSONSerialization.jsonObject(with: resource) as? [String: Any]
            guard let fields = (table?["schema"] as? [String: Any])?["fields"] else {
                throw CocoaError(.coderReadCorrupt)
            }
            self.dataset = dataset
            self.name = name
            self.fields = try JSONSerialization.data(withJSONObject: fields)
        }
    }

    package struct Statement: Sendable {
        package let name: String
        package let sql: String
        let parameters: [String: String]

        /// - Parameters:
        ///   - name: names the statement in a problem.
        ///   - parameters: the GoogleSQL type of each named parameter, such as `ARRAY<STRUCT<a STRING, b INT64>>`.
        package init(name: String, sql: String, parameters: [String: String] = [:]) {
            self.name = name
            self.sql = sql
            self.parameters = parameters
        }
    }

    package struct Problem: Sendable, Equatable, CustomStringConvertible {
        package let statement: String
        package let message: String
        package var description: String { "\(statement): \(message)" }
    }

    private let tables: [Table]

    package init(tables: [Table]) {
        self.tables = tables
    }

    /// The faults of the statements, in their order; empty when all names and types resolve.
    package func problems(in statements: [Statement]) async throws -> [Problem] {
        let catalog = try tables.map { table in
            let fields = try JSONSerialization.jsonObject(with: table.fields)
            return ["dataset": table.dataset, "table": table.name, "fields": fields]
        }
        let request = try JSONSerialization.data(withJSONObject: [
            "catalog": catalog,
            "statements": statements.map {
                ["name": $0.name, "sql": $0.sql, "parameters": $0.parameters] as [String: Any]
            },
        ])
        let answer = try await Self.answer(to: request)
        let object = try JSONSerialization.jsonObject(with: answer) as? [String: Any]
        guard let results = object?["statements"] as? [[String: Any]], results.count == statements.count else {
            throw CocoaError(.coderReadCorrupt)
        }
        return zip(statements, results).compactMap { statement, result in
            if result["ok"] as? Bool == true { return nil }
            return Problem(statement: statement.name, message: result["error"] as? String ?? "no reason given")
        }
    }

    private static func answer(to request: Data) async throws -> Data {
        let file = FileManager.default.temporaryDirectory.appending(path: "analyze-\(UUID().uuidString).json")
        try request.write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let script = Repository.path("Tests/Analyzer/analyze.py")
        let outcome = try await ProjectPython.start([script], reading: file.path).outcome()
        guard outcome.exitCode == 0 else { throw Failure(description: "the analyzer failed: \(outcome.error)") }
        return Data(outcome.output.utf8)
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }
}
