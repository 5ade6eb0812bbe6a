package import HTTPTransport
import JobRuntime

/// Why a warehouse did not do what it was asked.
///
/// `description` shows the operation in words and the server's own message. Bound values, tokens and keys are never part
/// of it.
///
/// ```swift
/// do {
///     _ = try await warehouse.query(statement)
/// } catch let error as WarehouseError where error.code == .notFound && error.certainty == .notDone {
///     throw error.withAdvice("run bootstrap first")
/// }
/// ```
package struct WarehouseError: FailedOperation, CustomStringConvertible {
    package enum Code: String, Sendable {
        case notFound, alreadyExists, preconditionFailed
        case invalid
        case accessDenied, billingNotEnabled, unauthenticated
        case quotaExceeded
        /// The statement would bill more bytes than `MAX_BYTES_BILLED`.
        case bytesLimitExceeded
        case rateLimited, backendError
        /// The job failed on the server's side, or lost against concurrent DML: only a new job can succeed.
        case jobFailedTransiently
        case tooManyQueuedStatements
        case resourcesExceeded, stopped, notImplemented
        case transport
        case unexpectedResult
    }

    /// A case that the code does not tell apart, because the server has no reason of its own for it.
    package enum Detail: Sendable {
        /// The job is missing, and not a table that its statement names.
        case missingJob
        /// A dataset is missing, and not a table in it.
        case missingDataset
        /// The request's own job exists already.
        case existingJob
        /// The statement would change rows that another service streamed a short while ago (`tabledata.insertAll`), so
        /// BigQuery changed nothing.
        case streamedRows
    }

    package enum Retry: Sendable, Equatable {
        case never
        /// The same request, with the same idempotency id.
        case same
        /// The same statement as a new job.
        case newJob
    }

    package var code: Code
    package var detail: Detail?
    package var operation: String
    /// The server's own message.
    package var message: String
    /// What became of the work. The code that makes the error sets it, and nobody changes it on the way up.
    package var certainty: Certainty
    package var retry: Retry
    /// The wait that the server asks for.
    package var retryAfter: Duration?
    /// The next organization would fail in the same way, so the run stops here.
    package var endsRun: Bool
    /// The next thing to do, for a person. It is printed after the message.
    package private(set) var advice: String?

    /// - Parameter certainty: The default fits a refusal: the server did nothing.
    package init(
        _ code: Code, detail: Detail? = nil, operation: String, message: String, certainty: Certainty = .notDone,
        retry: Retry = .never, retryAfter: Duration? = nil, endsRun: Bool = false
    ) {
        self.code = code
        self.detail = detail
        self.operation = operation
        self.message = message
        self.certainty = certainty
        self.retry = retry
        self.retryAfter = retryAfter
        self.endsRun = endsRun
    }

    /// The same error with the next thing to do, from a caller that knows it. The last advice counts.
    package func withAdvice(_ advice: String) -> WarehouseError {
        var error = self
        error.advice = advice
        return error
    }

    package var concernsStreamedRows: Bool { detail == .streamedRows }

    package var isOfMissingJob: Bool { detail == .missingJob }

    package var isRetryable: Bool { retry != .never }

    package var reason: String {
        var text = "\(message) (\(code.rawValue))"
        if let retryAfter { text += "; the server may be asked again in \(spoken(retryAfter))" }
        if let advice { text += " - \(advice)" }
        return text
    }

    package var description: String { "could not \(operation): \(reason)" }
}
