import JobRuntime
import TestSupport
import Testing
import WarehouseKit

/// A warehouse and the model of it, and what may happen to both.
struct QuotaWorld {
    let fixture: QuotaFixture
    var model = QuotaModel()
    private var random: SplitMix64
    private var now = instant("2028-02-27T21:00:00Z")
    private var number = 0
    private let slugs = ["acme", "globex", "initech", "umbrella"]

    init(fixture: QuotaFixture, seed: UInt64) {
        self.fixture = fixture
        random = SplitMix64(seed: seed)
    }

    /// Does one thing at random and says what it was.
    mutating func step() async throws -> String {
        if number == 0 { try await found() }
        number += 1
        now = now.adding(.seconds(Int.random(in: 0...7200, using: &random)))
        // Towards the next midnight, month end and leap day in the course of a run.
        if Int.random(in: 0..<6, using: &random) == 0 { now = Timestamp(startOf: now.date.adding(days: 1)) }
        let event = Int.random(in: 0..<14, using: &random)
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

    private mutating func newRuns() -> [LoggedRun] {
        (0..<Int.random(in: 1...5, using: &random)).map { _ in
            number += 1
            let age = Duration.microseconds(Int64.random(in: 0...10_800_000_000, using: &random))
            return LoggedRun(
                "run_\(10_000 + number)", slugs.randomElement(using: &random)!,
                ["RUNNING", "RUNNING", "PENDING", "COMPLETED", "FAILED", "CANCELLED"].randomElement(using: &random)!,
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

    /// Runs are logged between the statements of a job. What it counted of them is not said; the same job a second later, with
    /// nothing in between, must have them all, whatever rows and marks the first one made.
    private mutating func runWhileRunsArrive() async throws {
        let job: QuotaFixture.Job = [.daily, .stale].randomElement(using: &random)!
        let arriving = (0..<4).map { _ in newRuns() }
        let fixture = fixture
        let busy = FaultyWarehouse(fixture.warehouse) { index in
            if index < arriving.count { try await fixture.add(runs: arriving[index]) }
        }
        try await fixture.perform(job, at: now, on: busy)
        model.runs = try await fixture.runs()
        model.rows = try await fixture.rows()
        now = now.adding(.seconds(1))
        try await perform(job)
    }
}
