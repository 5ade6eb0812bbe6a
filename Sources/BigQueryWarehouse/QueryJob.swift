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
        let job = QueryJob(
            warehouse: self, statement: statement, location: location, scope: .project, countsRows: false)
        return try await whileNotVisible(nil, confirms: statement.confirmsMissingDataset) {
            try await job.run(eachPage: handle)
        }
    }

    /// - Parameters:
    ///   - location: Where the statement's datasets are; `nil` for the location of the run.
    ///   - countingRows: Whether the result must say what was inserted, updated and deleted.
    func run(
        _ statement: Statement, location: String? = nil, scope: BigQueryErrors.Scope, countingRows: Bool = false
    ) async throws -> QueryResult {
        let job = QueryJob(
            warehouse: self, statement: statement, location: location ?? self.location, scope: scope,
            countsRows: countingRows)
        return try await whileNotVisible(nil, confirms: scope == .project && statement.confirmsMissingDataset) {
            var collected = CollectedRows(operation: statement.purpose)
            var result = try await job.run { try collected.append($0) }
            result.rows = collected.rows
            return result
        }
    }
}

/// A statement on its way through BigQuery, from the first request to the last row.
///
/// Each job has a `requestId`: a request that is repeated because its reply was lost attaches to the first one, so that
/// nothing is executed twice (fact BQ-01). Only the job's own error proves that it did nothing. Then a new job may follow, with an id of
/// its own. https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query
struct QueryJob {
    private enum State {
        /// The request for a new job goes out, and again until there is a reply.
        case started(BigQueryAPI.Call, Certainty)
        /// The job runs, or is done and its results were not read yet.
        case running(QueryResponse.JobReference, Certainty)
        /// The job ended without an error, perhaps after we had waited for it. This is its first page.
        case done(QueryResponse, hasWaited: Bool)
        /// The job did nothing.
        case failed(WarehouseError)
        /// Nobody knows what becomes of the job.
        case lost(QueryResponse.JobReference, any Error)
    }

    let warehouse: BigQueryWarehouse
    let statement: Statement
    /// Where the job runs if it is new.
    let location: String
    let scope: BigQueryErrors.Scope
    let countsRows: Bool

    private var api: BigQueryAPI { warehouse.api }

    /// - Parameter handle: Gets each part of each page once, as no new job follows a job that is done.
    /// - Returns: The result without its rows.
    func run(eachPage handle: (_ rows: [Row]) throws -> Void) async throws -> QueryResult {
        api.logger.debug("statement: \(statement.purpose)")
        var jobs = Attempts(api.retry, on: api.time)
        var requests = Attempts(api.retry, on: api.time)
        var state = State.started(try start(), .notDone)
        while true {
            switch state {
            case .started(let call, let known): state = try await started(call, known, &requests)
            case .running(let job, let known): state = try await running(job, known)
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
            "query": .string(statement.sql), "useLegacySql": .bool(false), "location": .string(location),
            "timeoutMs": .integer(Self.firstWait.wholeMilliseconds),
            "requestId": .string(UUID().uuidString.lowercased()),
            "formatOptions": .object(["useInt64Timestamp": .bool(true)]),
        ]
        if !statement.parameters.isEmpty {
            body["parameterMode"] = .string("NAMED")
            body["queryParameters"] = .array(statement.parameters.map { QueryParameter.json($0) })
        }
        if !warehouse.labels.isEmpty {
            body["labels"] = .object(JSONObject(warehouse.labels.mapValues { .string($0) }))
        }
        if let rows = statement.rowsPerPage { body["maxResults"] = .integer(rows) }
        if let bytes = warehouse.maximumBytesBilled { body["maximumBytesBilled"] = .string(String(bytes)) }
        if let jobsEnd = warehouse.jobsEnd {
            let timeout = max(Self.leastJobTimeout, jobsEnd - api.time.elapsed())
            body["jobTimeoutMs"] = .string(String(timeout.wholeMilliseconds))
        }
        return BigQueryAPI.Call(
            method: .jobsQuery, verb: .post, path: "/queries",
            body: try JSONEncoder().encode(JSONValue.object(JSONObject(body))),
            // The server holds the request for up to `timeoutMs`; the client must not give up before it.
            timeout: Self.wait + .seconds(30), operation: statement.purpose, scope: scope)
    }

    private func started(
        _ call: BigQueryAPI.Call, _ known: Certainty, _ requests: inout Attempts
    ) async throws -> State {
        let page: QueryResponse
        do {
            page = try api.read(await api.attempt(call, known: known), of: call, QueryResponse.init(reply:))
        } catch let error as WarehouseError where error.retry == .newJob {
            return .failed(error)
        } catch let error as WarehouseError where error.detail == .existingJob && requests.failed >= 2 {
            // The repeated request should have led to the job. The message names it, too.
            guard let job = Self.job(namedIn: error.message) else { throw error }
            return .running(job, .unknown)
        } catch {
            try await api.pause(&requests, after: error)
            return .started(call, (error as? WarehouseError)?.certainty ?? known)
        }
        requests.restart()
        return try await afterReply(page, page.jobReference, hasWaited: false)
    }

    private func running(_ job: QueryResponse.JobReference, _ known: Certainty) async throws -> State {
        do {
            let page = try await results(of: job, token: nil, known: known)
            return try await afterReply(page, job, hasWaited: true)
        } catch let error as WarehouseError where error.certainty == .notDone {
            return .failed(error)
        } catch  where known == .done {
            throw error
        } catch {
            return .lost(job, error)
        }
    }

    /// The job of "Already Exists: Job PROJECT:LOCATION.ID".
    private static func job(namedIn message: String) -> QueryResponse.JobReference? {
        guard let name = message.split(separator: " ").first(where: { $0.contains(":") && $0.contains(".") }),
            let colon = name.lastIndex(of: ":")
        else { return nil }
        let parts = name[name.index(after: colon)...].split(separator: ".", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        return QueryResponse.JobReference(jobId: String(parts[1]), location: String(parts[0]))
    }

    /// An error can come with status 200. `errors` may hold mere warnings, so the job itself is asked.
    private func afterReply(
        _ page: QueryResponse, _ job: QueryResponse.JobReference?, hasWaited: Bool
    ) async throws -> State {
        if let problem = page.status?.errorResult ?? page.error?.errors?.first { return .failed(error(of: problem)) }
        if page.jobComplete == false {
            guard let job else { throw unexpected("the reply names no job to wait for", .unknown) }
            return .running(job, .unknown)
        }
        if page.saysNothing { return try await afterSilence(page, job, hasWaited: hasWaited) }
        if let problem = page.errors?.first {
            guard let job else { return .failed(error(of: problem)) }
            let question = resource(job, "status", known: .unknown)
            if let failure = try failure(in: await api.send(question), to: question) { return .failed(failure) }
        }
        var page = page
        page.jobReference = job
        return .done(page, hasWaited: hasWaited)
    }

    /// A complete reply without a schema does not say what became of the job. BigQuery answers so where it knows the
    /// `requestId` already (https://github.com/googleapis/java-bigquery/issues/802) and where a script failed
    /// (https://github.com/getredash/redash/issues/5060). So the job is asked, and then its results are read (fact BQ-02).
    private func afterSilence(
        _ page: QueryResponse, _ job: QueryResponse.JobReference?, hasWaited: Bool
    ) async throws -> State {
        guard let job else {
            if let problem = page.errors?.first { return .failed(error(of: problem)) }
            throw unexpected("the reply has no result and names no job to ask", .unknown)
        }
        let question = resource(
            job, "status,statistics(query(dmlStats,numDmlAffectedRows,totalBytesBilled))", known: .unknown)
        let resource = try api.decode(JobResource.self, from: await api.send(question), of: question)
        if let problem = resource.status?.errorResult { return .failed(error(of: problem)) }
        let isDone = resource.status?.state == "DONE"
        let query = resource.statistics?.query
        // Where rows or a count is expected, or while the job runs, `jobs.getQueryResults` has the answer.
        let isAnswered =
            switch statement.outcome {
            case .rows: false
            case .count: query?.numDmlAffectedRows != nil
            case .nothing: true
            }
        guard isDone && (hasWaited || isAnswered) else {
            if hasWaited { throw unexpected("the results are complete and the job is not", .unknown) }
            return .running(job, isDone ? .done : .unknown)
        }
        if statement.outcome == .rows { throw unexpected("the job succeeded and its result did not come", .done) }
        var page = page
        page.jobReference = job
        page.dmlStats = query?.dmlStats
        page.numDmlAffectedRows = query?.numDmlAffectedRows
        page.totalBytesBilled = query?.totalBytesBilled
        return .done(page, hasWaited: false)
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

    /// Reads all pages, and what `jobs.getQueryResults` leaves out: the bytes billed and the rows inserted and updated (facts BQ-22 and BQ-25).
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
            try reader.read(page.rows, eachPart: handle)
            // The page is gone before the next one arrives.
            page.rows = nil
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
            (name: "location", value: job.location ?? location),
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
                return try api.read(await api.attempt(call, known: known), of: call, QueryResponse.init(reply:))
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
            query: [("location", job.location ?? location), ("fields", fields)],
            operation: statement.purpose, scope: scope, known: known)
    }

    /// Asks BigQuery to stop the job, and fails nothing. Where this does not stop the job, `jobTimeoutMs` may (facts BQ-23 and BQ-24).
    private func cancel(_ job: QueryResponse.JobReference) async {
        let limit = StopBudget.limit(of: .cancelStatements)
        let call = BigQueryAPI.Call(
            method: .jobsCancel, verb: .post, path: "/jobs/\(percentEncoded(job.jobId))/cancel",
            query: [("location", job.location ?? location)], timeout: limit,
            operation: "cancel the job that was to \(statement.purpose)", scope: .dataset)
        let api = api
        do {
            try await shielded(within: limit) { _ = try await api.attempt(call, known: .notDone) }
        } catch {
            api.logger.info("a job may go on: \(error)")
        }
    }
}

extension Statement {
    enum Outcome {
        case rows, count, nothing
    }

    /// What its last statement returns.
    var outcome: Outcome {
        let statements = sql.split(separator: ";").map { $0.trimmingPrefix { $0.isWhitespace } }
        let last = statements.last { !$0.isEmpty } ?? ""
        func begins(_ words: String...) -> Bool { words.contains { last.prefix($0.count).uppercased() == $0 } }
        if begins("SELECT", "WITH", "(") { return .rows }
        return begins("INSERT", "UPDATE", "DELETE", "MERGE") ? .count : .nothing
    }
}
