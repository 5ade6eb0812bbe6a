import Foundation
import HTTPTransport
import JobRuntime
import Warehouse

@testable import BigQueryWarehouse
@testable import BillingKit

/// The refusals of BigQuery and of Stripe, whatever their status and body. The first byte of the input chooses the status, the second
/// one the request.
///
/// - No refusal says that work was done which nobody knew to be done before.
/// - A new job follows only where nothing was done.
/// - No message shows the key.
enum ErrorProperties {
    private static let statuses = [400, 401, 403, 404, 407, 408, 409, 412, 429, 500, 501, 502, 503, 504, 302, 418]
    private static let calls: [BigQueryAPI.Call] = [
        call(.jobsQuery, .post, .notDone), call(.jobsQuery, .post, .unknown), call(.jobsGetQueryResults, .get, .unknown),
        call(.jobsGet, .get, .done), call(.tablesPatch, .patch, .notDone), call(.tablesGet, .get, .notDone),
    ]
    private static let key = Secret("rk_live_51H8nEXAMPLEkey0123456789")
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private static func call(
        _ method: BigQueryMethod, _ verb: HTTPRequest.Method, _ known: Certainty
    ) -> BigQueryAPI.Call {
        BigQueryAPI.Call(method: method, verb: verb, path: "/x", operation: "do it", scope: .dataset, known: known)
    }

    static func check(_ input: Data) throws {
        let choice = Array(input.prefix(2))
        guard choice.count == 2 else { return }
        let response = HTTPResponse(
            status: statuses[Int(choice[0]) % statuses.count], body: Data(input.dropFirst(2)))
        try bigQuery(response, calls[Int(choice[1]) % calls.count])
        let error = StripeError(
            response, operation: "list subscriptions", resource: .subscriptions, key: key, now: now)
        try hold(!error.description.contains(key.value), "the key is shown")
        try hold(!error.description.contains { $0.isNewline }, "a message of several lines")
    }

    private static func bigQuery(_ response: HTTPResponse, _ call: BigQueryAPI.Call) throws {
        let error = BigQueryErrors.error(in: response, to: call, before: call.known, now: now)
        try hold(!error.description.isEmpty, "an error without a description")
        try hold(error.certainty != .done || call.known == .done, "\(error) says that the work was done")
        try hold(error.retry != .newJob || error.certainty == .notDone, "\(error) leads to a second job")
        try hold(error.retryAfter.map { $0 >= .zero } ?? true, "\(error) waits for a negative time")
        guard let problem = try? JSONDecoder().decode(BigQueryErrors.ErrorProto.self, from: response.body) else {
            return
        }
        let failure = BigQueryErrors.error(of: problem, operation: "do it", scope: .project)
        try hold(failure.certainty == .notDone, "\(failure) of a job that failed")
    }
}
