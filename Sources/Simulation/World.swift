import EmbeddedWarehouse
import Foundation
import HTTPTransport
import JobRuntime
import SchemaKit
import Warehouse

/// One simulated world: a warehouse, Stripe, Google's servers, Cloud Scheduler, Cloud Run, customers and an operator, from one seed.
///
/// ```swift
/// let world = try World(World.Plan(seed: 7, days: 365))
/// let result = world.run()
/// ```
package final class World: @unchecked Sendable {
    package struct Plan: Sendable {
        package var seed: UInt64
        package var days: Int
        /// Only these fates happen; `nil` for all.
        package var only: Set<String>?
        package var bug: PlantedBug?
        package var keepsStory = false
        /// Runs every tick of the two frequent jobs. Otherwise a tick at which the job would only read is left out, except one in
        /// each hour.
        package var runsEveryTick = false
        package var onNight: (@Sendable (_ day: Int) -> Void)?

        package init(seed: UInt64, days: Int) {
            self.seed = seed
            self.days = days
        }
    }

    package struct Violation: Sendable {
        package var invariant: String
        package var text: String
        package var day: Int
        package var at: String
    }

    package struct Result: Sendable {
        package var violation: Violation?
        package var story: String
        package var lastNight: String
        package var counts: Counts
    }

    package struct Counts: Sendable {
        package var days = 0, runs = 0, leftOut = 0, kills = 0, faults = 0, requests = 0, pipelines = 0
        package var exits: [Int32: Int] = [:]
        /// The ids of the fates that happened.
        package var fates: [String] = []

        package init() {}
    }

    let plan: Plan
    let bigQuery: SimulatedBigQuery
    let stripe = SimulatedStripe()
    var story = Story()
    package internal(set) var counts = Counts()
    var machine: SimulatedMachine { .shared }

    // What happens, by execution and by time.
    var faults: [ExecutionKey: [Int: Fault]] = [:]
    var kills: [ExecutionKey: [Int: Bool]] = [:]
    var terminations: [ExecutionKey: Int] = [:]
    var missed: Set<ExecutionKey> = []
    var doubled: [ExecutionKey: Duration] = [:]
    var outages: [Service: Timestamp] = [:]

    // What the world knows of its executions.
    var executions: [SimulatedMachine.ProcessID: Execution] = [:]
    var ended: [String: Execution] = [:]
    var executionCount = 0
    /// When the last run of a job began that ended with exit code 0 and did its work.
    var lastSuccess: [String: Timestamp] = [:]
    /// When the last run of a job began that failed or was killed, and the last tick that was not delivered.
    var lastFailure: [String: Timestamp] = [:]
    var lastMissed: [String: Timestamp] = [:]
    var failedNights: [String: Int] = [:]
    var violation: Violation?

    // What the world knows of its customers.
    var organizations: [Organization] = []
    var runs: [PipelineRun] = []
    var queued: [QueuedItem] = []
    var runCount = 0
    var itemCount = 0
    var subscriptionCount = 0
    var auditState: [String: [String: String]] = [:]

    // The catalog in force.
    var release = 0
    var releasedAt = Timestamp(startOf: Fate.firstDay.adding(days: -1))
    let catalogs: ReleasedCatalogs

    package init(_ plan: Plan) throws {
        self.plan = plan
        catalogs = try ReleasedCatalogs()
        bigQuery = try SimulatedBigQuery(catalog: catalogs.current)
        bigQuery.bug = plan.bug
        stripe.bug = plan.bug
        story.keepsAll = plan.keepsStory
        bigQuery.onStatement = { [unowned self] sql, process in noteStatement(sql, process) }
    }

    /// Runs the days, and ends at the first night after which an invariant does not hold.
    package func run() -> Result {
        JobDice.start(seed: plan.seed)
        Self.current = self
        machine.install { Network(onRequest: $0.onRequest) }
        let start = Timestamp(startOf: Fate.firstDay).adding(.seconds(-7200))
        machine.run(from: start) { await self.live() }
        let since = machine.now.adding(.seconds(-36 * 3600))
        return Result(
            violation: violation, story: story.lines, lastNight: story.text(since: max(start, since)), counts: counts)
    }

    /// The network of a job's process finds the world here, so that a process that was killed does not keep its world.
    nonisolated(unsafe) static var current: World!

    private func live() async {
        do {
            try await begin()
            for day in 0..<plan.days where violation == nil {
                try await live(day)
                counts.days += 1
            }
        } catch {
            violation = Violation(
                invariant: "the simulation itself", text: "\(error)", day: counts.days, at: Story.stamp(machine.now))
        }
    }

    /// Two hours before the first day the operator creates everything.
    private func begin() async throws {
        for _ in 0..<3 { await signUp() }
        await runByHand("bootstrap", [])
        try await writeOrganizations()
        await runByHand("org-sync-all", [])
        await runByHand("billing-sync-reconcile", [])
        try await rememberAudits()
    }

    // MARK: A day

    private enum Event {
        case fate(Fate)
        case tick(Schedule, Timestamp)
        case night
        case counters
    }

    private func live(_ day: Int) async throws {
        let date = Fate.firstDay.adding(days: day)
        let midnight = Timestamp(startOf: date)
        faults = faults.filter { $0.key.tick >= midnight }
        kills = kills.filter { $0.key.tick >= midnight }
        var agenda: [(at: Timestamp, event: Event)] = []
        for fate in Fate.ofDay(day, seed: plan.seed) where plan.only?.contains(fate.id) ?? true {
            if !prepare(fate) { agenda.append((fate.at, .fate(fate))) }
        }
        for schedule in Schedule.all {
            for tick in schedule.ticks(of: date) { agenda.append((tick, .tick(schedule, tick))) }
        }
        agenda.append((midnight.adding(.seconds(4 * 3600 + 430)), .night))
        if plan.keepsStory {
            for hour in [1, 9, 15, 21] { agenda.append((midnight.adding(.seconds(3600 * hour + 100)), .counters)) }
        }
        let ordered = agenda.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(
            \.element)
        for (time, event) in ordered {
            await wait(until: time)
            guard violation == nil else { return }
            switch event {
            case .fate(let fate): try await happen(fate)
            case .tick(let schedule, let tick): try await deliver(schedule, tick)
            case .counters: try await tellCounters()
            case .night:
                await waitForExecutions()
                try await closeNight(day, date)
                try await forgetOldRows(date)
                plan.onNight?(day)
            }
        }
        await wait(until: midnight.adding(.seconds(86_399)))
    }

    func wait(until time: Timestamp) async {
        if time > machine.now { try? await machine.sleep(time.since(machine.now)) }
    }

    /// The night is over when nothing of it runs any more, at most two hours later.
    private func waitForExecutions() async {
        for _ in 0..<720 where !executions.isEmpty { try? await machine.sleep(.seconds(10)) }
    }

    /// - Returns: `false` if it has a time of its own.
    private func prepare(_ fate: Fate) -> Bool {
        switch fate.kind {
        case .fault(let key, let request, let fault): faults[key, default: [:]][request] = fault
        case .kill(let key, let request, let afterReply): kills[key, default: [:]][request] = afterReply
        case .terminate(let key, let request): terminations[key] = request
        case .missed(let key): missed.insert(key)
        case .doubled(let key, let delay): doubled[key] = delay
        default: return false
        }
        counts.fates.append(fate.id)
        return true
    }

    private func happen(_ fate: Fate) async throws {
        counts.fates.append(fate.id)
        switch fate.kind {
        case .outage(let service, let seconds):
            outages[service] = machine.now.adding(.seconds(seconds))
            tell("fault", service: service.rawValue, "cannot be reached for \(seconds) s")
        case .pipeline(let pipeline): try await begin(pipeline)
        case .planChange(let index, let product): try await changePlan(index, product)
        case .productChange(let product, let daily):
            stripe.change(plan: product) { $0.daily = daily }
            story.add(
                "release", at: machine.now, [("text", .string("\(product) now gives \(daily) runs a day"))],
                text: "Stripe: \(product) now gives \(daily) runs a day")
        case .cancellation(let index, let days): try await cancel(index, returnsAfterDays: days)
        case .signUp:
            guard organizations.count < Fate.mostOrganizations else { return }
            await signUp()
            try await writeOrganizations()
            manualLater("org-sync-all", after: 1200)
        case .release: try await releaseCatalog()
        case .manual(let job, let arguments):
            tell("operator", "runs \(([job] + arguments).joined(separator: " ")) by hand")
            launch(Schedule.named(job), machine.now, trigger: "manual", arguments: arguments)
        case .queueEdit(let index): try await editQueue(index)
        case .fault, .kill, .terminate, .missed, .doubled: break
        }
    }

    private func deliver(_ schedule: Schedule, _ tick: Timestamp) async throws {
        let key = ExecutionKey(job: schedule.job, tick: tick)
        if missed.remove(key) != nil {
            lastMissed[schedule.job] = tick
            tell("fault", service: "scheduler", "did not start \(schedule.job)")
            return
        }
        if try await isQuiet(schedule, key) {
            counts.leftOut += 1
            return
        }
        launch(schedule, tick, trigger: "scheduled")
        if let delay = doubled.removeValue(forKey: key) {
            tell("fault", service: "scheduler", "started \(schedule.job) twice")
            machine.after(delay) { [unowned self] in launch(schedule, tick, trigger: "double", delivery: 1) }
        }
    }

    /// Whether the run at this tick would find nothing to do and meet nothing on its way.
    private func isQuiet(_ schedule: Schedule, _ key: ExecutionKey) async throws -> Bool {
        guard !plan.runsEveryTick, schedule.minutes.count > 24, key.tick.microseconds % 3_600_000_000 != 0,
            faults[key] == nil, kills[key] == nil, terminations[key] == nil, doubled[key] == nil,
            let success = lastSuccess[schedule.job]
        else { return false }
        if schedule.job == "stale-cleanup" {
            return !runs.contains { $0.isOpen || $0.endedAt.map { $0 > success } ?? false }
        }
        if stripe.hasEvents(since: success) { return false }
        let rows = try await read(
            "SELECT COUNT(*) AS n FROM `scheduler_jobs.billing_sync_queue` WHERE status IN ('pending', 'processing')")
        return try rows.first?.int64("n") == 0
    }

    // MARK: Words

    func tell(_ kind: String, service: String? = nil, execution: String? = nil, _ text: String) {
        var members: [(key: String, value: JSONValue)] = []
        if let service { members.append(("service", .string(service))) }
        if let execution { members.append(("execution", .string(execution))) }
        members.append(("text", .string(text)))
        let subject = [kind, service, execution].compactMap(\.self).joined(separator: " ")
        story.add(kind, at: machine.now, members, text: "\(subject): \(text)")
    }

    func read(_ sql: String, _ parameters: KeyValuePairs<String, SQLValue> = [:]) async throws -> [Row] {
        try await write(sql, parameters).rows
    }

    @discardableResult
    func write(_ sql: String, _ parameters: KeyValuePairs<String, SQLValue> = [:]) async throws -> QueryResult {
        let statement = Statement("simulate the world", sql, parameters: parameters)
        return try await machine.outside { try await bigQuery.warehouse.query(statement) }
    }
}
