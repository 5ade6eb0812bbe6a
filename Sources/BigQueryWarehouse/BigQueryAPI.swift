import FoundationEssentials
import GoogleCredentials
import HTTPTransport
import JobRuntime
import Logging
import Warehouse

/// Sends requests of BigQuery's REST API v2: authorized, within the budgets, and again where that can help.
///
/// Every request may be sent twice: reads, creations (the second is answered 409), schema updates with `If-Match`, and
/// queries with a `requestId` (fact BQ-01).
struct BigQueryAPI: Sendable {
    /// `https://bigquery.googleapis.com`, or an emulator.
    let baseURL: String
    let project: ProjectID
    let transport: any HTTPTransport
    /// `nil` for an emulator, which gets no credentials.
    let credentials: CachedAccessToken?
    /// For `x-goog-user-project`.
    let quotaProject: String?
    let budgets: RequestBudgets
    let retry: RetryPolicy
    let time: TimeSource
    let logger: Logger

    struct Call: Sendable {
        var method: BigQueryMethod
        var verb: HTTPRequest.Method = .get
        /// Below `/bigquery/v2/projects/PROJECT`; made of validated identifiers only.
        var path: String
        var query: [(name: String, value: String)] = []
        var headers: HTTPHeaders = [:]
        var body: Data?
        var timeout: Duration = .seconds(60)
        /// In words, for errors: "read table organizations.org_profiles".
        var operation: String
        var scope: BigQueryErrors.Scope
        /// The certainty about the work before the first request: `unknown` for a question about a running job, `done` for one
        /// about a job that succeeded.
        var known = Certainty.notDone
    }

    /// The reply, after retries.
    ///
    /// Throws ``WarehouseError`` for any answer that is not 2xx.
    func send(_ call: Call) async throws -> Data {
        var attempts = Attempts(retry, on: time)
        var known = call.known
        while true {
            do {
                return try await attempt(call, known: known)
            } catch {
                known = (error as? WarehouseError)?.certainty ?? known
                try await pause(&attempts, after: error)
            }
        }
    }

    /// Waits where the same request may help, and throws the error where not.
    func pause(_ attempts: inout Attempts, after error: any Error) async throws {
        guard let error = error as? WarehouseError, error.retry == .same else { throw error }
        // A job that was just started is sometimes not found at once. After five requests it is truly missing.
        let limit = error.detail == .missingJob ? 5 : nil
        try await attempts.pause(
            after: error, .retry(after: error.retryAfter), limit: limit, noting: logger.tryingAgain)
    }

    /// Sends the request once, within the budgets.
    ///
    /// - Parameter known: What is known of the call's work, from earlier attempts too.
    func attempt(_ call: Call, known: Certainty) async throws -> Data {
        try await budgets.withPermit(for: call.method) { try await authorized(call, known) }
    }

    func decode<Value: Decodable>(_ type: Value.Type, from data: Data, of call: Call) throws -> Value {
        try read(data, of: call) { try JSONReader.decode(type, from: $0) }
    }

    func read<Value>(_ data: Data, of call: Call, _ read: (Data) throws -> Value) throws -> Value {
        do {
            return try read(data)
        } catch {
            throw WarehouseError(
                .unexpectedResult, operation: call.operation, message: "the reply is not what it should be",
                certainty: call.verb != .get && call.known == .notDone ? .unknown : call.known)
        }
    }

    /// A token that was revoked or expired early is replaced once; the second refusal is final.
    private func authorized(_ call: Call, _ known: Certainty) async throws -> Data {
        guard let credentials else { return try await exchange(call, token: nil, known) }
        let token = try await self.token(of: credentials, for: call, known)
        do {
            return try await exchange(call, token: token, known)
        } catch let error as WarehouseError where error.code == .unauthenticated {
            await credentials.reject(token)
            return try await exchange(call, token: try await self.token(of: credentials, for: call, known), known)
        }
    }

    /// Without a token the next call would fail in the same way, so the run ends. The token server's retries are over by then.
    private func token(of credentials: CachedAccessToken, for call: Call, _ known: Certainty) async throws -> String {
        do {
            return try await credentials.token()
        } catch let error as CredentialsError {
            throw WarehouseError(
                .unauthenticated, operation: call.operation, message: error.description, certainty: known,
                endsRun: true)
        }
    }

    private func exchange(_ call: Call, token: String?, _ known: Certainty) async throws -> Data {
        var request = HTTPRequest(
            call.verb, url(of: call), headers: call.headers, body: call.body, timeout: call.timeout)
        if let token { request.headers["Authorization"] = "Bearer \(token)" }
        if let quotaProject { request.headers["x-goog-user-project"] = quotaProject }
        if call.body != nil { request.headers["Content-Type"] = "application/json" }
        let response: HTTPResponse
        do {
            response = try await transport.send(request)
        } catch let error as HTTPTransportError {
            throw WarehouseError(
                .transport, operation: call.operation, message: error.description,
                certainty: call.verb != .get && known == .notDone ? error.certainty : known,
                retry: error.isRetryable ? .same : .never, endsRun: Self.concernsEveryRequest(error))
        }
        if (200..<300).contains(response.status) { return response.body }
        let error = BigQueryErrors.error(in: response, to: call, before: known)
        if error.code == .rateLimited { budgets.slowDown(call.method) }
        throw error
    }

    /// There is no way to the server, for the next organization neither.
    private static func concernsEveryRequest(_ error: HTTPTransportError) -> Bool {
        [.nameNotResolved, .connectionFailed, .proxyRefused, .tlsFailed].contains(error.code)
    }

    private func url(of call: Call) -> String {
        let query = call.query.isEmpty ? "" : "?" + formEncoded(call.query)
        return "\(baseURL)/bigquery/v2/projects/\(project)\(call.path)\(query)"
    }
}

/// The methods of BigQuery's REST API that we call. Each has a budget of its own.
enum BigQueryMethod: String, Sendable, CaseIterable {
    case datasetsGet = "datasets.get"
    case datasetsList = "datasets.list"
    case datasetsInsert = "datasets.insert"
    case tablesGet = "tables.get"
    case tablesList = "tables.list"
    case tablesInsert = "tables.insert"
    case tablesPatch = "tables.patch"
    case jobsQuery = "jobs.query"
    case jobsGet = "jobs.get"
    case jobsGetQueryResults = "jobs.getQueryResults"
    case jobsCancel = "jobs.cancel"

    /// Requests a second for one user, that is, for one service account (fact BQ-31):
    /// https://cloud.google.com/bigquery/quotas#api_request_quotas
    var requestsPerSecond: Double {
        self == .tablesInsert ? 10 : 100
    }

    /// Requests that may be under way at once, for one user and all methods together.
    static let requestsInFlight = 300
}

/// What this task may ask of BigQuery: a rate for each method, and a number of requests in flight for all of them.
///
/// The limits hold for a service account, so the tasks of one execution share them evenly.
struct RequestBudgets: Sendable {
    private let limiters: [BigQueryMethod: RateLimiter]
    private let inFlight: RateLimiter
    private let taskCount: Int

    init(taskCount: Int, time: TimeSource) {
        self.taskCount = taskCount
        let atOnce = max(1, BigQueryMethod.requestsInFlight / taskCount)
        limiters = Dictionary(
            uniqueKeysWithValues: BigQueryMethod.allCases.map {
                let rate = $0.requestsPerSecond / Double(taskCount)
                return ($0, RateLimiter(ratePerSecond: rate, maxInFlight: atOnce, time: time))
            })
        inFlight = RateLimiter(ratePerSecond: 10_000, maxInFlight: atOnce, time: time)
    }

    /// A call that waits for its turn holds no place among those in flight.
    func withPermit<Value>(for method: BigQueryMethod, _ operation: () async throws -> Value) async throws -> Value {
        guard let limiter = limiters[method] else { return try await operation() }
        return try await limiter.withPermit {
            try await inFlight.withPermit(operation)
        }
    }

    /// The methods work side by side, so the slowest one counts.
    func leastTime(for requests: SchemaRequests) -> Duration {
        let counts: [(BigQueryMethod, Int)] = [
            (.datasetsInsert, requests.datasetCreations), (.tablesList, requests.tableLists),
            (.tablesGet, requests.tableReads), (.tablesInsert, requests.tableCreations),
            (.tablesPatch, requests.tableUpdates), (.jobsQuery, requests.statements),
        ]
        return .seconds(counts.map { Double($1) * Double(taskCount) / $0.requestsPerSecond }.max() ?? 0)
    }

    func slowDown(_ method: BigQueryMethod) {
        limiters[method]?.slowDown()
    }
}
