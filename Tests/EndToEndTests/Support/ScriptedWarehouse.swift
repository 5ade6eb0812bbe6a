import Foundation
import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

/// A server that answers as BigQuery does, for jobs that meet trouble.
struct ScriptedWarehouse {
    let server: ScriptedServer

    /// Accepts the row of the run's history, and passes all other requests to the handler.
    init(_ handler: @escaping ScriptedServer.Handler) throws {
        server = try ScriptedServer { request in
            if !Self.isHistory(request) { return handler(request) }
            if Self.statement(of: request).contains("FROM `scheduler_jobs.rollouts`") {
                return Self.rows(["number"], [])
            }
            return .json(
                #"{"jobComplete": true, "jobReference": {"jobId": "job_2"}, "numDmlAffectedRows": "1"}"#)
        }
    }

    var environment: [String: String] { Self.environment(server) }

    /// All requests but those about the histories of runs, changes and rollouts.
    var requests: [ScriptedRequest] { server.requests.filter { !Self.isHistory($0) } }

    static func environment(_ server: ScriptedServer) -> [String: String] {
        ["GCP_PROJECT_ID": "acme-test-1", "BIGQUERY_EMULATOR_HOST": server.url, "ENVIRONMENT": "test"]
    }

    private static func isHistory(_ request: ScriptedRequest) -> Bool {
        let statement = statement(of: request)
        return ["INTO `scheduler_jobs.job_runs`", "`scheduler_jobs.schema_changes`", "FROM `scheduler_jobs.rollouts`"]
            .contains { statement.contains($0) }
    }

    /// The statement of a request to `jobs.query`.
    static func statement(of request: ScriptedRequest) -> String {
        guard case .object(let body)? = try? JSONDecoder().decode(JSONValue.self, from: request.body),
            case .string(let sql) = body["query"]
        else { return "" }
        return sql
    }

    /// A finished query with text columns; a cell that is `nil` is NULL.
    static func rows(_ columns: [String], _ rows: [[String?]]) -> ScriptedReply {
        let fields = columns.map { #"{"name": "\#($0)", "type": "\#($0 == "is_there" ? "BOOLEAN" : "STRING")"}"# }
        let lines = rows.map { row in
            #"{"f": ["# + row.map { $0.map { #"{"v": "\#($0)"}"# } ?? #"{"v": null}"# }.joined(separator: ", ") + "]}"
        }
        return .json(
            """
            {"jobComplete": true, "jobReference": {"jobId": "job_1", "location": "US"}, "totalRows": "\(rows.count)",
             "schema": {"fields": [\(fields.joined(separator: ", "))]}, "rows": [\(lines.joined(separator: ", "))]}
            """)
    }

    /// The answer to the comparison. The scripted organizations differ from the catalog in the tables that the closure edits.
    static func survey(
        _ slugs: [String], _ edit: (_ slug: String, _ tables: inout [String: Table]) -> Void = { _, _ in }
    ) throws -> ScriptedReply {
        let catalog = try Catalog.embedded([.organization]).tables(.organization)
        let datasets = slugs.map { slug in
            var dataset = SurveyAnswer.Dataset(slug, tables: catalog)
            edit(slug, &dataset.tables!)
            return dataset
        }
        return SurveyAnswer(datasets, wanted: catalog.map(\.name)).reply()
    }

    /// The answer to the census of the organizations, none of which is irregular.
    static func census(_ slugs: [String]) -> ScriptedReply {
        let columns = ["slug", "named", "dataset", "owner"].map { (name: $0, type: "STRING") }
        let flags = ["is_valid", "is_reserved", "is_misnamed", "is_ambiguous"].map { (name: $0, type: "BOOLEAN") }
        let row: [SQLValue] =
            Array(repeating: .null(.string), count: 4)
            + ["true", "false", "false", "false", "\(slugs.count)"].map { .string($0) }
        return SurveyAnswer.reply(columns + flags + [("organizations", "INTEGER")], [row])
    }

    static func isCensus(_ request: ScriptedRequest) -> Bool {
        statement(of: request).contains("is_ambiguous, COUNT(*)")
    }

    static func refusal(_ status: Int, _ reason: String, _ message: String) -> ScriptedReply {
        .json(
            #"{"error": {"code": \#(status), "message": "outer", "errors": [{"reason": "\#(reason)", "message": "\#(message)"}]}}"#,
            status: status)
    }
}
