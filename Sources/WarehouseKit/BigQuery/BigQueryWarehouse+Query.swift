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
        try await api.retry.run(on: api.time, decide: Self.decide, noting: api.logger.tryingAgain) { _ in
            try await runJob(statement, scope: scope, countingRows: countingRows)
        }
    }

    private static func decide(_ error: any Error) -> RetryDecision {
        guard let error = error as? WarehouseError, error.retry == .newJob else { return .stop }
        return .retry(after: error.retryAfter)
    }

    private func runJob(
        _ statement: Statement, scope: BigQueryErrors.Scope, countingRows: Bool
    ) async throws -> QueryResult {
        let start = BigQueryAPI.Call(
            method: .jobsQuery, verb: .post, path: "/queries", body: try body(of: statement),
            // The server holds the request for up to `timeoutMs`; the client must not give up before it.
            timeout: Self.wait + .seconds(30), operation: statement.purpose, scope: scope)
        let reply = try await api.send(start)
        do {
            return try await result(in: reply, of: start, statement, countingRows: countingRows)
        } catch var error as WarehouseError where Self.leavesJobOpen(error) {
            error.mayHaveBeenDone = true
            throw error
        }
    }

    private func result(
        in reply: Data, of start: BigQueryAPI.Call, _ statement: Statement, countingRows: Bool
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
            result.rows += try (page.rows ?? []).map { try reader.row($0) }
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
        if let maximumBytesBilled { body["maximumBytesBilled"] = .string(String(maximumBytesBilled)) }
        if let jobsEnd {
            let timeout = max(Self.leastJobTimeout, jobsEnd - api.time.elapsed())
            body["jobTimeoutMs"] = .string(String(timeout.wholeMilliseconds))
        }
        return try JSONEncoder().encode(JSONValue.object(body))
    }
}
