import FoundationEssentials
import HTTPTransport
import JobRuntime
import Warehouse

/// Reads BigQuery's errors, by `reason` first. Source of the table:
/// https://cloud.google.com/bigquery/docs/error-messages
enum BigQueryErrors {
    /// Whom a refusal concerns: everything that the run does in the project, or one dataset, which may have rules of its own.
    enum Scope: Sendable {
        case project, dataset
    }

    /// The error of a response that is not 2xx. The body may be anything, or nothing.
    static func error(in response: HTTPResponse, operation: String, scope: Scope) -> WarehouseError {
        let body = try? JSONDecoder().decode(Envelope.self, from: response.body).error
        let first = body?.errors?.first
        let message = first?.message ?? body?.message ?? "HTTP status \(response.status)"
        var error =
            first?.reason.flatMap { Self.error(reason: $0, message: message, operation: operation, scope: scope) }
            ?? Self.error(status: response.status, message: message, operation: operation, scope: scope)
        // "required" stands for a missing login here and for a missing parameter with status 400.
        if response.status == 401 {
            error = WarehouseError(.unauthenticated, operation: operation, message: message, endsRun: true)
        }
        if response.status == 412 {
            error = WarehouseError(.preconditionFailed, operation: operation, message: message)
        }
        if let seconds = response.headers["Retry-After"].flatMap({ Int64($0) }), (0...3600).contains(seconds) {
            error.retryAfter = .seconds(seconds)
        }
        return error
    }

    /// The error that a job ended with, wherever it stood. The same request would only be told of the same end, so that what
    /// is worth another try needs a new job.
    static func error(of problem: ErrorProto, operation: String, scope: Scope) -> WarehouseError {
        let message = problem.message ?? "no message"
        var error =
            error(reason: problem.reason ?? "", message: message, operation: operation, scope: scope)
            ?? WarehouseError(
                .unexpectedResult, operation: operation, message: "\(problem.reason ?? "unknown reason"): \(message)")
        if error.retry == .same { error.retry = .newJob }
        return error
    }

    private static func error(reason: String, message: String, operation: String, scope: Scope) -> WarehouseError? {
        func error(_ code: WarehouseError.Code, retry: WarehouseError.Retry = .never, endsRun: Bool = false)
            -> WarehouseError
        {
            WarehouseError(code, operation: operation, message: message, retry: retry, endsRun: endsRun)
        }
        func tooManyStatements() -> WarehouseError {
            var error = error(.tooManyQueuedStatements, retry: .newJob)
            error.retryAfter = .seconds(20)
            return error
        }
        switch reason {
        case "rateLimitExceeded", "concurrentRequestLimitExceeded", "userRateLimitExceeded":
            return error(.rateLimited, retry: .same)
        case "backendError", "internalError", "badGateway": return error(.backendError, retry: .same)
        case "jobBackendError", "jobInternalError", "jobRateLimitExceeded":
            return error(.jobFailedTransiently, retry: .newJob)
        case "quotaExceeded" where isShortTerm(message): return error(.rateLimited, retry: .same)
        case "quotaExceeded" where message.contains("total number of dml jobs writing to a table"):
            return tooManyStatements()
        case "quotaExceeded", "dailyLimitExceeded":
            let isOfOneTable = scope == .dataset && message.contains("Your table exceeded quota")
            return error(.quotaExceeded, endsRun: !isOfOneTable)
        case "billingNotEnabled": return error(.billingNotEnabled, endsRun: true)
        case "accessDenied", "forbidden", "insufficientPermissions", "accessNotConfigured":
            return error(.accessDenied, endsRun: scope == .project)
        case "authError": return error(.unauthenticated, endsRun: true)
        case "notFound": return error(.notFound)
        case "duplicate", "alreadyExists": return error(.alreadyExists)
        case "conditionNotMet": return error(.preconditionFailed)
        // BigQuery has no reason of their own for the next two, only these words.
        case "invalidQuery" where isConcurrentUpdate(message):
            return error(.jobFailedTransiently, retry: .newJob)
        case "resourcesExceeded" where message.contains("Too many DML statements outstanding"):
            return tooManyStatements()
        case "invalid", "invalidQuery", "badRequest", "parseError", "fieldNotFound": return error(.invalid)
        case "resourcesExceeded", "responseTooLarge", "tableUnavailable", "resourceInUse":
            return error(.resourcesExceeded)
        case "stopped", "timeout": return error(.stopped)
        case "notImplemented": return error(.notImplemented)
        default: return nil
        }
    }

    /// `quotaExceeded` stands for a quota of the day, for which a run cannot wait, and also for the limits on requests a second
    /// and at once, where a second is enough. Nothing but the words tells them apart: "Your user_method exceeded quota for
    /// concurrent api requests per user per method". https://cloud.google.com/bigquery/docs/troubleshoot-quotas
    private static func isShortTerm(_ message: String) -> Bool {
        message.contains("per user per method") || message.contains("exceeded quota for concurrent")
    }

    /// A statement, or a transaction, that lost against concurrent DML. In a script "Query error: " stands before the words.
    private static func isConcurrentUpdate(_ message: String) -> Bool {
        let message = message.hasPrefix("Query error: ") ? message.dropFirst(13) : message[...]
        return message.hasPrefix("Could not serialize access to")
            || message.hasPrefix("Transaction is aborted due to concurrent update")
    }

    private static func error(status: Int, message: String, operation: String, scope: Scope) -> WarehouseError {
        func error(_ code: WarehouseError.Code, retry: WarehouseError.Retry = .never, endsRun: Bool = false)
            -> WarehouseError
        {
            WarehouseError(code, operation: operation, message: message, retry: retry, endsRun: endsRun)
        }
        switch status {
        case 401: return error(.unauthenticated, endsRun: true)
        case 403: return error(.accessDenied, endsRun: scope == .project)
        case 404: return error(.notFound)
        case 409: return error(.alreadyExists)
        case 429: return error(.rateLimited, retry: .same)
        case 408, 500, 502, 503, 504: return error(.backendError, retry: .same)
        case 501: return error(.notImplemented)
        case 400..<500: return error(.invalid)
        default: return error(.unexpectedResult)
        }
    }

    /// BigQuery's `ErrorProto`.
    struct ErrorProto: Decodable, Sendable {
        var reason: String?
        var message: String?
    }

    /// `{"error": {"code": 403, "message": "...", "errors": [{"reason": "..."}]}}`
    struct Body: Decodable, Sendable {
        var message: String?
        var errors: [ErrorProto]?
    }

    private struct Envelope: Decodable {
        var error: Body
    }
}
