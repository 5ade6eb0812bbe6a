import Foundation
import HTTPTransport
import JobRuntime

/// One attempt of a task on Cloud Run.
final class Execution: @unchecked Sendable {
    let key: ExecutionKey
    /// The name of the execution, which all attempts share.
    let name: String
    let trigger: String
    let schedule: Schedule
    let arguments: [String]
    let startedAt: Timestamp
    var process: SimulatedMachine.ProcessID = 0
    var requests = 0
    var output: [String] = []
    var onStop: ((StopSignal) -> Void)?
    var endedAt: Timestamp?
    var diedAt: Timestamp?
    var exit: Int32?
    /// Whether it sent a statement of its work, which an exclusive job does only under its lease.
    var hasWorked = false
    var summary: [String: JSONValue] = [:]
    var onEnd: (() -> Void)?

    init(_ key: ExecutionKey, name: String, trigger: String, _ schedule: Schedule, _ arguments: [String], at: Timestamp)
    {
        self.key = key
        self.name = name
        self.trigger = trigger
        self.schedule = schedule
        self.arguments = arguments
        startedAt = at
    }

    var outcome: String { summary["status"]?.string ?? (diedAt == nil ? "failed" : "killed") }
    var headline: String { summary["message"]?.string ?? (diedAt == nil ? "ended without a summary" : "killed") }

    /// The rows and tables that the run created or changed, by its own counts.
    var changed: Int {
        let words = [
            "created", "changed", "marked", "corrected", "deleted", "updated", "written", "synced", "queued",
            "repaired",
        ]
        return (summary["counts"]?.object ?? [:]).reduce(0) { sum, count in
            words.contains { count.key.contains($0) } ? sum + (count.value.wholeNumber ?? 0) : sum
        }
    }
}

extension World {
    @discardableResult
    func launch(
        _ schedule: Schedule, _ tick: Timestamp, trigger: String, delivery: Int = 0, attempt: Int = 0,
        name: String? = nil,
        arguments: [String] = [], onEnd: (() -> Void)? = nil
    ) -> Execution {
        let key = ExecutionKey(job: schedule.job, tick: tick, delivery: delivery, attempt: attempt)
        if name == nil { executionCount += 1 }
        let execution = Execution(
            key, name: name ?? "x\(executionCount)", trigger: trigger, schedule, arguments, at: machine.now)
        execution.onEnd = onEnd
        counts.runs += 1
        let surroundings = self.surroundings(of: execution)
        machine.act(as: 0) {
            execution.process = machine.start {
                let code = await schedule.run(surroundings)
                World.current.finish(execution, code.rawValue)
            }
            executions[execution.process] = execution
            machine.after(.seconds(schedule.timeout)) { [unowned self] in
                guard execution.endedAt == nil else { return }
                tell(
                    "kill", execution: execution.name,
                    "\(schedule.job) was stopped after its timeout of \(schedule.timeout) s")
                stop(execution)
            }
        }
        return execution
    }

    private func surroundings(of execution: Execution) -> ProcessSurroundings {
        let schedule = execution.schedule
        var environment = [
            "GCP_PROJECT_ID": SimulatedBigQuery.project, "ENVIRONMENT": "test", "BIGQUERY_LOCATION": "US",
            "LOG_LEVEL": "error",
            "DEADLINE_SECONDS": "\(schedule.timeout - 60)", "CLOUD_RUN_JOB": "cloudact-\(schedule.job)",
            "CLOUD_RUN_EXECUTION": execution.name, "CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "1",
            "CLOUD_RUN_TASK_ATTEMPT": "\(execution.key.attempt)", "STRIPE_SECRET_KEY": "rk_test_simulation0001",
            "CATALOG_DIR": catalogs.folder,
        ]
        if schedule.isExclusive { environment["LEASE_SECONDS"] = "\(schedule.timeout + 60)" }
        if plan.bug == .countStarted { environment["QUOTA_COUNTS"] = "started" }
        // An operator has credentials of gcloud, and Cloud Run has a metadata server.
        if execution.trigger == "manual" { environment["GOOGLE_APPLICATION_CREDENTIALS"] = catalogs.credentials }
        return ProcessSurroundings(
            arguments: execution.arguments, environment: environment,
            writeOutput: {
                execution.output.append($0); return true
            }, writeError: { execution.output.append($0) },
            isErrorTerminal: false, terminalWidth: { 100 }, wallClock: { SimulatedMachine.shared.now },
            elapsed: TimeSource.system.elapsed, after: { SimulatedMachine.shared.after($0, $1) }, exit: { _ in },
            onStopSignal: { handler in execution.onStop = handler })
    }

    /// SIGTERM, and SIGKILL ten seconds later.
    func stop(_ execution: Execution) {
        guard execution.endedAt == nil else { return }
        machine.act(as: execution.process) { execution.onStop?(.terminate) }
        machine.act(as: 0) {
            machine.after(.seconds(10)) { [unowned self] in
                if execution.endedAt == nil { kill(execution, "ten seconds after SIGTERM") }
            }
        }
    }

    func kill(_ execution: Execution, _ when: String) {
        guard execution.endedAt == nil else { return }
        counts.kills += 1
        execution.diedAt = machine.now
        tell("kill", execution: execution.name, "\(execution.key.job) was killed \(when)")
        machine.kill(execution.process)
        machine.act(as: 0) { finish(execution, 137) }
    }

    func finish(_ execution: Execution, _ code: Int32) {
        guard execution.endedAt == nil else { return }
        var code = code
        execution.endedAt = machine.now
        executions[execution.process] = nil
        if let line = execution.output.reversed().lazy.flatMap({ $0.split(separator: "\n").reversed() }).first,
            execution.diedAt == nil
        {
            execution.summary = RequestBody.members(of: Data(line.utf8)) ?? [:]
        }
        execution.output = []
        // The handler holds the run, which holds the execution.
        execution.onStop = nil
        if plan.bug == .swallowedError, code == 1 {
            code = 0
            execution.summary["status"] = .string("succeeded")
        }
        execution.exit = code
        counts.exits[code, default: 0] += 1
        ended["\(execution.name)/0/\(execution.key.attempt)"] = execution
        if code == 0, execution.outcome == "succeeded", !execution.arguments.contains("--dry-run") {
            lastSuccess[execution.key.job] = max(
                execution.startedAt, lastSuccess[execution.key.job] ?? execution.startedAt)
        }
        if code != 0 { lastFailure[execution.key.job] = execution.startedAt }
        checkSkip(execution)
        record(execution, code)
        machine.act(as: 0) {
            if code != 0, code != 78, execution.key.attempt < execution.schedule.retries {
                machine.after(.seconds(5)) { [unowned self] in
                    launch(
                        execution.schedule, execution.key.tick, trigger: "retry", delivery: execution.key.delivery,
                        attempt: execution.key.attempt + 1, name: execution.name, arguments: execution.arguments,
                        onEnd: execution.onEnd)
                }
            } else {
                execution.onEnd?()
            }
        }
    }

    private func record(_ execution: Execution, _ code: Int32) {
        let stamp = Story.stamp(machine.now)
        let headline = execution.headline
        story.add(
            "run", at: execution.startedAt,
            [
                ("job", .string(execution.key.job)), ("execution", .string(execution.name)),
                ("attempt", .integer(execution.key.attempt)), ("ended", .string(stamp)), ("exit", .integer(Int(code))),
                ("outcome", .string(execution.outcome)), ("headline", .string(headline)),
                ("trigger", .string(execution.trigger)), ("changed", .integer(execution.changed)),
            ],
            text:
                "run \(execution.name)/\(execution.key.attempt) \(execution.key.job) (\(execution.trigger)) until \(stamp.suffix(9)), "
                + "exit \(code): \(headline)" + failures(of: execution))
        let repairing = [
            "stale-cleanup", "quota-reset-daily", "quota-reset-monthly", "billing-sync-reconcile", "billing-sync-retry",
        ]
        if code == 0, execution.changed > 0, repairing.contains(execution.key.job),
            !execution.arguments.contains("--dry-run")
        {
            story.add(
                "repair", at: machine.now, [("execution", .string(execution.name)), ("text", .string(headline))],
                text: "")
        }
    }

    private func failures(of execution: Execution) -> String {
        (execution.summary["failures"]?.array ?? []).prefix(3).map { failure in
            "\n    \(failure.object?["subject"]?.string ?? ""): \(failure.object?["reason"]?.string ?? "")"
        }.joined()
    }

    /// Runs a job by hand and waits for its end.
    func runByHand(_ job: String, _ arguments: [String]) async {
        let schedule = Schedule.named(job)
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            launch(schedule, machine.now, trigger: "manual", arguments: arguments) { continuation.resume() }
        }
    }

    func manualLater(_ job: String, after seconds: Int, tries: Int = 4) {
        machine.after(.seconds(seconds)) { [unowned self] in
            tell("operator", "runs \(job) by hand")
            let begun = machine.now
            launch(Schedule.named(job), begun, trigger: "manual") { [unowned self] in
                // The operator sees the exit code and tries again later.
                if lastSuccess[job] ?? .init(microseconds: 0) < begun, tries > 1 {
                    manualLater(job, after: 1800, tries: tries - 1)
                }
            }
        }
    }
}

/// The network of a job's process.
struct Network: HTTPTransport {
    let onRequest: @Sendable () -> Void

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        onRequest()
        return try await World.current.exchange(request)
    }
}

extension World {
    private func service(of request: HTTPRequest) -> Service {
        if request.url.hasPrefix("https://bigquery.googleapis.com") { return .bigQuery }
        if request.url.hasPrefix("https://api.stripe.com") { return .stripe }
        return request.url.hasPrefix("http://metadata.google.internal") ? .metadata : .token
    }

    func exchange(_ request: HTTPRequest) async throws -> HTTPResponse {
        guard let execution = executions[machine.process] else { throw CancellationError() }
        counts.requests += 1
        execution.requests += 1
        let number = execution.requests
        let service = service(of: request)
        var dice = Dice(
            seed: plan.seed,
            "\(execution.key.job) \(execution.key.tick.microseconds) \(execution.key.attempt) \(number)")
        let latency = Duration.milliseconds(20 + dice.below(300))
        try await machine.sleep(latency / 2)
        if kills[execution.key]?[number] == false {
            try await die(execution, "before request \(number) reached \(service.rawValue)")
        }
        if terminations[execution.key] == number {
            tell("kill", execution: execution.name, "\(execution.key.job) got SIGTERM")
            stop(execution)
        }
        if let end = outages[service], end > machine.now {
            throw failure(.connectionFailed, service, "Connection refused", .notDone)
        }
        let fault = faults[execution.key]?[number].flatMap { Fault.all(of: service).contains($0) ? $0 : nil }
        if let fault {
            counts.faults += 1
            tell("fault", service: service.rawValue, execution: execution.name, fault.text)
        }
        let response = try await response(to: request, service, fault)
        try await machine.sleep(latency / 2)
        if kills[execution.key]?[number] == true {
            try await die(execution, "after \(service.rawValue) had answered request \(number)")
        }
        return try await spoil(response, request, service, fault)
    }

    private func die(_ execution: Execution, _ when: String) async throws {
        kill(execution, when)
        // Nothing of a dead process runs again.
        try await machine.sleep(.seconds(1_000_000_000))
    }

    private func response(to request: HTTPRequest, _ service: Service, _ fault: Fault?) async throws -> HTTPResponse {
        if plan.bug == .unknownIsSuccess, service == .bigQuery, request.method == .post,
            request.url.hasSuffix("/queries"),
            [.unavailable, .rateLimited, .resetBeforeWork].contains(fault)
        {
            return SimulatedBigQuery.json(
                .object([
                    "jobComplete": .bool(true), "numDmlAffectedRows": .string("1"), "schema": .object([:]),
                    "dmlStats": .object(["insertedRowCount": .string("1"), "updatedRowCount": .string("0")]),
                ]))
        }
        switch fault {
        case .unavailable: return refusal(503, service, "backendError", "The service is currently unavailable.")
        case .rateLimited:
            return refusal(service == .bigQuery ? 403 : 429, service, "rateLimitExceeded", "Exceeded rate limits")
        case .tokenRefused: return refusal(401, service, "authError", "Invalid Credentials")
        case .resetBeforeWork: throw failure(.connectionLost, service, "Connection reset by peer", .unknown)
        case .slowJob: bigQuery.delay = .seconds(45 + Int(machine.now.microseconds / 1_000_000 % 300))
        case .failedJob:
            bigQuery.failure = ("backendError", "Error encountered during execution. Retrying may solve the problem.")
        default: break
        }
        switch service {
        case .bigQuery: return await bigQuery.answer(request)
        case .stripe: return stripe.answer(request)
        case .token, .metadata:
            return HTTPResponse(
                status: 200, headers: ["Content-Type": "application/json", "Metadata-Flavor": "Google"],
                body: Data(#"{"access_token":"ya29.simulated","expires_in":3599,"token_type":"Bearer"}"#.utf8))
        }
    }

    private func spoil(
        _ response: HTTPResponse, _ request: HTTPRequest, _ service: Service, _ fault: Fault?
    ) async throws -> HTTPResponse {
        switch fault {
        case .internalErrorAfterWork: return refusal(500, service, "internalError", "An internal error occurred.")
        case .resetAfterWork: throw failure(.connectionLost, service, "Connection reset by peer", .unknown)
        case .halfBody: throw failure(.truncatedBody, service, "end of response with bytes missing", .unknown)
        case .corruptBody:
            return HTTPResponse(
                status: 200, headers: response.headers, body: response.body.prefix(response.body.count / 2))
        case .silence:
            try await machine.sleep(request.timeout ?? .seconds(60))
            throw failure(.timedOut, service, "Operation timed out", .unknown)
        default: return response
        }
    }

    private func refusal(_ status: Int, _ service: Service, _ reason: String, _ message: String) -> HTTPResponse {
        switch service {
        case .bigQuery:
            return SimulatedBigQuery.response(
                .init(status: status, reason: reason, members: ["message": .string(message)]))
        case .stripe:
            return stripe.error(
                status, status == 429 ? "invalid_request_error" : "api_error", status == 429 ? "rate_limit" : nil,
                message)
        case .token, .metadata:
            return HTTPResponse(status: status, headers: ["Metadata-Flavor": "Google"], body: Data(message.utf8))
        }
    }

    private func failure(_ code: HTTPTransportError.Code, _ service: Service, _ message: String, _ certainty: Certainty)
        -> any Error
    {
        HTTPTransportError(code, operation: service.rawValue, message: message, certainty: certainty)
    }
}
