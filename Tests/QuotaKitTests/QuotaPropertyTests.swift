import EmbeddedWarehouse
import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// Jobs in random order, twice, late, side by side, with runs arriving in between, against the model that counts in Swift.
@Suite struct QuotaPropertyTests {
    @Test(arguments: 1...60)
    func countersAreRecountsOnTheEmbeddedWarehouse(seed: UInt64) async throws {
        try await play(seed, steps: 40, Backend.embedded)
    }

    @Test(arguments: [100, 101, 102, 103, 104])
    func countersAreRecountsOnTheEmulator(seed: UInt64) async throws {
        try await play(seed, steps: 12, .emulator)
    }

    private func play(_ seed: UInt64, steps: Int, _ backend: Backend) async throws {
        var world = QuotaWorld(
            fixture: try await QuotaFixture(backend.warehouse("quota-property-\(seed)")), seed: seed)
        let first = world.date
        for step in 0..<steps {
            let event = try await world.step()
            let rows = try await world.fixture.rows()
            #expect(rows == QuotaRow.inOrder(world.model.rows), "seed \(seed), step \(step): \(event)")
            let runs = try await world.fixture.runs()
            #expect(runs == world.model.runs.sorted { $0.id < $1.id }, "seed \(seed), step \(step): \(event)")
            guard rows == QuotaRow.inOrder(world.model.rows) else { return }
        }
        #expect(world.date > first)
    }
}

/// A warehouse and the model of it, and what may happen to both.
struct QuotaWorld {
    let fixture: QuotaFixture
    var model = QuotaModel()
    private var random: SplitMix64
    private var now: Timestamp
    private let secondDay: Timestamp
    private var steps = 0
    private var number = 0
    private let slugs = ["acme", "globex", "initech", "umbrella"]

    init(fixture: QuotaFixture, seed: UInt64) {
        self.fixture = fixture
        random = SplitMix64(seed: seed)
        now = instant(Self.starts[Int(seed) % Self.starts.count])
        secondDay = Timestamp(startOf: now.date.adding(days: 1))
    }

    var date: CivilDate { now.date }

    /// Evenings before a leap day, the end of its month, of that month in a common year, of one with 30 days, and of a year.
    private static let starts = [
        "2028-02-28T22:00:00Z", "2028-02-29T22:00:00Z", "2027-02-28T22:00:00Z", "2026-04-30T22:00:00Z",
        "2026-12-31T22:00:00Z",
    ]

    /// Does one thing at random and says what it was.
    mutating func step() async throws -> String {
        if steps == 0 { try await found() }
        steps += 1
        number += 1
        now = now.adding(.seconds(Int.random(in: 0...7200, using: &random)))
        // Over many a midnight in the course of a run, and over the first one in any.
        if Int.random(in: 0..<6, using: &random) == 0 { now = Timestamp(startOf: now.date.adding(days: 1)) }
        if steps == 5 { now = max(now, secondDay) }
        let event = Int.random(in: 0..<15, using: &random)
        switch event {
        case 0...3: try await logRuns()
        case 4: try await endRuns()
        case 5: try await changeSubscription()
        case 6: try await insertForeignRow()
        case 7: try await runTwiceAtOnce()
        case 8: try await runWhileRunsArrive()
        case 9, 10: try await perform(.stale)
        case 11: try await perform(.retention(days: Int.random(in: 1...3, using: &random)))
        case 12: try await perform(.monthly)
        case 13: try await performForTheDayBefore([.daily, .stale].randomElement(using: &random)!)
        default: try await perform(.daily)
        }
        return "event \(event) at \(now)"
    }

    private mutating func found() async throws {
        try await fixture.add(active: slugs.dropLast())
        try await fixture.add(profiles: [("umbrella", "SUSPENDED")])
        model.active = Set(slugs.dropLast())
        model.subscriptions = slugs.dropLast().map {
            Subscription(id: "sub_\($0)", slug: $0, limits: Limits(daily: 6), created: QuotaFixture.longAgo)
        }
    }

    private mutating func perform(_ job: QuotaFixture.Job) async throws {
        try await fixture.perform(job, at: now)
        model.perform(job, at: now)
    }

    private mutating func performForTheDayBefore(_ job: QuotaFixture.Job) async throws {
        let midnight = Timestamp(startOf: now.date.adding(days: -1))
        try await fixture.perform(job, at: midnight, clock: now)
        model.perform(job, at: midnight, clock: now)
    }

    private mutating func newRuns() -> [LoggedRun] {
        (0..<Int.random(in: 1...5, using: &random)).map { _ in
            number += 1
            let age = Duration.microseconds(Int64.random(in: 0...10_800_000_000, using: &random))
            return LoggedRun(
                "run_\(10_000 + number)", slugs.randomElement(using: &random)!,
                ["RUNNING", "RUNNING", "PENDING", "CANCELLING", "COMPLETED", "FAILED", "CANCELLED"]
                    .randomElement(using: &random)!,
                now.adding(.zero - age))
        }
    }

    private mutating func logRuns() async throws {
        let runs = newRuns()
        try await fixture.add(runs: runs)
        model.runs += runs
    }

    private mutating func endRuns() async throws {
        let slug = slugs.randomElement(using: &random)!
        try await fixture.run(
            """
            UPDATE `organizations.org_meta_pipeline_runs` SET status = 'COMPLETED'
            WHERE org_slug = @slug AND status = 'RUNNING'
            """, ["slug": .string(slug)])
        for place in model.runs.indices where model.runs[place].slug == slug && model.runs[place].status == "RUNNING" {
            model.runs[place].status = "COMPLETED"
        }
    }

    private mutating func changeSubscription() async throws {
        number += 1
        let subscription = Subscription(
            id: "sub_\(number)", slug: slugs.randomElement(using: &random)!,
            status: ["ACTIVE", "TRIAL", "CANCELLED"].randomElement(using: &random)!,
            limits: Limits(daily: Int64.random(in: 1...100, using: &random)), created: now)
        try await fixture.add(subscriptions: [subscription])
        model.subscriptions.append(subscription)
    }

    private mutating func insertForeignRow() async throws {
        number += 1
        var row = QuotaRow(
            id: "uuid-\(number)", slug: slugs.randomElement(using: &random)!,
            date: now.date.adding(days: Int.random(in: -3...0, using: &random)), at: now)
        row.daily = Int64.random(in: 0...9, using: &random)
        row.running = Int64.random(in: 0...3, using: &random)
        row.highest = row.running
        row.dailyLimit = 1
        try await fixture.add(rows: [row])
        model.rows.append(row)
    }

    /// Two executions of a job; the lease lets one of them work, or one after the other.
    private mutating func runTwiceAtOnce() async throws {
        let (fixture, now) = (fixture, now)
        let job: QuotaFixture.Job = [.daily, .monthly, .stale].randomElement(using: &random)!
        let worked = try await withThrowingTaskGroup(of: Bool.self) { group in
            for holder in ["one", "two"] {
                group.addTask { try await fixture.performLeased(job, at: now, holder: holder, clock: now) }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(worked >= 1)
        model.perform(job, at: now)
    }

    /// Runs are logged between the statements of a job. Each of them is counted or not, but the rows are the same, and of the runs
    /// only stale ones are changed. The same job a second later, with nothing in between, must have them all.
    private mutating func runWhileRunsArrive() async throws {
        let job: QuotaFixture.Job = [.daily, .stale].randomElement(using: &random)!
        let arriving = (0..<4).map { _ in newRuns() }
        let fixture = fixture
        let busy = FaultyWarehouse(
            fixture.warehouse,
            afterEach: { index in
                if index < arriving.count { try await fixture.add(runs: arriving[index]) }
            })
        try await fixture.perform(job, at: now, on: busy)
        var (fewest, most) = (model, model)
        let arrived = arriving.prefix(busy.statements).flatMap(\.self)
        most.runs += arrived
        fewest.perform(job, at: now)
        most.perform(job, at: now)
        let (runs, rows) = (try await fixture.runs(), try await fixture.rows())
        expect(rows, between: QuotaRow.inOrder(fewest.rows), and: QuotaRow.inOrder(most.rows))
        expect(runs, from: model.runs + arrived, to: most.runs)
        model.runs = runs
        model.rows = rows
        now = now.adding(.seconds(1))
        try await perform(job)
    }

    private func expect(_ rows: [QuotaRow], between fewest: [QuotaRow], and most: [QuotaRow]) {
        #expect(rows.map(\.id) == most.map(\.id))
        #expect(rows.map(\.date) == most.map(\.date))
        for (row, (few, many)) in zip(rows, zip(fewest, most)) {
            #expect(row.counts(atLeast: few) && many.counts(atLeast: row), "\(few) <= \(row) <= \(many)")
        }
    }

    private func expect(_ runs: [LoggedRun], from before: [LoggedRun], to after: [LoggedRun]) {
        let pairs = zip(before.sorted { $0.id < $1.id }, after.sorted { $0.id < $1.id })
        #expect(runs.count == before.count)
        for (run, (unmarked, marked)) in zip(runs, pairs) { #expect(run == unmarked || run == marked) }
    }
}

/// The quota jobs in plain Swift. Every counter is recounted from the runs.
struct QuotaModel: Equatable {
    var active: Set<String> = []
    var subscriptions: [Subscription] = []
    var runs: [LoggedRun] = []
    var rows: [QuotaRow] = []
    var staleAfterMinutes = 60
    var lookbackDays = 7

    /// - Parameter clock: When it really is, where the job runs for another day.
    mutating func perform(_ job: QuotaFixture.Job, at now: Timestamp, clock: Timestamp? = nil) {
        switch job {
        case .daily: reset(now.date, clock: clock ?? now, monthOnly: false)
        case .monthly: reset(now.date, clock: clock ?? now, monthOnly: true)
        case .stale: clean(now.date, at: clock ?? now)
        case .retention(let days): rows.removeAll { $0.date < now.date.adding(days: -days) }
        }
    }

    private func staleBefore(_ now: Timestamp) -> Timestamp { now.adding(.seconds(-60 * staleAfterMinutes)) }

    private mutating func reset(_ date: CivilDate, clock: Timestamp, monthOnly: Bool) {
        for slug in active.sorted() {
            let live = subscriptions.filter { $0.slug == slug && ["ACTIVE", "TRIAL"].contains($0.status) }
            guard let newest = live.max(by: { ($0.created, $0.id) < ($1.created, $1.id) }) else { continue }
            let places = rows.indices.filter { rows[$0].slug == slug && rows[$0].date == date }
            for place in places {
                var row = rows[place]
                count(&row, date < clock.date ? nil : newest.limits, at: clock, monthOnly: monthOnly)
                guard row != rows[place] else { continue }
                row.lastUpdated = clock
                row.updated = clock
                rows[place] = row
            }
            guard places.isEmpty else { continue }
            let digits = date.description.filter { $0 != "-" }
            var row = QuotaRow(id: "\(slug)_\(digits)", slug: slug, date: date, at: clock)
            row.highest = 0
            count(&row, newest.limits, at: clock, monthOnly: false)
            rows.append(row)
        }
    }

    /// - Parameter limits: `nil` for a row that keeps its own.
    private func count(_ row: inout QuotaRow, _ limits: Limits?, at now: Timestamp, monthOnly: Bool) {
        let succeeded = runs.filter { $0.slug == row.slug && $0.status == "COMPLETED" }
        row.monthly = Int64(succeeded.count { $0.start.date >= row.date.firstOfMonth && $0.start.date <= row.date })
        guard !monthOnly else { return }
        row.daily = Int64(succeeded.count { $0.start.date == row.date })
        row.succeeded = row.daily
        raiseFailed(&row)
        row.running = running(row, at: now)
        row.raiseHighest()
        if let limits { row.take(limits) }
    }

    private func raiseFailed(_ row: inout QuotaRow) {
        let failed = runs.count { $0.slug == row.slug && $0.status == "FAILED" && $0.start.date == row.date }
        row.failed = max(row.failed, Int64(failed))
    }

    private func running(_ row: QuotaRow, at now: Timestamp) -> Int64 {
        Int64(
            runs.count {
                $0.slug == row.slug && $0.isOpen && $0.start.date == row.date && $0.start >= staleBefore(now)
            })
    }

    private mutating func clean(_ day: CivilDate, at now: Timestamp) {
        let firstDay = day.adding(days: -lookbackDays)
        for place in runs.indices
        where runs[place].isOpen && runs[place].start < staleBefore(now)
            && (firstDay...day).contains(runs[place].start.date)
        {
            let run = runs[place]
            runs[place].error =
                "\(run.status) for more than \(staleAfterMinutes) minutes: marked as failed by stale-cleanup"
            runs[place].status = "FAILED"
            runs[place].end = now
            runs[place].durationMilliseconds = (now.microseconds - run.start.microseconds) / 1000
        }
        for place in rows.indices where (day.adding(days: -2)...day).contains(rows[place].date) {
            var row = rows[place]
            row.running = running(row, at: now)
            row.raiseHighest()
            if row.date >= firstDay { raiseFailed(&row) }
            guard row != rows[place] else { continue }
            row.lastUpdated = now
            row.updated = now
            rows[place] = row
        }
    }
}
