import FoundationEssentials
import HTTPTransport
import JobRuntime
import Warehouse

/// Reads BigQuery's errors, by `reason` first. Source of the table (facts BQ-03, BQ-40, BQ-41 and BQ-43):
/// https://cloud.google.com/bigquery/docs/error-messages
enum BigQueryErrors {
    /// The reach of a refusal: everything that the run does in the project, or one dataset, which may have rules of its
    /// own.
    enum Scope: Sendable {
        case project, dataset
    }

    /// The error of a response that is not 2xx. The body may be anything, or nothing.
    ///
    /// - Parameter before: What was known of the call's work before this response.
    static func error(
        in response: HTTPResponse, to call: BigQueryAPI.Call, before: Certainty, now: Date = Date()
    ) -> WarehouseError {
        let body = try? JSONReader.decode(Envelope.self, from: response.body).error
        let first = body?.errors?.first
        let message = first?.message ?? body?.message ?? "HTTP status \(response.status)"
        let reading =
            switch response.status {
            // "required" stands for a missing login here and for a missing parameter with status 400.
            case 401: Reading(.unauthenticated, endsRun: true)
            case 412: Reading(.preconditionFailed)
            default:
                first?.reason.flatMap { Self.reading(reason: $0, message: message, scope: call.scope) }
                    ?? Self.reading(status: response.status, scope: call.scope)
            }
        let detail = detail(of: reading.code, message)
        let certainty = certainty(reading.code, detail, of: call, before: before)
        return advised(
            WarehouseError(
                reading.code, detail: detail, operation: call.operation, message: message, certainty: certainty,
                retry: retry(reading, detail, of: call, certainty),
                retryAfter: response.retryAfter(now: now) ?? reading.retryAfter, endsRun: reading.endsRun))
    }

    /// - Access comes with the deployment, so the error says which script gives it. A refused query names no permission.
    /// - The operator set the limit on bytes, so the error says where, and how much is needed: "Query exceeded limit for bytes
    ///   billed: 10485760. 31457280 or higher required."
    private static func advised(_ error: WarehouseError) -> WarehouseError {
        func says(_ wordings: Wording...) -> Bool { wordings.contains { $0.isIn(error.message) } }
        if error.code == .accessDenied, says(.deniedOnTable, .deniedOnDataset, .deniedOnProject) {
            let missing = says(.deniedQuery) ? "the account lacks bigquery.tables.getData there: " : ""
            return error.withAdvice(
                "\(missing)scripts/create-all-jobs.sh gives the job's account the access that deploy/access.json lists")
        }
        guard error.code == .bytesLimitExceeded else { return error }
        let words = error.message.split(separator: " ")
        let required = words.firstIndex(of: "or").flatMap { $0 > 0 ? Int64(words[$0 - 1]) : nil }
        return error.withAdvice(
            required.map { "set MAX_BYTES_BILLED to \($0) or more" } ?? "set MAX_BYTES_BILLED to a higher value")
    }

    /// The error that a job ended with, wherever it stood. It proves that the job did nothing. The same request would get
    /// the same error again, so an error that may pass needs a new job.
    static func error(of problem: ErrorProto, operation: String, scope: Scope) -> WarehouseError {
        let message = problem.message ?? "no message"
        guard let reading = reading(reason: problem.reason ?? "", message: message, scope: scope) else {
            return WarehouseError(
                .unexpectedResult, operation: operation, message: "\(problem.reason ?? "unknown reason"): \(message)")
        }
        return advised(
            WarehouseError(
                reading.code, detail: detail(of: reading.code, message), operation: operation, message: message,
                retry: reading.retry == .never ? .never : .newJob, retryAfter: reading.retryAfter,
                endsRun: reading.endsRun))
    }

    /// - A server in trouble may have done the work or not.
    /// - A refusal of the request leaves the work as it was before the request.
    /// - Any other error in the reply to a question about a running job is the job's own: the job failed.
    private static func certainty(
        _ code: WarehouseError.Code, _ detail: WarehouseError.Detail?, of call: BigQueryAPI.Call, before: Certainty
    ) -> Certainty {
        switch code {
        case .backendError, .unexpectedResult: call.verb != .get && before == .notDone ? .unknown : before
        case .rateLimited, .unauthenticated: before
        // It is the job of this request: an earlier attempt began it, or BigQuery itself repeated the request.
        case .alreadyExists where detail == .existingJob: .unknown
        default: call.known == .unknown && detail != .missingJob ? .notDone : before
        }
    }

    private static func retry(
        _ reading: Reading, _ detail: WarehouseError.Detail?, of call: BigQueryAPI.Call, _ certainty: Certainty
    ) -> WarehouseError.Retry {
        switch reading.code {
        // Nothing was executed, or the job was refused: then the same requestId would find only that job again. But where
        // an earlier attempt may have begun a job, a second one beside it would do the work twice.
        case .rateLimited where call.method == .jobsQuery && certainty == .notDone: .newJob
        case .notFound where detail == .missingJob: .same
        case .alreadyExists where detail == .existingJob && call.method == .jobsQuery: .same
        default: reading.retry
        }
    }

    private static func detail(of code: WarehouseError.Code, _ message: String) -> WarehouseError.Detail? {
        switch code {
        case .notFound where Wording.missingJob.isIn(message): .missingJob
        case .notFound where Wording.missingDataset.isIn(message): .missingDataset
        case .alreadyExists where Wording.existingJob.isIn(message): .existingJob
        case .invalid where Wording.streamedRows.isIn(message): .streamedRows
        default: nil
        }
    }

    /// The meaning of a reason or a status.
    private struct Reading {
        var code: WarehouseError.Code
        var retry: WarehouseError.Retry
        var retryAfter: Duration?
        var endsRun: Bool

        init(
            _ code: WarehouseError.Code, retry: WarehouseError.Retry = .never, retryAfter: Duration? = nil,
            endsRun: Bool = false
        ) {
            self.code = code
            self.retry = retry
            self.retryAfter = retryAfter
            self.endsRun = endsRun
        }

        static let tooManyStatements = Reading(.tooManyQueuedStatements, retry: .newJob, retryAfter: .seconds(20))
    }

    private static func reading(reason: String, message: String, scope: Scope) -> Reading? {
        func says(_ wordings: Wording...) -> Bool { wordings.contains { $0.isIn(message) } }
        return switch reason {
        case "bytesBilledLimitExceeded": Reading(.bytesLimitExceeded, endsRun: true)
        // Some replies have a reason of a wider meaning for it.
        case _ where says(.bytesLimit): Reading(.bytesLimitExceeded, endsRun: true)
        case "rateLimitExceeded", "concurrentRequestLimitExceeded", "userRateLimitExceeded":
            Reading(.rateLimited, retry: .same)
        case "backendError", "internalError", "badGateway": Reading(.backendError, retry: .same)
        case "jobBackendError", "jobInternalError", "jobRateLimitExceeded":
            Reading(.jobFailedTransiently, retry: .newJob)
        // A table whose data another service holds may be back after a while.
        case "tableUnavailable": Reading(.jobFailedTransiently, retry: .newJob)
        case "quotaExceeded" where says(.requestsPerMethod, .concurrentRequests): Reading(.rateLimited, retry: .same)
        case "quotaExceeded" where says(.pendingDML, .queuedJobs): .tooManyStatements
        case "quotaExceeded", "dailyLimitExceeded":
            Reading(.quotaExceeded, endsRun: !(scope == .dataset && says(.quotaOfTable)))
        case "billingNotEnabled": Reading(.billingNotEnabled, endsRun: true)
        case "accessDenied", "forbidden", "insufficientPermissions", "accessNotConfigured":
            Reading(.accessDenied, endsRun: scope == .project)
        // BigQuery itself stopped the operation.
        case "blocked": Reading(.accessDenied, endsRun: true)
        case "authError", "invalidUser": Reading(.unauthenticated, endsRun: true)
        case "proxyAuthenticationRequired": Reading(.transport, endsRun: true)
        case "notFound": Reading(.notFound)
        case "duplicate", "alreadyExists": Reading(.alreadyExists)
        case "conditionNotMet": Reading(.preconditionFailed)
        case "invalidQuery" where says(.deniedInScript): Reading(.accessDenied, endsRun: scope == .project)
        case "invalidQuery" where says(.lostStatement, .lostStatementInScript, .lostTransaction, .lostScript):
            Reading(.jobFailedTransiently, retry: .newJob)
        case "resourcesExceeded" where says(.outstandingDML): .tooManyStatements
        case "invalid", "invalidQuery", "badRequest", "parseError", "fieldNotFound", "attributeError": Reading(.invalid)
        case "resourcesExceeded", "responseTooLarge", "resourceInUse", "billingTierLimitExceeded":
            Reading(.resourcesExceeded)
        case "stopped", "timeout": Reading(.stopped)
        case "notImplemented": Reading(.notImplemented)
        default: nil
        }
    }

    private static func reading(status: Int, scope: Scope) -> Reading {
        switch status {
        case 403: Reading(.accessDenied, endsRun: scope == .project)
        case 407: Reading(.transport, endsRun: true)
        case 404: Reading(.notFound)
        case 409: Reading(.alreadyExists)
        case 429: Reading(.rateLimited, retry: .same)
        case 408, 500, 502, 503, 504: Reading(.backendError, retry: .same)
        case 501: Reading(.notImplemented)
        case 400..<500: Reading(.invalid)
        default: Reading(.unexpectedResult)
        }
    }

    /// The words that tell apart errors of one reason. BigQuery has nothing else for it, so these texts are compared with
    /// its messages, without case.
    enum Wording: String, CaseIterable {
        // `quotaExceeded` stands for a quota of the day, for which a run cannot wait, and for limits on requests a second
        // and at once, where a second is enough: "Your user_method exceeded quota for concurrent api requests per user
        // per method". https://cloud.google.com/bigquery/docs/troubleshoot-quotas
        case requestsPerMethod = "per user per method"
        case concurrentRequests = "exceeded quota for concurrent"
        // The same page: limits of one table (fact BQ-32).
        case pendingDML = "total number of dml jobs writing to a table"
        case quotaOfTable = "Your table exceeded quota"
        // The same page: the queue of a project drains by itself.
        case queuedJobs = "number of jobs that can be queued"
        // https://cloud.google.com/bigquery/docs/best-practices-costs (fact BQ-07)
        case bytesLimit = "exceeded limit for bytes billed"
        // https://cloud.google.com/bigquery/docs/data-manipulation-language#limitations (fact BQ-30)
        case outstandingDML = "Too many DML statements outstanding"
        // A statement or a transaction that lost against concurrent DML (fact BQ-16). In a script "Query error: " stands before it.
        // https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
        case lostStatement = "^Could not serialize access to"
        case lostStatementInScript = "^Query error: Could not serialize access to"
        case lostTransaction = "^Transaction is aborted due to concurrent update"
        case lostScript = "^Query error: Transaction is aborted due to concurrent update"
        // A statement of a script that was refused: https://github.com/getredash/redash/issues/5060
        case deniedInScript = "^Query error: Access Denied"
        // "Access Denied: Table p:d.t: User does not have permission to query table p:d.t, or perhaps it does not exist."
        // "Access Denied: Dataset p:d: Permission bigquery.tables.create denied on dataset p:d (or it may not exist)."
        // https://cloud.google.com/bigquery/docs/troubleshoot-queries#permission_denied (fact IAM-02)
        case deniedOnTable = "^Access Denied: Table"
        case deniedOnDataset = "^Access Denied: Dataset"
        case deniedOnProject = "^Access Denied: Project"
        case deniedQuery = "User does not have permission to query table"
        // A job is missing for a moment after it was started: https://github.com/googleapis/python-bigquery/issues/2134
        case missingJob = "^Not found: Job"
        // A dataset that is there was once not found: https://github.com/googleapis/google-cloud-python/issues/15691 (facts BQ-05 and BQ-06)
        case missingDataset = "^Not found: Dataset"
        // Large arrays can bring it where nobody set an id: https://cloud.google.com/bigquery/docs/troubleshoot-queries
        case existingJob = "^Already Exists: Job"
        // "UPDATE or DELETE statement over table ... would affect rows in the streaming buffer, which is not supported"
        // https://cloud.google.com/bigquery/docs/data-manipulation-language#limitations (fact BQ-29)
        case streamedRows = "rows in the streaming buffer"

        /// A text that begins with "^" stands at the beginning of the message.
        func isIn(_ message: String) -> Bool {
            let (message, text) = (message.lowercased(), rawValue.lowercased())
            return text.hasPrefix("^") ? message.hasPrefix(text.dropFirst()) : message.contains(text)
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
