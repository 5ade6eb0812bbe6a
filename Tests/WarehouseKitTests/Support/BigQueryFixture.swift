import HTTPTransport
import JobRuntime
import Logging
import TestSupport
import WarehouseKit

/// BigQuery's client in front of a scripted server, over the real transport, with a clock that nothing waits for.
struct BigQueryFixture {
    let server: ScriptedServer
    let clock = LeapingClock()
    let tokens: CountingTokens?
    let warehouse: BigQueryWarehouse

    init(_ replies: [ScriptedReply], _ options: Options = Options()) throws {
        self.init(try ScriptedServer(replies: replies), options)
    }

    init(_ options: Options = Options(), _ handler: @escaping ScriptedServer.Handler) throws {
        self.init(try ScriptedServer(handler), options)
    }

    struct Options {
        var tokens: CountingTokens?
        var quotaProject: String?
        var labels: [String: String] = [:]
        var maximumBytesBilled: Int64?
        var jobTimeout: Duration?
        var location = "US"
        var attempts = 4
        var taskCount = 1
    }

    private init(_ server: ScriptedServer, _ options: Options) {
        self.server = server
        tokens = options.tokens
        warehouse = BigQueryWarehouse(
            project: Self.project, location: options.location, baseURL: server.url, transport: CurlTransport(),
            credentials: options.tokens?.cached, quotaProject: options.quotaProject, labels: options.labels,
            maximumBytesBilled: options.maximumBytesBilled, jobTimeout: options.jobTimeout,
            taskCount: options.taskCount,
            retry: RetryPolicy(attempts: options.attempts), time: clock.time,
            logger: Logger(label: "test") { _ in
                SwiftLogNoOpLogHandler()
            })
    }

    static let project = ProjectID("acme-test-1")!
    static let path = "/bigquery/v2/projects/acme-test-1"

    func query(_ sql: String = "SELECT 1", _ parameters: KeyValuePairs<String, SQLValue> = [:]) async throws
        -> QueryResult
    {
        try await warehouse.query(Statement("read the answer", sql, parameters: parameters))
    }

    /// The error that the work ends with, if it is the warehouse's.
    func failure(_ work: (BigQueryWarehouse) async throws -> Void) async -> WarehouseError? {
        do {
            try await work(warehouse)
            return nil
        } catch {
            return error as? WarehouseError
        }
    }
}

extension ScriptedReply {
    /// An error as BigQuery words it.
    static func refusal(
        _ status: Int, _ reason: String, _ message: String = "as scripted", headers: HTTPHeaders = [:]
    ) -> ScriptedReply {
        .json(
            #"{"error": {"code": \#(status), "message": "outer", "errors": [{"reason": "\#(reason)", "message": "\#(message)"}]}}"#,
            status: status, headers: headers)
    }

    /// The complete reply of a query with one INT64 column.
    static func number(_ value: Int = 1) -> ScriptedReply {
        .json(
            """
            {"jobComplete": true, "jobReference": {"jobId": "job_1", "location": "US"}, "totalRows": "1",
             "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}, "rows": [{"f": [{"v": "\(value)"}]}]}
            """)
    }
}
