import HTTPTransport
import Testing

@testable import BigQueryWarehouse
@testable import GoogleCredentials
@testable import Warehouse

@Suite struct ErrorTableTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var status: Int
        var reason: String
        var message = "as scripted"
        var code: WarehouseError.Code
        var retry = WarehouseError.Retry.never
        var endsProject = false
        var endsDataset = false

        var testDescription: String { "\(status) \(reason) \(message)" }
    }

    private func error(_ status: Int, _ body: String, _ scope: BigQueryErrors.Scope = .project) -> WarehouseError {
        BigQueryErrors.error(
            in: HTTPResponse(status: status, body: .init(body.utf8)), operation: "do it", scope: scope)
    }

    @Test(arguments: [
        Case(status: 403, reason: "rateLimitExceeded", code: .rateLimited, retry: .same),
        Case(status: 403, reason: "userRateLimitExceeded", code: .rateLimited, retry: .same),
        Case(status: 403, reason: "quotaExceeded", code: .quotaExceeded, endsProject: true, endsDataset: true),
        Case(
            status: 403, reason: "quotaExceeded",
            message: "Quota exceeded: Your user_method exceeded quota for concurrent api requests per user per method.",
            code: .rateLimited, retry: .same),
        Case(
            status: 403, reason: "quotaExceeded",
            message: "Quota exceeded: Your user_method exceeded quota for api requests per user per method.",
            code: .rateLimited, retry: .same),
        Case(
            status: 403, reason: "quotaExceeded",
            message: "Quota exceeded: Your project exceeded quota for concurrent queries.", code: .rateLimited,
            retry: .same),
        Case(
            status: 403, reason: "quotaExceeded",
            message: "Quota exceeded: Your table exceeded quota for imports or query appends per table.",
            code: .quotaExceeded, endsProject: true),
        Case(
            status: 403, reason: "quotaExceeded",
            message:
                "Quota exceeded: Your table exceeded quota for total number of dml jobs writing to a table, pending + running",
            code: .tooManyQueuedStatements, retry: .newJob),
        Case(status: 403, reason: "accessDenied", code: .accessDenied, endsProject: true),
        Case(status: 403, reason: "billingNotEnabled", code: .billingNotEnabled, endsProject: true, endsDataset: true),
        Case(status: 403, reason: "responseTooLarge", code: .resourcesExceeded),
        Case(status: 401, reason: "authError", code: .unauthenticated, endsProject: true, endsDataset: true),
        Case(status: 500, reason: "backendError", code: .backendError, retry: .same),
        Case(status: 502, reason: "backendError", code: .backendError, retry: .same),
        Case(status: 503, reason: "backendError", code: .backendError, retry: .same),
        Case(status: 504, reason: "backendError", code: .backendError, retry: .same),
        Case(status: 500, reason: "internalError", code: .backendError, retry: .same),
        Case(status: 502, reason: "badGateway", code: .backendError, retry: .same),
        Case(status: 400, reason: "jobBackendError", code: .jobFailedTransiently, retry: .newJob),
        Case(status: 400, reason: "jobInternalError", code: .jobFailedTransiently, retry: .newJob),
        Case(status: 400, reason: "jobRateLimitExceeded", code: .jobFailedTransiently, retry: .newJob),
        Case(status: 409, reason: "duplicate", code: .alreadyExists),
        Case(status: 404, reason: "notFound", code: .notFound),
        Case(status: 400, reason: "invalid", code: .invalid),
        Case(status: 400, reason: "invalidQuery", code: .invalid),
        Case(status: 400, reason: "badRequest", code: .invalid),
        Case(
            status: 400, reason: "invalidQuery",
            message: "Could not serialize access to table p:d.t due to concurrent update",
            code: .jobFailedTransiently, retry: .newJob),
        Case(status: 400, reason: "resourcesExceeded", code: .resourcesExceeded),
        Case(
            status: 400, reason: "resourcesExceeded",
            message: "Resources exceeded: Too many DML statements outstanding against table p:d.t, limit is 20.",
            code: .tooManyQueuedStatements, retry: .newJob),
        Case(status: 400, reason: "tableUnavailable", code: .resourcesExceeded),
        Case(status: 400, reason: "resourceInUse", code: .resourcesExceeded),
        Case(status: 400, reason: "timeout", code: .stopped),
        Case(status: 400, reason: "stopped", code: .stopped),
        Case(status: 501, reason: "notImplemented", code: .notImplemented),
        Case(status: 412, reason: "conditionNotMet", code: .preconditionFailed),
        Case(status: 412, reason: "invalid", code: .preconditionFailed),
        Case(status: 503, reason: "aReasonOfTomorrow", code: .backendError, retry: .same),
        Case(status: 400, reason: "aReasonOfTomorrow", code: .invalid),
    ])
    func readsTheReason(_ item: Case) {
        let body =
            #"{"error": {"code": 1, "message": "outer", "errors": [{"reason": "\#(item.reason)", "message": "\#(item.message)"}]}}"#

        let inProject = error(item.status, body)
        let inDataset = error(item.status, body, .dataset)

        #expect(inProject.code == item.code)
        #expect(inProject.retry == item.retry)
        #expect(inProject.endsRun == item.endsProject)
        #expect(inDataset.endsRun == item.endsDataset)
        #expect(inProject.message == item.message)
    }

    @Test(arguments: [
        "", "null", "[]", "<html><h1>nginx</h1></html>", #"{"error": "invalid_grant"}"#, #"{"error": null}"#,
        #"{"error": {"errors": [7]}}"#, #"{"error": {"errors": "x"}}"#, "\u{FEFF}{",
    ])
    func readsTheStatusWhereTheBodySaysNothing(_ body: String) {
        let codes: [(Int, WarehouseError.Code, WarehouseError.Retry)] = [
            (400, .invalid, .never), (401, .unauthenticated, .never), (403, .accessDenied, .never),
            (404, .notFound, .never), (405, .invalid, .never), (408, .backendError, .same),
            (409, .alreadyExists, .never), (412, .preconditionFailed, .never), (429, .rateLimited, .same),
            (500, .backendError, .same), (501, .notImplemented, .never), (502, .backendError, .same),
            (503, .backendError, .same), (504, .backendError, .same), (302, .unexpectedResult, .never),
            (599, .unexpectedResult, .never),
        ]
        for (status, code, retry) in codes {
            let error = error(status, body)
            #expect(error.code == code, "\(status)")
            #expect(error.retry == retry, "\(status)")
            #expect(error.message == "HTTP status \(status)")
        }
    }

    @Test(arguments: [
        #"{"error": {"code": 403, "message": "outer"}}"#,
        #"{"error": {"code": 403, "message": "outer", "errors": []}}"#,
        #"{"error": {"code": 403, "message": "outer", "errors": [{"domain": "global"}]}}"#,
    ])
    func takesTheOuterMessageWhereThereIsNoOther(_ body: String) {
        let error = error(403, body)

        #expect(error.code == .accessDenied)
        #expect(error.description == "could not do it: outer (accessDenied)")
    }

    @Test func waitsForQueuedStatements() {
        let error = error(
            400,
            #"{"error": {"errors": [{"reason": "resourcesExceeded", "message": "Too many DML statements outstanding"}]}}"#
        )

        #expect(error.retryAfter == .seconds(20))
    }

    @Test(
        arguments: [
            ("7", Duration.seconds(7)), ("0", .zero), ("-1", nil), ("1e3", nil), ("86400", nil),
            ("Wed, 21 Oct 2026 07:28:00 GMT", nil),
        ] as [(String, Duration?)])
    func readsRetryAfter(_ value: String, _ expected: Duration?) {
        let error = BigQueryErrors.error(
            in: HTTPResponse(status: 503, headers: ["Retry-After": value]), operation: "do it", scope: .project)

        #expect(error.retryAfter == expected)
    }

    @Test func keepsAnUnknownReasonOfAJob() {
        let problem = BigQueryErrors.ErrorProto(reason: "brandNew", message: "what now")

        let error = BigQueryErrors.error(of: problem, operation: "do it", scope: .project)

        #expect(error.code == .unexpectedResult)
        #expect(error.message == "brandNew: what now")
    }
}
