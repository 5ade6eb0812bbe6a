import FoundationEssentials
import GoogleCredentials
import HTTPTransport
import JobRuntime
import Logging
import Warehouse

/// Sends requests of BigQuery's REST API v2: authorized, within the budgets, and again where that can help.
///
/// Everything that goes through here may be sent twice: reads, creations (the second is answered 409), schema updates with
/// `If-Match`, and queries with a `requestId`.
struct BigQueryAPI: Sendable {
    /// What leads to the same API: `https://bigquery.googleapis.com`, or an emulator.
    let baseURL: String
    let project: ProjectID
    let transport: any HTTPTransport
    /// `nil` for an emulator, which is sent no credentials.
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
    }

    /// - Parameter attempts: At most so many, where that is less than the policy's.
    /// - Throws: ``WarehouseError`` for any answer that is not 2xx, after the retries.
    func send(_ call: Call, attempts: Int = .max) async throws -> Data {
        var retry = retry
        retry.attempts = min(retry.attempts, attempts)
        var mayHaveBeenDone = false
        return try await retry.run(on: time, decide: Self.decide, noting: logger.tryingAgain) { _ in
            do {
                return try await budgets.withPermit(for: call.method) { try await authorizedAttempt(call) }
            } catch var error as WarehouseError {
                if call.verb != .get && Self.isAmbiguous(error) { mayHaveBeenDone = true }
                error.mayHaveBeenDone = mayHaveBeenDone
                if call.method == .jobsQuery { error.retry = Self.retryOfQuery(error) }
                throw error
            }
        }
    }

    /// Whether the server may have done what it was asked: not where there was no way to it at all.
    private static func isAmbiguous(_ error: WarehouseError) -> Bool {
        error.code == .backendError || (error.code == .transport && !error.endsRun)
    }

    private static func retryOfQuery(_ error: WarehouseError) -> WarehouseError.Retry {
        switch error.code {
        // Nothing was executed, or it is the job that was refused: then the same requestId would only find that one again. But
        // where an earlier attempt may have begun a job, a second one beside it would do the work twice.
        case .rateLimited where !error.mayHaveBeenDone: .newJob
        case .notFound where error.isOfMissingJob: .same
        default: error.retry
        }
    }

    func decode<Value: Decodable>(_ type: Value.Type, from data: Data, of call: Call) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw WarehouseError(
                .unexpectedResult, operation: call.operation, message: "the reply is not what it should be")
        }
    }

    private static func decide(_ error: any Error) -> RetryDecision {
        guard let error = error as? WarehouseError, error.retry == .same else { return .stop }
        return .retry(after: error.retryAfter)
    }

    /// A token that was revoked or expired early is replaced once; the second refusal is final.
    private func authorizedAttempt(_ call: Call) async throws -> Data {
        guard let credentials else { return try await attempt(call, token: nil) }
        let token = try await self.token(of: credentials, for: call)
        do {
            return try await attempt(call, token: token)
        } catch let error as WarehouseError where error.code == .unauthenticated {
            await credentials.reject(token)
            return try await attempt(call, token: try await self.token(of: credentials, for: call))
        }
    }

    /// Without a token the next call would fail in the same way, so the run ends. The token server's retries are over by then.
    private func token(of credentials: CachedAccessToken, for call: Call) async throws -> String {
        do {
            return try await credentials.token()
        } catch let error as CredentialsError {
            throw WarehouseError(
                .unauthenticated, operation: call.operation, message: error.description, endsRun: true)
        }
    }

    private func attempt(_ call: Call, token: String?) async throws -> Data {
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
                retry: error.isRetryable ? .same : .never, endsRun: Self.concernsEveryRequest(error))
        }
        if (200..<300).contains(response.status) { return response.body }
        let error = BigQueryErrors.error(in: response, operation: call.operation, scope: call.scope)
        if error.code == .rateLimited { budgets.slowDown(call.method) }
        throw error
    }

    /// No way to the server: it will be closed to the next organization, too.
    private static func concernsEveryRequest(_ error: HTTPTransportError) -> Bool {
        [.nameNotResolved, .connectionFailed, .proxyRefused, .tlsFailed].contains(error.code)
    }

    private func url(of call: Call) -> String {
        let items = call.query.map { "\($0.name)=\(percentEncoded($0.value))" }.joined(separator: "&")
        return "\(baseURL)/bigquery/v2/projects/\(project)\(call.path)" + (items.isEmpty ? "" : "?\(items)")
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

    /// Requests a second for one user, that is, for one service account:
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

    init(taskCount: Int, time: TimeSource) {
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

    func slowDown(_ method: BigQueryMethod) {
        limiters[method]?.slowDown()
    }
}
