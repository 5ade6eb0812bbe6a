package import BigQueryWarehouse
import GoogleCredentials
package import HTTPTransport
import JobRuntime
import Logging
package import Warehouse

/// BigQuery's client in front of a scripted server, over the real transport, with a clock that nothing waits for.
package struct BigQueryFixture {
    package let server: ScriptedServer
    package let clock = LeapingClock()
    package let tokens: CountingTokens?
    package let warehouse: BigQueryWarehouse

    package init(_ replies: [ScriptedReply], _ options: Options = Options()) throws {
        self.init(try ScriptedServer(replies: replies), options)
    }

    package init(_ options: Options = Options(), _ handler: @escaping ScriptedServer.Handler) throws {
        self.init(try ScriptedServer(handler), options)
    }

    package struct Options {
        package var tokens: CountingTokens?
        package var quotaProject: String?
        package var labels: [String: String] = [:]
        package var maximumBytesBilled: Int64?
        package var jobTimeout: Duration?
        package var location = "US"
        package var attempts = 4
        package var taskCount = 1

        package init(
            tokens: CountingTokens? = nil, quotaProject: String? = nil, labels: [String: String] = [:],
            maximumBytesBilled: Int64? = nil, jobTimeout: Duration? = nil, location: String = "US", attempts: Int = 4,
            taskCount: Int = 1
        ) {
            self.tokens = tokens
            self.quotaProject = quotaProject
            self.labels = labels
            self.maximumBytesBilled = maximumBytesBilled
            self.jobTimeout = jobTimeout
            self.location = location
            self.attempts = attempts
            self.taskCount = taskCount
        }
    }

    private init(_ server: ScriptedServer, _ options: Options) {
        self.server = server
        tokens = options.tokens
        warehouse = BigQueryWarehouse(
            project: Self.project, location: options.location, baseURL: server.url, transport: CurlTransport(),
            credentials: options.tokens?.cached, quotaProject: options.quotaProject, labels: options.labels,
            maximumBytesBilled: options.maximumBytesBilled, jobTimeout: options.jobTimeout,
            taskCount: options.taskCount,
            retry: RetryPolicy(attempts: options.attempts, budget: .seconds(600)), time: clock.time,
            logger: Logger(label: "test") { _ in
                SwiftLogNoOpLogHandler()
            })
    }

    package static let project = ProjectID("acme-test-1")!
    package static let path = "/bigquery/v2/projects/acme-test-1"

    package func query(_ sql: String = "SELECT 1", _ parameters: KeyValuePairs<String, SQLValue> = [:]) async throws
        -> QueryResult
    {
        try await warehouse.query(Statement("read the answer", sql, parameters: parameters))
    }

    /// The error that the work ends with, if it is the warehouse's.
    package func failure(_ work: (BigQueryWarehouse) async throws -> Void) async -> WarehouseError? {
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
    package static func refusal(
        _ status: Int, _ reason: String, _ message: String = "as scripted", headers: HTTPHeaders = [:]
    ) -> ScriptedReply {
        .json(
            #"{"error": {"code": \#(status), "message": "outer", "errors": [{"reason": "\#(reason)", "message": "\#(message)"}]}}"#,
            status: status, headers: headers)
    }

    /// The complete reply of a query with one INT64 column.
    package static func number(_ value: Int = 1) -> ScriptedReply {
        .json(
            """
            {"jobComplete": true, "jobReference": {"jobId": "job_1", "location": "US"}, "totalRows": "1",
             "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}, "rows": [{"f": [{"v": "\(value)"}]}]}
            """)
    }
}
