import Foundation
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
            in: HTTPResponse(status: status, body: .init(body.utf8)), to: call(scope), before: .notDone)
    }

    private func call(_ scope: BigQueryErrors.Scope = .project) -> BigQueryAPI.Call {
        BigQueryAPI.Call(method: .tablesGet, path: "/datasets/d/tables/t", operation: "do it", scope: scope)
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
        Case(status: 400, reason: "tableUnavailable", code: .jobFailedTransiently, retry: .newJob),
        Case(
            status: 403, reason: "quotaExceeded",
            message:
                "Quota exceeded: Your table exceeded quota for total number of DML jobs writing to a table, pending + running.",
            code: .tooManyQueuedStatements, retry: .newJob),
        Case(
            status: 403, reason: "quotaExceeded",
            message:
                "Quota exceeded: Your project and region exceeded quota for max number of jobs that can be queued per project.",
            code: .tooManyQueuedStatements, retry: .newJob),
        Case(
            status: 400, reason: "bytesBilledLimitExceeded", code: .bytesLimitExceeded, endsProject: true,
            endsDataset: true),
        Case(
            status: 400, reason: "invalid",
            message: "Query exceeded limit for bytes billed: 10485760. 31457280 or higher required.",
            code: .bytesLimitExceeded, endsProject: true, endsDataset: true),
        Case(
            status: 400, reason: "invalidQuery",
            message: "Query error: Access Denied: Dataset p:d: Permission bigquery.tables.create denied at [7:1]",
            code: .accessDenied, endsProject: true),
        Case(status: 400, reason: "attributeError", code: .invalid),
        Case(status: 400, reason: "billingTierLimitExceeded", code: .resourcesExceeded),
        Case(status: 403, reason: "blocked", code: .accessDenied, endsProject: true, endsDataset: true),
        Case(status: 400, reason: "invalidUser", code: .unauthenticated, endsProject: true, endsDataset: true),
        Case(
            status: 407, reason: "proxyAuthenticationRequired", code: .transport, endsProject: true, endsDataset: true),
        Case(status: 200, reason: "stopped", code: .stopped),
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
        (
            "Access Denied: Table p:d.t: User does not have permission to query table p:d.t, or perhaps it does not exist.",
            " - the account lacks bigquery.tables.getData there: scripts/create-all-jobs.sh gives the job's account the access that "
                + "deploy/access.json lists"
        ),
        (
            "Access Denied: Dataset p:d: Permission bigquery.tables.create denied on dataset p:d (or it may not exist).",
            " - scripts/create-all-jobs.sh gives the job's account the access that deploy/access.json lists"
        ),
        ("Access Denied: Taxonomy p/t: User does not have permission to get taxonomy", ""),
    ])
    func aRefusalSaysHowTheAccountGetsItsAccess(_ message: String, _ advice: String) {
        let body =
            #"{"error": {"code": 403, "message": "outer", "errors": [{"reason": "accessDenied", "message": "\#(message)"}]}}"#

        #expect(error(403, body).reason == "\(message) (accessDenied)\(advice)")
    }

    @Test(arguments: [
        "", "null", "[]", "<html><h1>nginx</h1></html>", #"{"error": "invalid_grant"}"#, #"{"error": null}"#,
        #"{"error": {"errors": [7]}}"#, #"{"error": {"errors": "x"}}"#, "\u{FEFF}{",
    ])
    func readsTheStatusWhereTheBodySaysNothing(_ body: String) {
        let codes: [(Int, WarehouseError.Code, WarehouseError.Retry)] = [
            (400, .invalid, .never), (401, .unauthenticated, .never), (403, .accessDenied, .never),
            (404, .notFound, .never), (405, .invalid, .never), (407, .transport, .never), (408, .backendError, .same),
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

    @Test(arguments: [
        (
            "Query exceeded limit for bytes billed: 10485760. 31457280 or higher required.",
            "set MAX_BYTES_BILLED to 31457280 or more"
        ),
        ("Query exceeded limit for bytes billed", "set MAX_BYTES_BILLED to a higher value"),
    ])
    func namesTheSettingThatLimitsTheBytes(_ message: String, _ advice: String) {
        let problem = BigQueryErrors.ErrorProto(reason: "bytesBilledLimitExceeded", message: message)
        let ofRequest = error(
            400, #"{"error": {"errors": [{"reason": "bytesBilledLimitExceeded", "message": "\#(message)"}]}}"#)
        let ofJob = BigQueryErrors.error(of: problem, operation: "do it", scope: .project)

        for error in [ofRequest, ofJob] {
            #expect(error.description == "could not do it: \(message) (bytesLimitExceeded) - \(advice)")
            #expect(error.retry == .never)
        }
    }

    @Test func aJobThatExistsMayBeRunning() {
        let call = BigQueryAPI.Call(
            method: .jobsQuery, verb: .post, path: "/queries", operation: "do it", scope: .project)
        let body = #"{"error": {"errors": [{"reason": "duplicate", "message": "Already exists: job p:US.job_1"}]}}"#
        let error = BigQueryErrors.error(
            in: HTTPResponse(status: 409, body: .init(body.utf8)), to: call, before: .notDone)

        #expect(error.detail == .existingJob)
        #expect(error.retry == .same)
        #expect(error.certainty == .unknown)
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
            ("7", Duration.seconds(7)), ("0", .zero), ("-1", nil), ("1e3", nil), ("86400", .seconds(86_400)),
            ("Wed, 21 Oct 2026 07:28:00 GMT", .seconds(80)),
        ] as [(String, Duration?)])
    func readsRetryAfter(_ value: String, _ expected: Duration?) {
        let error = BigQueryErrors.error(
            in: HTTPResponse(status: 503, headers: ["Retry-After": value]), to: call(), before: .notDone,
            now: Date(timeIntervalSince1970: 1_792_567_600))

        #expect(error.retryAfter == expected)
    }

    @Test(arguments: BigQueryErrors.Wording.allCases)
    func findsItsTextsInAnyCase(_ wording: BigQueryErrors.Wording) {
        let text = wording.rawValue.hasPrefix("^") ? String(wording.rawValue.dropFirst()) : "Error: \(wording.rawValue)"

        #expect(wording.isIn(text.uppercased() + " and more"))
        #expect(wording.isIn(text.lowercased()))
        #expect(!wording.isIn(String(text.dropLast())))
        #expect(wording.isIn("Hint: \(text)") != wording.rawValue.hasPrefix("^"))
    }

    @Test(arguments: [
        (404, "notFound", "Not found: Job p:US.job_1", WarehouseError.Detail.missingJob),
        (404, "notFound", "Not found: Table p:d.t was not found", nil),
        (
            400, "invalidQuery", "UPDATE statement over table d.t would affect rows in the Streaming Buffer",
            .streamedRows
        ),
        (404, "notFound", "rows in the streaming buffer", nil),
    ])
    func readsTheDetail(_ status: Int, _ reason: String, _ message: String, _ detail: WarehouseError.Detail?) {
        let body = #"{"error": {"errors": [{"reason": "\#(reason)", "message": "\#(message)"}]}}"#

        #expect(error(status, body).detail == detail)
    }

    /// What an answer proves depends on the request, and on what was known before it.
    @Test(arguments: [
        // A request that changes something, first without and then with an earlier attempt that may have done it.
        (HTTPRequest.Method.post, Certainty.notDone, Certainty.notDone, 403, "rateLimitExceeded", Certainty.notDone),
        (.post, .notDone, .notDone, 401, "authError", .notDone),
        (.post, .notDone, .notDone, 409, "duplicate", .notDone),
        (.post, .notDone, .notDone, 503, "backendError", .unknown), (.post, .notDone, .notDone, 302, "", .unknown),
        (.post, .notDone, .unknown, 403, "rateLimitExceeded", .unknown),
        (.post, .notDone, .unknown, 409, "duplicate", .unknown), (.patch, .notDone, .unknown, 412, "", .unknown),
        // A read changes nothing.
        (.get, .notDone, .notDone, 503, "backendError", .notDone),
        // A question about a running job: only the job's own error proves that it did nothing.
        (.get, .unknown, .unknown, 503, "backendError", .unknown),
        (.get, .unknown, .unknown, 403, "rateLimitExceeded", .unknown),
        (.get, .unknown, .unknown, 401, "authError", .unknown), (.get, .unknown, .unknown, 404, "Job", .unknown),
        (.get, .unknown, .unknown, 404, "notFound", .notDone),
        (.get, .unknown, .unknown, 400, "invalidQuery", .notDone),
        (.get, .unknown, .unknown, 400, "jobBackendError", .notDone),
        // A question about a job that succeeded.
        (.get, .done, .done, 404, "notFound", .done), (.get, .done, .done, 503, "backendError", .done),
    ])
    func saysWhetherTheWorkWasDone(
        _ verb: HTTPRequest.Method, _ known: Certainty, _ before: Certainty, _ status: Int, _ reason: String,
        _ certainty: Certainty
    ) {
        let (code, message) = reason == "Job" ? ("notFound", "Not found: Job p:j") : (reason, "as scripted")
        let body = #"{"error": {"errors": [{"reason": "\#(code)", "message": "\#(message)"}]}}"#
        var call = call(.dataset)
        (call.verb, call.known) = (verb, known)

        let error = BigQueryErrors.error(
            in: HTTPResponse(status: status, body: .init(body.utf8)), to: call, before: before)

        #expect(error.certainty == certainty)
    }

    @Test func keepsAnUnknownReasonOfAJob() {
        let problem = BigQueryErrors.ErrorProto(reason: "brandNew", message: "what now")

        let error = BigQueryErrors.error(of: problem, operation: "do it", scope: .project)

        #expect(error.code == .unexpectedResult)
        #expect(error.message == "brandNew: what now")
    }
}
