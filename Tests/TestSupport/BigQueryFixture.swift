package import BigQueryWarehouse
import Foundation
package import GoogleCredentials
package import HTTPTransport
package import JobRuntime
import Logging
import Synchronization
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

/// Hands out `token-1`, `token-2` and so on, or an error instead.
package final class CountingTokens: AccessTokenSource {
    package static let now = Timestamp("2026-01-31T00:00:00Z")!

    private let count = Mutex(0)
    private let error: CredentialsError?
    package let origin = "a test"

    package init(error: CredentialsError? = nil) {
        self.error = error
    }

    package var fetched: Int { count.withLock { $0 } }

    package func fetchToken() async throws -> AccessToken {
        let number = count.withLock { count in
            count += 1
            return count
        }
        if let error { throw error }
        return AccessToken(value: "token-\(number)", expiresAt: Self.now.adding(.seconds(3600)))
    }

    package var cached: CachedAccessToken { CachedAccessToken(source: self, now: { Self.now }) }
}

extension JSONValue {
    /// The value that the text holds.
    package static func text(_ text: String) throws -> JSONValue {
        try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    package subscript(key: String) -> JSONValue? { object?[key] }
    package subscript(index: Int) -> JSONValue? { array.flatMap { $0.indices.contains(index) ? $0[index] : nil } }
}

extension ScriptedRequest {
    /// The body; `null` where there is none.
    package var jsonBody: JSONValue { (try? JSONDecoder().decode(JSONValue.self, from: body)) ?? .null }
}
