import FoundationEssentials
import HTTPTransport
import JobRuntime
import Logging
package import Warehouse

extension BigQueryWarehouse {
    package func query(_ statement: Statement) async throws -> QueryResult {
        try await run(statement, scope: .project)
    }

    package func query(
        _ statement: Statement, eachPage handle: (_ rows: [Row]) throws -> Void
    ) async throws -> QueryResult {
        let job = QueryJob(warehouse: self, statement: statement, scope: .project, countsRows: false)
        return try await job.run(eachPage: handle)
    }

    /// - Parameter countingRows: Whether the result must say what was inserted, updated and deleted.
    func run(
        _ statement: Statement, scope: BigQueryErrors.Scope, countingRows: Bool = false
    ) async throws -> QueryResult {
        let job = QueryJob(warehouse: self, statement: statement, scope: scope, countsRows: countingRows)
        var rows: [Row] = []
        var result = try await job.run { rows += $0 }
        result.rows = rows
        return result
    }
}

/// A statement on its way through BigQuery, from the first request to the last row.
///
/// Each job has a `requestId`: a request that is repeated because its reply was lost attaches to the first one, so that
/// nothing is executed twice. Only the job's own error proves that it did nothing. Then a new job may follow, with an id of
/// its own. https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query
struct QueryJob {
    private enum State {
        /// The request for a new job goes out, and again until there is a reply.
        case started(BigQueryAPI.Call, Certainty)
        case running(QueryResponse.JobReference)
        /// The job ended without an error, perhaps after we had waited for it. This is its first page.
        case done(QueryResponse, hasWaited: Bool)
        /// The job did nothing.
        case failed(WarehouseError)
        /// Nobody knows what becomes of the job.
        case lost(QueryResponse.JobReference, any Error)
    }

    let warehouse: BigQueryWarehouse
    let statement: Statement
    let scope: BigQueryErrors.Scope
    let countsRows: Bool

    private var api: BigQueryAPI { warehouse.api }

    /// - Parameter handle: Gets each page of rows once, as no new job follows a job that is done.
    /// - Returns: The result without its rows.
    func run(eachPage handle: (_ rows: [Row]) throws -> Void) async throws -> QueryResult {
        var jobs = Attempts(api.retry, on: api.time)
        var requests = Attempts(api.retry, on: api.time)
        var state = State.started(try start(), .notDone)
        while true {
            switch state {
            case .started(let call, let known): state = try await started(call, known, &requests)
            case .running(let job): state = await running(job)
            case .done(let page, let hasWaited): return try await result(page, hasWaited, eachPage: handle)
            case .failed(let error):
                let decision = error.retry == .newJob ? RetryDecision.retry(after: error.retryAfter) : .stop
                try await jobs.pause(after: error, decision, noting: api.logger.tryingAgain)
                requests.restart()
                state = .started(try start(), .notDone)
            case .lost(let job, let error):
                await cancel(job)
                throw error
            }
        }
    }

    /// How long the server may hold a request until the job is done.
    private static let wait = Duration.seconds(60)
    /// The same for the first request. Only its reply has the id by which a job can be cancelled.
    private static let firstWait = Duration.seconds(10)
    /// The least time for a job, such as the row of the run history at the very end of a run.
    private static let leastJobTimeout = Duration.seconds(10)

    private func start() throws -> BigQueryAPI.Call {
        var body: [String: JSONValue] = [
            "query": .string(statement.sql), "useLegacySql": .bool(false), "location": .string(warehouse.location),
            "timeoutMs": .integer(Int64(Self.firstWait.wholeMilliseconds)),
            "requestId": .string(UUID().uuidString.lowercased()),
            "formatOptions": .object(["useInt64Timestamp": .bool(true)]),
        ]
        if !statement.parameters.isEmpty {
            body["parameterMode"] = .string("NAMED")
            body["queryParameters"] = .array(statement.parameters.map { QueryParameter.json($0) })
        }
        if !warehouse.labels.isEmpty { body["labels"] = .object(warehouse.labels.mapValues { .string($0) }) }
        if let rows = statement.rowsPerPage { body["maxResults"] = .integer(Int64(rows)) }
        if let bytes = warehouse.maximumBytesBilled { body["maximumBytesBilled"] = .string(String(bytes)) }
        if let jobsEnd = warehouse.jobsEnd {
            let timeout = max(Self.leastJobTimeout, jobsEnd - api.time.elapsed())
            body["jobTimeoutMs"] = .string(String(timeout.wholeMilliseconds))
        }
        return BigQueryAPI.Call(
            method: .jobsQuery, verb: .post, path: "/queries", body: try JSONEncoder().encode(JSONValue.object(body)),
            // The server holds the request for up to `timeoutMs`; the client must not give up before it.
            timeout: Self.wait + .seconds(30), operation: statement.purpose, scope: scope)
    }

    private func started(
        _ call: BigQueryAPI.Call, _ known: Certainty, _ requests: inout Attempts
    ) async throws -> State {
        let page: QueryResponse
        do {
            page = try api.decode(QueryResponse.self, from: await api.attempt(call, known: known), of: call)
        } catch let error as WarehouseError where error.retry == .newJob {
            return .failed(error)
        } catch {
            try await api.pause(&requests, after: error)
            return .started(call, (error as? WarehouseError)?.certainty ?? known)
        }
        requests.restart()
        return try await afterReply(page, page.jobReference, hasWaited: false)
    }

    private func running(_ job: QueryResponse.JobReference) async -> State {
        do {
            let page = try await results(of: job, token: nil, known: .unknown)
            return try await afterReply(page, job, hasWaited: true)
        } catch let error as WarehouseError where error.certainty == .notDone {
            return .failed(error)
        } catch {
            return .lost(job, error)
        }
    }

    /// An error can come with status 200. `errors` may hold mere warnings, so the job itself is asked.
    private func afterReply(
        _ page: QueryResponse, _ job: QueryResponse.JobReference?, hasWaited: Bool
    ) async throws -> State {
        if let problem = page.status?.errorResult ?? page.error?.errors?.first { return .failed(error(of: problem)) }
        if page.jobComplete == false {
            guard let job else { throw unexpected("the reply names no job to wait for", .unknown) }
            return .running(job)
        }
        if let problem = page.errors?.first {
            guard let job else { return .failed(error(of: problem)) }
            let question = resource(job, "status", known: .unknown)
            if let failure = try failure(in: await api.send(question), to: question) { return .failed(failure) }
        }
        var page = page
        page.jobReference = job
        return .done(page, hasWaited: hasWaited)
    }

    /// The error that the job ended with, if it failed.
    private func failure(in reply: Data, to call: BigQueryAPI.Call) throws -> WarehouseError? {
        try api.decode(JobResource.self, from: reply, of: call).status?.errorResult.map { error(of: $0) }
    }

    private func error(of problem: BigQueryErrors.ErrorProto) -> WarehouseError {
        BigQueryErrors.error(of: problem, operation: statement.purpose, scope: scope)
    }

    private func unexpected(_ message: String, _ certainty: Certainty) -> WarehouseError {
        WarehouseError(.unexpectedResult, operation: statement.purpose, message: message, certainty: certainty)
    }

    /// Reads all pages, and what `jobs.getQueryResults` leaves out: the bytes billed and the rows inserted and updated.
    private func result(
        _ first: QueryResponse, _ hasWaited: Bool, eachPage handle: (_ rows: [Row]) throws -> Void
    ) async throws -> QueryResult {
        var page = first
        var result = QueryResult(bytesBilled: page.totalBytesBilled.flatMap { Int64($0) } ?? 0)
        result.rowCounts = page.dmlStats
        result.affectedRows = page.numDmlAffectedRows.flatMap { Int64($0) }
        let job = page.jobReference
        if let job, hasWaited || (countsRows && result.affectedRows != 0 && result.rowCounts == nil) {
            let call = resource(job, "statistics(query(dmlStats,totalBytesBilled))", known: .done)
            let query = try api.decode(JobResource.self, from: await api.send(call), of: call).statistics?.query
            result.rowCounts = query?.dmlStats ?? result.rowCounts
            if hasWaited { result.bytesBilled = query?.totalBytesBilled.flatMap { Int64($0) } ?? 0 }
        }
        let reader = ResultReader(operation: statement.purpose, schema: page.schema?.fields ?? [])
        while true {
            try handle(try (page.rows ?? []).map { try reader.row($0) })
            guard let token = page.pageToken, !token.isEmpty else { return result }
            guard let job else { throw unexpected("the reply names no job to read the next page of", .done) }
            page = try await results(of: job, token: token, known: .done)
        }
    }

    /// The first page of a job, for which the server waits until the job has ended, or a later one.
    ///
    /// A failed job answers every such request with its own error, which may read like an error of the request. So every
    /// third failure in a row leads to a question about the job itself.
    private func results(
        of job: QueryResponse.JobReference, token: String?, known: Certainty
    ) async throws -> QueryResponse {
        var query = [
            (name: "location", value: job.location ?? warehouse.location),
            (name: "timeoutMs", value: String(Self.wait.wholeMilliseconds)),
            (name: "formatOptions.useInt64Timestamp", value: "true"),
        ]
        if let token { query.append((name: "pageToken", value: token)) }
        if let rows = statement.rowsPerPage { query.append((name: "maxResults", value: String(rows))) }
        let call = BigQueryAPI.Call(
            method: .jobsGetQueryResults, path: "/queries/\(percentEncoded(job.jobId))", query: query,
            timeout: Self.wait + .seconds(30), operation: statement.purpose, scope: scope, known: known)
        let question = resource(job, "status", known: known)
        var requests = Attempts(api.retry, on: api.time)
        while true {
            do {
                return try api.decode(QueryResponse.self, from: await api.attempt(call, known: known), of: call)
            } catch let error as WarehouseError where error.retry == .same {
                if requests.failed % 3 == 2, error.detail != .missingJob,
                    let reply = try? await api.attempt(question, known: known),
                    let failure = try failure(in: reply, to: question)
                {
                    throw failure
                }
                try await api.pause(&requests, after: error)
            }
        }
    }

    private func resource(
        _ job: QueryResponse.JobReference, _ fields: String, known: Certainty
    ) -> BigQueryAPI.Call {
        BigQueryAPI.Call(
            method: .jobsGet, path: "/jobs/\(percentEncoded(job.jobId))",
            query: [("location", job.location ?? warehouse.location), ("fields", fields)],
            operation: statement.purpose, scope: scope, known: known)
    }

    /// Asks BigQuery to stop the job, and fails nothing: `jobTimeoutMs` ends a job that this does not.
    private func cancel(_ job: QueryResponse.JobReference) async {
        let limit = StopBudget.limit(of: .cancelStatements)
        let call = BigQueryAPI.Call(
            method: .jobsCancel, verb: .post, path: "/jobs/\(percentEncoded(job.jobId))/cancel",
            query: [("location", job.location ?? warehouse.location)], body: Data("{}".utf8), timeout: limit,
            operation: "cancel the job that was to \(statement.purpose)", scope: .dataset)
        let api = api
        do {
            try await shielded { try await withTimeout(limit) { _ = try await api.attempt(call, known: .notDone) } }
        } catch {
            api.logger.info("a job may go on: \(error)")
        }
    }
}

/// The reply of `jobs.query` and of `jobs.getQueryResults`; rows, schema and counts are absent until the job is complete.
struct QueryResponse: Decodable, Sendable {
    struct JobReference: Decodable, Sendable {
        var jobId: String
        var location: String?
    }

    var jobComplete: Bool?
    var jobReference: JobReference?
    var schema: Table.Schema?
    var rows: [ResultRow]?
    var pageToken: String?
    var numDmlAffectedRows: String?
    /// Only `jobs.query` and `jobs.get` have it.
    var dmlStats: RowCounts?
    var totalBytesBilled: String?
    /// Warnings too: only `jobs.get` tells whether the job failed.
    var errors: [BigQueryErrors.ErrorProto]?
    /// An error that came with status 200.
    var error: BigQueryErrors.Body?
    var status: JobStatus?
}

/// `Job.status`: the job failed if it has an `errorResult`.
struct JobStatus: Decodable, Sendable {
    var errorResult: BigQueryErrors.ErrorProto?
}

struct JobResource: Decodable, Sendable {
    struct Statistics: Decodable, Sendable {
        struct Query: Decodable, Sendable {
            var dmlStats: RowCounts?
            var totalBytesBilled: String?
        }

        var query: Query?
    }

    var status: JobStatus?
    var statistics: Statistics?
}

/// Query parameters in the form of the REST API: `{"name", "parameterType", "parameterValue"}`. Every scalar is a text, and
/// NULL is a value without one. https://cloud.google.com/bigquery/docs/reference/rest/v2/QueryParameter
enum QueryParameter {
    static func json(_ parameter: SQLValue.Field) -> JSONValue {
        .object([
            "name": .string(parameter.name), "parameterType": json(parameter.value.type),
            "parameterValue": json(parameter.value),
        ])
    }

    private static func json(_ type: SQLType) -> JSONValue {
        switch type {
        case .array(let element): return .object(["type": .string("ARRAY"), "arrayType": json(element)])
        case .structure(let fields):
            let types = fields.map { JSONValue.object(["name": .string($0.name), "type": json($0.type)]) }
            return .object(["type": .string("STRUCT"), "structTypes": .array(types)])
        default: return .object(["type": .string(type.text)])
        }
    }

    private static func json(_ value: SQLValue) -> JSONValue {
        switch value {
        case .null: .object([:])
        case .string(let text), .numeric(let text), .json(let text): .object(["value": .string(text)])
        case .bytes(let data): .object(["value": .string(data.base64EncodedString())])
        case .int64(let number): .object(["value": .string(String(number))])
        case .float64(let number): .object(["value": .string(text(number))])
        case .bool(let flag): .object(["value": .string(flag ? "true" : "false")])
        case .timestamp(let instant): .object(["value": .string(instant.sqlText)])
        case .date(let date): .object(["value": .string(date.description)])
        case .array(_, let elements): .object(["arrayValues": .array(elements.map { json($0) })])
        case .structure(let fields):
            .object([
                "structValues": .object(
                    Dictionary(fields.map { ($0.name, json($0.value)) }, uniquingKeysWith: { _, last in last }))
            ])
        }
    }

    private static func text(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return String(number)
    }
}
