import FoundationEssentials
import HTTPTransport
import JobRuntime

extension BigQueryWarehouse {
    package func query(_ statement: Statement) async throws -> QueryResult {
        try await run(statement, scope: .project)
    }

    /// Runs the statement to its end, as a new job where the first one failed for no fault of its own.
    ///
    /// Each job has a `requestId`: a request that is sent again because its reply was lost attaches to the first one, so that
    /// nothing is executed twice. https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query
    /// - Parameter countingRows: Whether the result must say what was inserted, updated and deleted.
    func run(
        _ statement: Statement, scope: BigQueryErrors.Scope, countingRows: Bool = false
    ) async throws -> QueryResult {
        try await api.retry.run(on: api.time, decide: Self.decide) { _ in
            try await runJob(statement, scope: scope, countingRows: countingRows)
        }
    }

    private static func decide(_ error: any Error) -> RetryDecision {
        guard let error = error as? WarehouseError, error.retry == .newJob else { return .stop }
        return .retry(after: error.retryAfter)
    }

    private static func isNotFound(_ error: any Error) -> RetryDecision {
        (error as? WarehouseError)?.code == .notFound ? .retry() : .stop
    }

    private func runJob(
        _ statement: Statement, scope: BigQueryErrors.Scope, countingRows: Bool
    ) async throws -> QueryResult {
        let start = BigQueryAPI.Call(
            method: .jobsQuery, verb: .post, path: "/queries", body: try body(of: statement),
            // The server holds the request for up to `timeoutMs`; the client must not give up before it.
            timeout: Self.wait + .seconds(30), operation: statement.purpose, scope: scope)
        var page = try api.decode(QueryResponse.self, from: try await api.send(start), of: start)
        var result = QueryResult(bytesBilled: page.totalBytesBilled.flatMap { Int64($0) } ?? 0)
        result.rowCounts = page.dmlStats
        while page.jobComplete == false {
            page = try await results(of: page, token: nil, statement, scope)
        }
        try await check(page, of: start)
        result.affectedRows = page.numDmlAffectedRows.flatMap { Int64($0) }
        let reader = ResultReader(operation: statement.purpose, schema: page.schema?.fields ?? [])
        let job = page.jobReference
        if countingRows, result.rowCounts == nil, let job {
            result.rowCounts = try await status(of: job, "statistics(query(dmlStats))", for: start).statistics?.query?
                .dmlStats
        }
        while true {
            result.rows += try (page.rows ?? []).map { try reader.row($0) }
            guard let token = page.pageToken, !token.isEmpty else { return result }
            page.jobReference = page.jobReference ?? job
            page = try await results(of: page, token: token, statement, scope)
        }
    }

    /// An error can come with status 200. `errors` may hold mere warnings, so the job itself is asked.
    private func check(_ response: QueryResponse, of call: BigQueryAPI.Call) async throws {
        if let problem = response.status?.errorResult ?? response.error?.errors?.first {
            throw BigQueryErrors.error(of: problem, operation: call.operation, scope: call.scope)
        }
        guard let problem = response.errors?.first else { return }
        guard let job = response.jobReference else {
            throw BigQueryErrors.error(of: problem, operation: call.operation, scope: call.scope)
        }
        if let problem = try await status(of: job, "status", for: call).status?.errorResult {
            throw BigQueryErrors.error(of: problem, operation: call.operation, scope: call.scope)
        }
    }

    private func status(
        of job: QueryResponse.JobReference, _ fields: String, for call: BigQueryAPI.Call
    ) async throws -> JobResource {
        let get = BigQueryAPI.Call(
            method: .jobsGet, path: "/jobs/\(percentEncoded(job.jobId))",
            query: [("location", job.location ?? location), ("fields", fields)], operation: call.operation,
            scope: call.scope)
        return try api.decode(JobResource.self, from: try await api.send(get), of: get)
    }

    /// The next page of a finished job, or the first one of a job that is still running: then this waits for it.
    private func results(
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
                ("location", job.location ?? location), ("timeoutMs", String(Self.waitInMilliseconds)),
                ("formatOptions.useInt64Timestamp", "true"),
            ] + (token.map { [("pageToken", $0)] } ?? []),
            timeout: Self.wait + .seconds(30), operation: statement.purpose, scope: scope)
        // A job that was just started is sometimes not found at once: https://github.com/googleapis/python-bigquery/issues/2134
        let reply = try await RetryPolicy(attempts: 5).run(on: api.time, decide: Self.isNotFound) { _ in
            try await api.send(call)
        }
        var next = try api.decode(QueryResponse.self, from: reply, of: call)
        next.jobReference = next.jobReference ?? job
        return next
    }

    private static let wait = Duration.seconds(60)
    private static let waitInMilliseconds: Int64 = 60_000

    private func body(of statement: Statement) throws -> Data {
        var body: [String: JSONValue] = [
            "query": .string(statement.sql), "useLegacySql": .bool(false), "location": .string(location),
            "timeoutMs": .integer(Self.waitInMilliseconds), "requestId": .string(UUID().uuidString.lowercased()),
            "formatOptions": .object(["useInt64Timestamp": .bool(true)]),
        ]
        if !statement.parameters.isEmpty {
            body["parameterMode"] = .string("NAMED")
            body["queryParameters"] = .array(statement.parameters.map { QueryParameter.json($0) })
        }
        if !labels.isEmpty { body["labels"] = .object(labels.mapValues { .string($0) }) }
        if let maximumBytesBilled { body["maximumBytesBilled"] = .string(String(maximumBytesBilled)) }
        return try JSONEncoder().encode(JSONValue.object(body))
    }
}
