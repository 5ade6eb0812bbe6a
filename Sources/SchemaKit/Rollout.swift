package import ArgumentParser
import JobRuntime
import Synchronization
import Warehouse
import WarehouseKit

/// The waves of a rollout: how many organizations each has, and the pause between two.
package struct WavePlan: Hashable, Sendable {
    /// `nil` for all that are left.
    package var sizes: [Int?]
    package var pause: Duration
    /// So many organizations may fail for one reason in each task before the rollout halts.
    package var mostFailures: Int
    /// Whether a halted rollout goes on.
    package var resumes: Bool

    package static let usualPause = Duration.seconds(600)

    package init(sizes: [Int?], pause: Duration = usualPause, mostFailures: Int = 5, resumes: Bool = false) {
        self.sizes = sizes
        self.pause = pause
        self.mostFailures = mostFailures
        self.resumes = resumes
    }

    var text: String { sizes.map { $0.map(String.init) ?? "all" }.joined(separator: ",") }

    /// How many organizations of a task may be changed up to the end of the wave; `nil` without a limit. Over all tasks it is no more
    /// than the sizes of the waves.
    func limit(through wave: Int, of task: CloudRunTask) -> Int? {
        var sum = 0
        for size in sizes.prefix(wave) {
            guard let size else { return nil }
            sum += size
        }
        return sum / task.count + (task.index < sum % task.count ? 1 : 0)
    }
}

/// `--waves` and what belongs to it.
package struct WaveOptions: ParsableArguments, Sendable {
    @Option(
        help: .init("Change so many organizations first, then so many more, such as 1,10,100,all.", valueName: "sizes"))
    package var waves: String?

    @Option(help: .init("The time between two waves, such as 90s, 10m or 2h.", valueName: "time"))
    package var pause = "10m"

    @Option(help: .init("Halt the waves when so many organizations fail for one reason.", valueName: "number"))
    package var maxFailures = 5

    @Flag(help: "Go on with waves that were halted.")
    package var resume = false

    package init() {}

    package func validate() throws {
        guard let waves else {
            guard !resume else { throw ValidationError("--resume needs --waves.") }
            return
        }
        guard Self.sizes(waves) != nil else {
            throw ValidationError(
                "--waves \(quoted(waves)) is not a list of numbers that ends with all, such as 1,10,100,all.")
        }
        guard Self.duration(pause) != nil else {
            throw ValidationError("--pause \(quoted(pause)) is not a time of at most 24 hours, such as 90s, 10m or 2h.")
        }
        guard maxFailures > 0 else { throw ValidationError("--max-failures must be at least 1.") }
    }

    /// `nil` without `--waves`.
    package var plan: WavePlan? {
        guard let sizes = waves.flatMap(Self.sizes), let pause = Self.duration(pause) else { return nil }
        return WavePlan(sizes: sizes, pause: pause, mostFailures: maxFailures, resumes: resume)
    }

    private static func sizes(_ text: String) -> [Int?]? {
        let words = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
        guard words.last == "all" else { return nil }
        let sizes = words.dropLast().map { Int($0) ?? 0 }
        return sizes.allSatisfy { $0 > 0 && $0 <= 10_000_000 } ? sizes + [nil] : nil
    }

    private static func duration(_ text: String) -> Duration? {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int(text.dropLast()), number >= 0,
            number <= 86_400
        else { return nil }
        let seconds = number * unit
        return seconds <= 86_400 ? .seconds(seconds) : nil
    }
}

/// A rollout was halted, by this task or another one. The run fails.
struct RolloutHalt: FailedOperation {
    let operation = "rollout"
    let reason: String
}

/// Counts the organizations that fail for one reason.
final class FailureTally: Sendable {
    private let limit: Int
    private let counts = Mutex<[String: Int]>([:])

    init(limit: Int) { self.limit = limit }

    /// - Throws: ``RolloutHalt`` at the limit.
    func note(_ reason: String, of dataset: DatasetID, _ subject: String) throws {
        let shared = reason.replacing(dataset.name, with: "DATASET").replacing(subject, with: "ORGANIZATION")
        let count = counts.withLock { counts in
            counts[shared, default: 0] += 1
            return counts[shared, default: 0]
        }
        if count >= limit {
            throw RolloutHalt(reason: "\(spoken(count, "organizations")) failed for one reason: \(shared)")
        }
    }
}

/// Changes organizations in waves, with pauses in which their pipelines show whether the change does harm.
///
/// The state is in `scheduler_jobs.rollouts`, one row for each task. Which organizations a rollout has touched is in
/// `scheduler_jobs.schema_changes`, whose rows are written before the changes. So a run that is killed anywhere goes on inside its wave:
/// organizations that it had begun come first, and no more others than the wave has room for.
///
/// - A task that has done its part of a wave waits for the other tasks. A halt of one is a halt of all.
/// - A halted rollout goes on only with `--resume`. A finished one is followed by the next number.
struct Rollout: Sendable {
    static let table = TableReference(DatasetID.schedulerJobs, "rollouts")!

    let sql: any SQLWarehouse
    let catalog: String
    let plan: WavePlan
    let task: CloudRunTask
    let report: RunReport
    let command: RunCommand
    let now: @Sendable () -> Timestamp
    let sleep: @Sendable (Duration) async throws -> Void

    /// The time between two looks at the other tasks.
    private static let interval = Duration.seconds(10)
    /// How often a task looks before it gives the others up: for an hour.
    private static let mostLooks = 360

    struct State: Hashable, Sendable {
        enum Name: String { case running, waiting, halted, finished }

        var number: Int64
        var waves: String
        var index: Int64
        var count: Int64
        var wave = 1
        var name = Name.running
        var reason: String?
        var remaining: Int64 = 0
        var startedAt: Timestamp
        var waveStartedAt: Timestamp
        /// Only a state that was read has it.
        var updatedAt: Timestamp?
    }

    /// Does what is left of the rollout.
    /// - Parameter apply: Changes some of the items. It gets the mark of the rollout for the history.
    func run(
        _ items: [SchemaSync.Item], _ apply: (_ items: [SchemaSync.Item], _ mark: String) async throws -> Void
    ) async throws {
        let start = now()
        guard var state = try await begin(isIdle: items.isEmpty && task.count == 1) else { return }
        var left = items.sorted { Self.place($0) < Self.place($1) }
        while true {
            if state.name == .running {
                let part = try await part(of: left, state)
                state.remaining = Int64(left.count)
                try await save(state)
                report.line("wave \(state.wave) of \(plan.text): \(spoken(part.count, "organizations"))")
                do {
                    try await apply(part, mark(state))
                } catch let halt as RolloutHalt {
                    throw try await halted(&state, halt.reason)
                }
                let done = Set(part.map(\.subject))
                left.removeAll { done.contains($0.subject) }
                (state.name, state.remaining) = (.waiting, Int64(left.count))
                try await save(state)
            }
            let all = try await everyTask(&state, since: start)
            if state.wave == plan.sizes.count || all.allSatisfy({ $0.remaining == 0 }) {
                state.name = .finished
                return try await save(state)
            }
            report.line("wave \(state.wave) is done; the next one begins in \(spoken(plan.pause))")
            try await sleep(plan.pause)
            let began = all.map(\.waveStartedAt).min() ?? state.waveStartedAt
            let rows = try await sql.query(
                RolloutHealth.query(mark(state), since: state.startedAt, wave: min(began, state.waveStartedAt))
            ).rows
            if let reason = try RolloutHealth(rows).objection(looks: plan.sizes.count - 1) {
                throw try await halted(&state, reason)
            }
            state.wave += 1
            (state.name, state.waveStartedAt) = (.running, now())
        }
    }

    private func mark(_ state: State) -> String { "\(catalog)/\(state.number)" }

    private static func place(_ item: SchemaSync.Item) -> UInt64 { CloudRunTask.stableHash(item.subject) }

    /// The state to go on from, or a new one. `nil` if there is nothing to do.
    private func begin(isIdle: Bool) async throws -> State? {
        let rows = try await states()
        let newest = rows.filter { $0.number == rows.last?.number && $0.count == Int64(task.count) }
        let mine = newest.first { $0.index == Int64(task.index) }
        if var found = mine, found.name != .finished {
            if isIdle {
                found.name = .finished
                try await save(found)
                return nil
            }
            if found.name == .halted {
                guard plan.resumes else {
                    throw RolloutHalt(
                        reason: "it was halted in wave \(found.wave): \(found.reason ?? ""); \(resuming(found))")
                }
                (found.name, found.reason, found.waveStartedAt) = (.running, nil, now())
            }
            report.line("the rollout goes on in wave \(found.wave)")
            found.waves = plan.text
            return found
        }
        guard !isIdle else { return nil }
        // Another task may have begun the rollout already. Rows of another number of tasks are those of a rollout that was given up.
        let isBegun = !newest.isEmpty && mine == nil
        let number = isBegun ? newest[0].number : (rows.last?.number ?? 0) + 1
        return State(
            number: number, waves: plan.text, index: Int64(task.index), count: Int64(task.count), startedAt: now(),
            waveStartedAt: now())
    }

    private func resuming(_ state: State) -> String {
        var command = command
        if plan.pause != WavePlan.usualPause { command.options += ["--pause", "\(plan.pause.components.seconds)s"] }
        return "to go on: \(command.with("--waves", state.waves, "--resume"))"
    }

    /// Why a run without waves must change nothing: it would undo what the waves are for.
    func objectionToOthers() async throws -> RolloutHalt? {
        let rows: [State]
        do {
            rows = try await states()
        } catch let error as WarehouseError where error.code == .notFound {
            return nil
        }
        let unfinished = rows.filter { $0.number == rows.last?.number && $0.name != .finished }
        guard let state = unfinished.first(where: { $0.name == .halted }) ?? unfinished.first else { return nil }
        let reason = state.reason.map { ": \($0)" } ?? ""
        return RolloutHalt(
            reason:
                "a rollout of this catalog is \(state.name.rawValue) in wave \(state.wave)\(reason); nothing was changed; "
                + resuming(state))
    }

    private func halted(_ state: inout State, _ reason: String) async throws -> RolloutHalt {
        (state.name, state.reason) = (.halted, reason)
        try await save(state)
        return RolloutHalt(reason: "halted in wave \(state.wave): \(reason); \(resuming(state))")
    }

    private func part(of items: [SchemaSync.Item], _ state: State) async throws -> [SchemaSync.Item] {
        guard let limit = plan.limit(through: state.wave, of: task) else { return items }
        let touched = Set(try await sql.query(touched(state)).rows.map { try $0.string("subject") })
        let begun = items.filter { touched.contains($0.subject) }
        return begun + items.filter { !touched.contains($0.subject) }.prefix(max(0, limit - touched.count))
    }

    /// Waits until every task has done its part of the wave.
    ///
    /// - Parameter start: When this run began. An older halt of another task is one that the operator resumes.
    private func everyTask(_ state: inout State, since start: Timestamp) async throws -> [State] {
        for _ in 0..<Self.mostLooks {
            let number = state.number
            let rows = try await states().filter { $0.number == number && $0.count == Int64(task.count) }
            let halts = rows.filter { row in
                let isResumed = plan.resumes && row.updatedAt.map { $0 < start } == true
                return row.name == .halted && row.index != Int64(task.index) && !isResumed
            }
            if let other = halts.first {
                throw try await halted(&state, "task \(other.index) halted: \(other.reason ?? "")")
            }
            let wave = state.wave
            let done = rows.filter { $0.wave > wave || $0.name == .waiting || $0.name == .finished }
            if done.count >= task.count { return rows }
            try await sleep(Self.interval)
        }
        throw try await halted(
            &state,
            "other tasks did not do their part within an hour; let all tasks run at once (parallelism in jobs.yaml)")
    }

    // MARK: - SQL

    private func states() async throws -> [State] {
        let statement = Statement(
            "read the rollouts", Self.readSQL, parameters: ["catalog": .string(catalog)])
        return try await sql.query(statement).rows.map { row in
            guard let name = State.Name(rawValue: try row.string("state")) else {
                throw WarehouseError(
                    .unexpectedResult, operation: "read the rollouts",
                    message: "a row of \(Self.table) has an unknown state")
            }
            return State(
                number: try row.int64("number"), waves: try row.string("waves"), index: try row.int64("task_index"),
                count: try row.int64("task_count"),
                wave: Int(try row.int64("wave")), name: name, reason: try row.optionalString("reason"),
                remaining: try row.int64("remaining"), startedAt: try row.timestamp("started_at"),
                waveStartedAt: try row.timestamp("wave_started_at"), updatedAt: try row.timestamp("updated_at"))
        }
    }

    private func save(_ state: State) async throws { _ = try await sql.merge(saving(state)) }

    func saving(_ state: State) -> MergeStatement {
        let columns: [(String, SQLValue)] = [
            ("catalog", .string(catalog)), ("number", .int64(state.number)), ("task_index", .int64(state.index)),
            ("task_count", .int64(state.count)), ("waves", .string(state.waves)), ("wave", .int64(Int64(state.wave))),
            ("state", .string(state.name.rawValue)), ("reason", state.reason.map { .string($0) } ?? .null(.string)),
            ("remaining", .int64(state.remaining)), ("started_at", .timestamp(state.startedAt)),
            ("wave_started_at", .timestamp(state.waveStartedAt)),
            ("execution", task.execution.map { .string($0) } ?? .null(.string)), ("updated_at", .timestamp(now())),
        ]
        let names = columns.map(\.0)
        return MergeStatement(
            "save the state of the rollout", into: Self.table,
            from: "SELECT \(names.map { "@\($0) AS \($0)" }.joined(separator: ", "))",
            keys: ["catalog", "number", "task_index", "task_count"], scope: "TRUE",
            compared: ["waves", "wave", "state", "reason", "remaining", "wave_started_at"],
            stamped: ["execution", "updated_at"],
            inserted: names, parameters: columns.map { SQLValue.Field($0.0, $0.1) })
    }

    func touched(_ state: State) -> Statement {
        Statement(
            "list the organizations of the rollout", Self.touchedSQL,
            parameters: [
                "rollout": .string(mark(state)), "task_index": .int64(Int64(task.index)),
                "started": .timestamp(state.startedAt.adding(.seconds(-86_400))),
            ])
    }

    static let readSQL = """
        SELECT number, waves, task_index, task_count, wave, state, reason, remaining, started_at, wave_started_at, updated_at
        FROM \(table.sql) WHERE catalog = @catalog ORDER BY number, task_index
        """
    static let touchedSQL = """
        SELECT DISTINCT subject FROM \(SchemaHistory.table.sql)
        WHERE rollout = @rollout AND task_index = @task_index AND applied_at >= @started
        """
}
