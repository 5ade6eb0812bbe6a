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
        // The rows of a second job would come on top of the ones that were handed over.
        var hasHandedOver = false
        return try await api.retry.run(
            on: api.time, decide: { hasHandedOver ? .stop : Self.decide($0) }, noting: api.logger.tryingAgain
        ) { _ in
            try await runJob(statement, scope: .project, countingRows: false) { page in
                hasHandedOver = true
                try handle(page)
            }
        }
    }

    /// Runs the statement to its end, as a new job where the first one failed for no fault of its own.
    ///
    /// Each job has a `requestId`: a request that is sent again because its reply was lost attaches to the first one, so that
    /// nothing is executed twice. https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query
    /// - Parameter countingRows: Whether the result must say what was inserted, updated and deleted.
    func run(
        _ statement: Statement, scope: BigQueryErrors.Scope, countingRows: Bool = false
    ) async throws -> QueryResult {
        try await api.retry.run(on: api.time, decide: Self.decide, noting: api.logger.tryingAgain) { _ in
            var rows: [Row] = []
            var result = try await runJob(statement, scope: scope, countingRows: countingRows) { rows += $0 }
            result.rows = rows
            return result
        }
    }

    private static func decide(_ error: any Error) -> RetryDecision {
        guard let error = error as? WarehouseError, error.retry == .newJob else { return .stop }
        return .retry(after: error.retryAfter)
    }

    private func runJob(
        _ statement: Statement, scope: BigQueryErrors.Scope, countingRows: Bool,
        eachPage handle: (_ rows: [Row]) throws -> Void
    ) async throws -> QueryResult {
        let start = BigQueryAPI.Call(
            method: .jobsQuery, verb: .post, path: "/queries", body: try body(of: statement),
            // The server holds the request for up to `timeoutMs`; the client must not give up before it.
            timeout: Self.wait + .seconds(30), operation: statement.purpose, scope: scope)
        let reply = try await api.send(start)
        do {
            return try await result(in: reply, of: start, statement, countingRows: countingRows, eachPage: handle)
        } catch var error as WarehouseError where Self.leavesJobOpen(error) {
            error.mayHaveBeenDone = true
            throw error
        }
    }

    private func result(
        in reply: Data, of start: BigQueryAPI.Call, _ statement: Statement, countingRows: Bool,
        eachPage handle: (_ rows: [Row]) throws -> Void
    ) async throws -> QueryResult {
        let scope = start.scope
        var page = try api.decode(QueryResponse.self, from: reply, of: start)
        var result = QueryResult(bytesBilled: page.totalBytesBilled.flatMap { Int64($0) } ?? 0)
        result.rowCounts = page.dmlStats
        let tookLong = page.jobComplete == false
        if tookLong { page = try await finished(page, statement, scope) }
        try await check(page, of: start)
        result.affectedRows = page.numDmlAffectedRows.flatMap { Int64($0) }
        let reader = ResultReader(operation: statement.purpose, schema: page.schema?.fields ?? [])
        let job = page.jobReference
        // jobs.getQueryResults says neither what was billed nor what was inserted and updated.
        if let job, tookLong || (countingRows && result.affectedRows != 0 && result.rowCounts == nil) {
            let query = try await status(of: job, "statistics(query(dmlStats,totalBytesBilled))", for: start)
                .statistics?
                .query
            result.rowCounts = query?.dmlStats ?? result.rowCounts
            if tookLong { result.bytesBilled = query?.totalBytesBilled.flatMap { Int64($0) } ?? 0 }
        }
        while true {
            try handle(try (page.rows ?? []).map { try reader.row($0) })
            guard let token = page.pageToken, !token.isEmpty else { return result }
            page.jobReference = page.jobReference ?? job
            page = try await results(of: page, token: token, statement, scope)
        }
    }

    /// How long the server may hold a request until the job is done.
    static let wait = Duration.seconds(60)
    /// The same for the first request. Only its reply tells the id by which a job can be cancelled.
    private static let firstWait = Duration.seconds(10)
    /// A statement at the very end of a run, such as the row of the history, has so much time all the same.
    private static let leastJobTimeout = Duration.seconds(10)

    private func body(of statement: Statement) throws -> Data {
        var body: [String: JSONValue] = [
            "query": .string(statement.sql), "useLegacySql": .bool(false), "location": .string(location),
            "timeoutMs": .integer(Int64(Self.firstWait.wholeMilliseconds)),
            "requestId": .string(UUID().uuidString.lowercased()),
            "formatOptions": .object(["useInt64Timestamp": .bool(true)]),
        ]
        if !statement.parameters.isEmpty {
            body["parameterMode"] = .string("NAMED")
            body["queryParameters"] = .array(statement.parameters.map { QueryParameter.json($0) })
        }
        if !labels.isEmpty { body["labels"] = .object(labels.mapValues { .string($0) }) }
        if let rows = statement.rowsPerPage { body["maxResults"] = .integer(Int64(rows)) }
        if let maximumBytesBilled { body["maximumBytesBilled"] = .string(String(maximumBytesBilled)) }
        if let jobsEnd {
            let timeout = max(Self.leastJobTimeout, jobsEnd - api.time.elapsed())
            body["jobTimeoutMs"] = .string(String(timeout.wholeMilliseconds))
        }
        return try JSONEncoder().encode(JSONValue.object(body))
    }
}

/// Following a job from the first reply to its end.
extension BigQueryWarehouse {
    /// The first page of a job that is still running, when it has ended. Where that is not waited for, the job is told to stop.
    func finished(
        _ page: QueryResponse, _ statement: Statement, _ scope: BigQueryErrors.Scope
    ) async throws -> QueryResponse {
        var page = page
        do {
            while page.jobComplete == false {
                page = try await results(of: page, token: nil, statement, scope)
            }
            return page
        } catch {
            if Self.leavesJobOpen(error), let job = page.jobReference { await cancel(job, statement) }
            throw error
        }
    }

    /// Whether what became of the job is not known, as opposed to the error that it ended with.
    static func leavesJobOpen(_ error: any Error) -> Bool {
        guard let error = error as? WarehouseError else { return true }
        return error.retry == .same || error.isOfMissingJob
            || [.transport, .unauthenticated, .unexpectedResult].contains(error.code)
    }

    /// At most so long, as a run that was told to stop has seven seconds for everything.
    private static let patience = Duration.seconds(2)

    /// What this cannot do, `jobTimeoutMs` does: it fails nothing.
    private func cancel(_ job: QueryResponse.JobReference, _ statement: Statement) async {
        let call = BigQueryAPI.Call(
            method: .jobsCancel, verb: .post, path: "/jobs/\(percentEncoded(job.jobId))/cancel",
            query: [("location", job.location ?? location)], body: Data("{}".utf8), timeout: Self.patience,
            operation: "cancel the job that was to \(statement.purpose)", scope: .dataset)
        // A task of its own, since that of a stopped run is cancelled.
        let cancelling = Task { _ = try await api.send(call, attempts: 1) }
        let timer = Task {
            try await Task.sleep(for: Self.patience)
            cancelling.cancel()
        }
        defer { timer.cancel() }
        if case .failure(let error) = await cancelling.result { api.logger.info("a job may go on: \(error)") }
    }

    /// A job that was just started is sometimes not found at once.
    private func onceFound<Value>(_ read: () async throws -> Value) async throws -> Value {
        try await RetryPolicy(attempts: 5).run(
            on: api.time, decide: { ($0 as? WarehouseError)?.isOfMissingJob == true ? .retry() : .stop }
        ) { _ in try await read() }
    }

    /// An error can come with status 200. `errors` may hold mere warnings, so the job itself is asked.
    func check(_ response: QueryResponse, of call: BigQueryAPI.Call) async throws {
        if let problem = response.status?.errorResult ?? response.error?.errors?.first {
            throw BigQueryErrors.error(of: problem, operation: call.operation, scope: call.scope)
        }
        guard let problem = response.errors?.first else { return }
        guard let job = response.jobReference else {
            throw BigQueryErrors.error(of: problem, operation: call.operation, scope: call.scope)
        }
        try await failIfFailed(job, call)
    }

    /// Throws what the job ended with, if it failed.
    private func failIfFailed(_ job: QueryResponse.JobReference, _ call: BigQueryAPI.Call) async throws {
        if let problem = try await status(of: job, "status", for: call).status?.errorResult {
            throw BigQueryErrors.error(of: problem, operation: call.operation, scope: call.scope)
        }
    }

    func status(
        of job: QueryResponse.JobReference, _ fields: String, for call: BigQueryAPI.Call
    ) async throws -> JobResource {
        let get = BigQueryAPI.Call(
            method: .jobsGet, path: "/jobs/\(percentEncoded(job.jobId))",
            query: [("location", job.location ?? location), ("fields", fields)], operation: call.operation,
            scope: call.scope)
        let reply = try await onceFound { try await api.send(get) }
        return try api.decode(JobResource.self, from: reply, of: get)
    }

    /// The next page of a finished job, or the first one of a job that is still running: then this waits for it.
    func results(
        of page: QueryResponse, token: String?, _ statement: Statement, _ scope: BigQueryErrors.Scope
    ) async throws -> QueryResponse {
        guard let job = page.jobReference else {
            throw WarehouseError(
                .unexpectedResult, operation: statement.purpose,
                message: "the reply names no job to read the results of")
        }
        let call = BigQueryAPI.Call(
            method: .jobsGetQueryResults, path: "/queries/\(percentEncoded(job.jobId))",
            query: [
                ("location", job.location ?? location), ("timeoutMs", String(Self.wait.wholeMilliseconds)),
                ("formatOptions.useInt64Timestamp", "true"),
            ] + (token.map { [("pageToken", $0)] } ?? [])
                + (statement.rowsPerPage.map { [("maxResults", String($0))] } ?? []),
            timeout: Self.wait + .seconds(30), operation: statement.purpose, scope: scope)
        let reply = try await reply(to: call, of: job)
        var next = try api.decode(QueryResponse.self, from: reply, of: call)
        next.jobReference = next.jobReference ?? job
        return next
    }

    private func reply(to call: BigQueryAPI.Call, of job: QueryResponse.JobReference) async throws -> Data {
        do {
            return try await onceFound { try await api.send(call, attempts: 3) }
        } catch let error as WarehouseError where error.retry == .same {
            // A job that failed answers every such request with its own error, which may read like one of the request.
            try await failIfFailed(job, call)
            return try await api.send(call)
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
    /// Where an error came with status 200.
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

/// `{"f": [{"v": ...}, ...]}`
struct ResultRow: Decodable, Sendable {
    struct Cell: Decodable, Sendable {
        var v: ResultValue
    }

    var f: [Cell]
}

/// The value of a cell: a text for scalars, cells for a REPEATED field, a row for a RECORD.
enum ResultValue: Decodable, Sendable {
    case null
    case scalar(String)
    case repeated([ResultRow.Cell])
    case record(ResultRow)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let text = try? container.decode(String.self) {
            self = .scalar(text)
        } else if let cells = try? container.decode([ResultRow.Cell].self) {
            self = .repeated(cells)
        } else {
            self = .record(try container.decode(ResultRow.self))
        }
    }
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
