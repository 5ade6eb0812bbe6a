import FoundationEssentials
import HTTPTransport
import JobRuntime
import Logging

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
            ] + (token.map { [("pageToken", $0)] } ?? []),
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
