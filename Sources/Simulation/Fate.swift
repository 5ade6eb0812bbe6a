import JobRuntime

/// The services outside of the jobs.
enum Service: String, CaseIterable, Sendable {
    case bigQuery = "bigquery"
    case stripe, token, metadata
}

/// What may become of one exchange with a service.
enum Fault: String, CaseIterable, Sendable {
    case unavailable, internalErrorAfterWork, rateLimited, resetBeforeWork, resetAfterWork, halfBody, corruptBody,
        silence,
        slowJob, failedJob, tokenRefused

    static func all(of service: Service) -> [Fault] {
        allCases.filter { service == .bigQuery || ![.slowJob, .failedJob, .tokenRefused].contains($0) }
    }

    var text: String {
        switch self {
        case .unavailable: "answered 503 and did nothing"
        case .internalErrorAfterWork: "did the work and answered 500"
        case .rateLimited: "refused the request: rate limit exceeded"
        case .resetBeforeWork: "reset the connection before it did anything"
        case .resetAfterWork: "did the work and reset the connection"
        case .halfBody: "did the work and sent half of its reply"
        case .corruptBody: "did the work and sent a reply that is no JSON"
        case .silence: "did the work and never replied"
        case .slowJob: "accepted the statement and took minutes for it"
        case .failedJob: "accepted the statement, which then failed: backendError"
        case .tokenRefused: "refused the access token"
        }
    }
}

/// One run that Cloud Scheduler asks for, or one attempt of its task.
struct ExecutionKey: Hashable, Sendable {
    var job: String
    /// The time for which it was scheduled.
    var tick: Timestamp
    /// 1 for a second delivery of the same tick.
    var delivery = 0
    var attempt = 0
}

/// One thing that happens in a world beside the jobs' schedules. All fates of a day follow from the seed and the day alone, so that a
/// world with fewer of them is the same world otherwise.
struct Fate: Sendable {
    enum Kind: Sendable {
        /// The fault of the n-th request of an execution to any service.
        case fault(ExecutionKey, request: Int, Fault)
        /// SIGKILL before or after the service has answered the n-th request.
        case kill(ExecutionKey, request: Int, afterReply: Bool)
        /// SIGTERM, and SIGKILL ten seconds later.
        case terminate(ExecutionKey, request: Int)
        case outage(Service, seconds: Int)
        case missed(ExecutionKey)
        case doubled(ExecutionKey, delay: Duration)
        case pipeline(Pipeline)
        case planChange(organization: Int, product: String)
        case productChange(product: String, daily: Int)
        case cancellation(organization: Int, returnsAfterDays: Int)
        case signUp
        case release
        /// An operator starts a job by hand.
        case manual(job: String, arguments: [String])
        /// An operator makes an item of the queue due at once.
        case queueEdit(organization: Int)
    }

    /// A pipeline of a customer: it is reserved, and it ends or crashes.
    struct Pipeline: Sendable {
        enum End: String, Sendable {
            case completed, failed
            /// The process died and its run stays open in the log.
            case crashed
            /// The process died between the log and the counter.
            case uncounted
        }

        var organization: Int
        var minutes: Int
        var end: End
    }

    /// The day and the place within the day: `12.3`.
    var id: String
    var at: Timestamp
    var kind: Kind
}

extension Fate {
    /// The day on which every world begins.
    static let firstDay = CivilDate("2026-03-01")!
    static let mostOrganizations = 7

    /// The fates of one day, in order of time.
    static func ofDay(_ number: Int, seed: UInt64) -> [Fate] {
        var dice = Dice(seed: seed, "day \(number)")
        let day = firstDay.adding(days: number)
        let midnight = Timestamp(startOf: day)
        var fates: [(at: Timestamp, kind: Kind)] = []
        func add(_ seconds: Int, _ kind: Kind) { fates.append((midnight.adding(.seconds(seconds)), kind)) }
        func execution() -> ExecutionKey {
            let schedule = dice.pick(Schedule.drawn)
            let ticks = schedule.ticks(of: day)
            guard let tick = ticks.isEmpty ? nil : dice.pick(ticks) else {
                return ExecutionKey(job: "quota-reset-daily", tick: midnight)
            }
            return ExecutionKey(job: schedule.job, tick: tick, attempt: dice.isOne(in: 5) ? 1 : 0)
        }
        for _ in 0..<dice.below(12) {
            let key = execution()
            let fault = dice.pick(Fault.allCases)
            let first = 1 + dice.below(14)
            // Now and then the same again, so that a retry meets it, too.
            for request in first..<(first + (dice.isOne(in: 6) ? 12 : 1)) {
                fates.append((key.tick, .fault(key, request: request, fault)))
            }
        }
        for _ in 0..<dice.below(5) {
            let key = execution()
            fates.append((key.tick, .kill(key, request: 1 + dice.below(14), afterReply: dice.isOne(in: 2))))
        }
        if dice.isOne(in: 2) {
            let key = execution()
            fates.append((key.tick, .terminate(key, request: 1 + dice.below(14))))
        }
        if dice.isOne(in: 4) {
            let seconds = dice.isOne(in: 2) ? dice.below(9000) : dice.below(86_400)
            add(seconds, .outage(dice.pick(Service.allCases), seconds: 30 + dice.below(1500)))
        }
        if dice.isOne(in: 8) {
            var key = execution()
            key.attempt = 0
            fates.append((key.tick, .missed(key)))
        }
        for _ in 0..<dice.below(4) {
            var key = execution()
            key.attempt = 0
            fates.append((key.tick, .doubled(key, delay: .milliseconds(dice.below(4000)))))
        }
        customers(&dice, add)
        operators(&dice, add)
        return fates.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }
            .map { Fate(id: "\(number).\($0.offset)", at: $0.element.at, kind: $0.element.kind) }
    }

    private static func customers(_ dice: inout Dice, _ add: (Int, Kind) -> Void) {
        for organization in 0..<mostOrganizations {
            for _ in 0..<dice.below(6) {
                // One in six runs over midnight.
                let start = dice.isOne(in: 6) ? 84_600 + dice.below(1700) : 600 + dice.below(80_000)
                let end: Pipeline.End = [
                    .completed, .completed, .completed, .failed, .crashed, .completed, .uncounted, .failed,
                ][
                    dice.below(8)]
                let minutes = dice.isOne(in: 12) ? 70 + dice.below(60) : 1 + dice.below(50)
                add(start, .pipeline(Pipeline(organization: organization, minutes: minutes, end: end)))
            }
        }
        let products = ["prod_starter", "prod_professional", "prod_scale"]
        if dice.isOne(in: 3) {
            add(
                dice.below(86_000),
                .planChange(organization: dice.below(mostOrganizations), product: dice.pick(products)))
        }
        if dice.isOne(in: 40) {
            add(dice.below(86_000), .productChange(product: dice.pick(products), daily: 5 + dice.below(40)))
        }
        if dice.isOne(in: 12) {
            add(
                dice.below(86_000),
                .cancellation(organization: dice.below(mostOrganizations), returnsAfterDays: 2 + dice.below(20)))
        }
        if dice.isOne(in: 20) { add(dice.below(86_000), .signUp) }
    }

    private static func operators(_ dice: inout Dice, _ add: (Int, Kind) -> Void) {
        if dice.isOne(in: 30) { add(30_000 + dice.below(20_000), .release) }
        if dice.isOne(in: 4) {
            let choices: [(String, [String])] = [
                ("quota-reset-daily", []), ("stale-cleanup", []), ("billing-sync-reconcile", []),
                ("billing-sync-retry", []),
                ("quota-cleanup", []), ("quota-reset-monthly", ["--force"]), ("org-sync-all", ["--dry-run"]),
            ]
            let (job, arguments) = dice.pick(choices)
            add(dice.below(86_000), .manual(job: job, arguments: arguments))
        }
        if dice.isOne(in: 6) { add(dice.below(86_000), .queueEdit(organization: dice.below(mostOrganizations))) }
    }
}
