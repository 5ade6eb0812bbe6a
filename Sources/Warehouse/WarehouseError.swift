/// What went wrong between us and a warehouse.
///
/// `description` shows the operation in words and the server's own message; parameters, tokens and keys are never part of it.
package struct WarehouseError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case notFound, alreadyExists, preconditionFailed
        case invalid
        case accessDenied, billingNotEnabled, unauthenticated
        case quotaExceeded
        case rateLimited, backendError
        /// A job failed on the server's side, or lost against concurrent DML: only a new job can succeed.
        case jobFailedTransiently
        case tooManyQueuedStatements
        case resourcesExceeded, stopped, notImplemented
        case transport
        case unexpectedResult
    }

    package enum Retry: Sendable, Equatable {
        case never
        /// The same request, with the same idempotency id.
        case same
        /// The same statement as a new job.
        case newJob
    }

    package var code: Code
    package var operation: String
    package var message: String
    package var retry: Retry
    package var retryAfter: Duration?
    /// The next organization would fail in the same way, so the run stops here.
    package var endsRun: Bool
    /// An attempt was answered by nobody, or by an error of the server's own, so that its work may be done all the same.
    package var mayHaveBeenDone = false

    package init(
        _ code: Code, operation: String, message: String, retry: Retry = .never, retryAfter: Duration? = nil,
        endsRun: Bool = false
    ) {
        self.code = code
        self.operation = operation
        self.message = message
        self.retry = retry
        self.retryAfter = retryAfter
        self.endsRun = endsRun
    }

    /// The statement would have changed rows that another service streamed a short while ago (`tabledata.insertAll`), and BigQuery
    /// changes none then. It tells that in words only: "UPDATE or DELETE statement over table ... would affect rows in the streaming
    /// buffer, which is not supported".
    package var concernsStreamedRows: Bool { code == .invalid && message.contains("rows in the streaming buffer") }

    package var isRetryable: Bool { retry != .never }

    /// It is the job that is not there, and not a table that its statement names. So it is for a moment after it was started:
    /// https://github.com/googleapis/python-bigquery/issues/2134
    package var isOfMissingJob: Bool { code == .notFound && message.hasPrefix("Not found: Job") }

    package var description: String { "could not \(operation): \(message) (\(code.rawValue))" }
}
