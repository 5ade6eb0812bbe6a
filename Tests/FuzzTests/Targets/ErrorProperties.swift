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
/// - A new job follows only where nothing was done. The job's own failure says that.
/// - No message shows the key.
enum ErrorProperties {
    private static let statuses = [400, 401, 403, 404, 407, 408, 409, 412, 429, 500, 501, 502, 503, 504, 302, 418]
    /// A request, and what was known of its work before the reply. An earlier attempt at the second one was lost.
    private static let calls: [(call: BigQueryAPI.Call, before: Certainty)] = [
        (call(.jobsQuery, .post, .notDone), .notDone), (call(.jobsQuery, .post, .notDone), .unknown),
        (call(.jobsGetQueryResults, .get, .unknown), .unknown), (call(.jobsGet, .get, .done), .done),
        (call(.tablesPatch, .patch, .notDone), .notDone), (call(.tablesGet, .get, .notDone), .notDone),
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
        let (call, before) = calls[Int(choice[1]) % calls.count]
        try bigQuery(response, call, before)
        let error = StripeError(
            response, operation: "list subscriptions", resource: .subscriptions, key: key, now: now)
        try hold(!error.description.contains(key.value), "the key is shown")
        try hold(!error.description.contains { $0.isNewline }, "a message of several lines")
    }

    private static func bigQuery(_ response: HTTPResponse, _ call: BigQueryAPI.Call, _ before: Certainty) throws {
        let error = BigQueryErrors.error(in: response, to: call, before: before, now: now)
        try hold(!error.description.isEmpty, "an error without a description")
        try hold(error.certainty != .done || before == .done, "\(error) says that the work was done")
        try hold(
            error.retry != .newJob || error.code != .rateLimited || error.certainty == .notDone,
            "\(error) leads to a second job beside the first")
        try hold(
            error.retry != .newJob || before != .notDone || error.certainty == .notDone,
            "\(error) leads to a second job")
        try hold(error.retryAfter.map { $0 >= .zero } ?? true, "\(error) waits for a negative time")
        guard let problem = try? JSONReader.decode(BigQueryErrors.ErrorProto.self, from: response.body) else {
            return
        }
        let failure = BigQueryErrors.error(of: problem, operation: "do it", scope: .project)
        try hold(failure.certainty == .notDone, "\(failure) of a job that failed")
    }
}
