import Foundation
import TestSupport
import WarehouseKit

/// Replies of BigQuery for a job that is to meet trouble.
enum ScriptedWarehouse {
    static let project = "acme-test-1"

    static func environment(_ server: ScriptedServer) -> [String: String] {
        ["GCP_PROJECT_ID": project, "BIGQUERY_EMULATOR_HOST": server.url, "ENVIRONMENT": "test"]
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

    /// What the comparison answers: the row of the table that certainly exists, and one for each dataset that differs.
    static func survey(_ datasets: [[String?]] = []) -> ScriptedReply {
        rows(["dataset", "is_there", "absent", "differing"], datasets + [["", "true", nil, nil]])
    }

    static func organizations(_ slugs: [String]) -> ScriptedReply {
        rows(["org_slug", "org_dataset_id"], slugs.map { [$0, ""] })
    }

    static func refusal(_ status: Int, _ reason: String, _ message: String) -> ScriptedReply {
        .json(
            #"{"error": {"code": \#(status), "message": "outer", "errors": [{"reason": "\#(reason)", "message": "\#(message)"}]}}"#,
            status: status)
    }
}
