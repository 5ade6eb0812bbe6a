import JobRuntime
import QuotaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// The service that enforces the limits at work, and the jobs in between: in random order, late, killed, and with runs that are
/// reserved, logged, ended and lost while a job works. Whatever happened, the next pass and the next reset end at the counters
/// that the service means.
@Suite struct EnforcingServiceTests {
    @Test(arguments: 1...60)
    func countersAreTheServicesOnTheEmbeddedWarehouse(seed: UInt64) async throws {
        try await play(seed, steps: 60, Backend.embedded)
    }

    @Test(arguments: [200, 201, 202])
    func countersAreTheServicesOnTheEmulator(seed: UInt64) async throws {
        try await play(seed, steps: 20, .emulator)
    }

    private func play(_ seed: UInt64, steps: Int, _ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("quota-service-\(seed)"))
        let world = ServiceWorld(fixture, seed: seed)
        try await fixture.add(active: ServiceWorld.slugs, limit: 100)
        for step in 1...steps {
            let event = try await world.step()
            guard step % 10 == 0 else { continue }
            let wrong = try await world.settle()
            #expect(wrong == [], "seed \(seed), step \(step), after \(event)")
            guard wrong.isEmpty else { return }
        }
        #expect(await world.endedRuns > 0)
    }
}

/// The runs as the service knows them, and what may happen to them.
actor ServiceWorld {
    static let slugs = ["acme", "globex"]

    /// A run from its reservation on.
    struct Run {
        var id: String
        var slug: String
        var reserved: Timestamp
        var isLogged = false
        /// Nobody will end it. It hangs in the log until a pass finds it.
        var isDead = false
        var outcome: String?
    }

    private let fixture: QuotaFixture
    private let service: Service
    private var random: SplitMix64
    private var now: Timestamp
    private var runs: [Run] = []
    private var number = 0

    init(_ fixture: QuotaFixture, seed: UInt64) {
        self.fixture = fixture
        service = Service(fixture)
        random = SplitMix64(seed: seed)
        now = instant(["2028-02-28T22:00:00Z", "2026-12-31T22:30:00Z", "2026-04-29T23:00:00Z"][Int(seed % 3)])
    }

    var endedRuns: Int { runs.count { $0.outcome != nil } }

    /// Time passes, and one thing happens. A run that is alive ends long before it would count as stale.
    func step() async throws -> String {
        now = now.adding(.seconds(Int.random(in: 1...1200, using: &random)))
        // A reservation reaches the log soon.
        if runs.contains(where: { !$0.isLogged && age($0) > 600 }) { try await logAll() }
        for place in runs.indices where isAlive(runs[place]) && age(runs[place]) > 2000 { try await end(place) }
        let event = Int.random(in: 0..<12, using: &random)
        switch event {
        case 0...2: try await reserve()
        case 3: try await logAll()
        case 4: if let place = alive() { try await end(place) }
        case 5: if let place = alive() { try await cancel(place) }
        case 6: if let place = alive() { try await lose(place) }
        case 7: try await fixture.perform(.stale, at: now)
        case 8: try await fixture.perform(.daily, at: now)
        case 9: try await performForYesterday()
        case 10: try await performAndDie()
        default: try await performWhileTheServiceWorks()
        }
        return "event \(event) at \(now)"
    }

    /// The next pass and the next reset, a while after the service has done what it was doing. Returns what is wrong then.
    func settle() async throws -> [String] {
        try await logAll()
        now = now.adding(.seconds(60))
        let before = try await fixture.rows()
        try await fixture.perform(.stale, at: now)
        let yesterday = Timestamp(startOf: now.date.adding(days: -1))
        try await fixture.perform(.daily, at: yesterday, clock: now)
        try await fixture.perform(.daily, at: now)
        let rows = try await fixture.rows()
        var wrong: [String] = []
        for slug in Self.slugs {
            for day in [yesterday.date, now.date] {
                let failed = before.first { $0.slug == slug && $0.date == day }?.failed ?? 0
                let own = rows.filter { $0.slug == slug && $0.date == day }
                let meant = meaning(slug, day, counted: failed)
                if own.count != 1 || counters(own[0]) != meant {
                    wrong.append("\(slug) \(day): \(own.map(counters)), and \(meant) is meant")
                }
            }
        }
        return wrong
    }

    /// Daily, succeeded, failed, monthly and concurrent, from the service's own runs.
    private func meaning(_ slug: String, _ day: CivilDate, counted: Int64) -> [Int64] {
        let own = runs.filter { $0.slug == slug }
        let ofDay = own.filter { $0.reserved.date == day }
        let succeeded = ofDay.count { $0.outcome == "COMPLETED" }
        let failed = ofDay.count { $0.isLogged && ($0.outcome == "FAILED" || ($0.isDead && age($0) > 3600)) }
        let monthly = own.count {
            $0.outcome == "COMPLETED" && $0.reserved.date >= day.firstOfMonth && $0.reserved.date <= day
        }
        let open = ofDay.count { $0.outcome == nil && $0.isLogged && age($0) <= 3600 }
        return [succeeded, succeeded, max(failed, Int(counted)), monthly, open].map(Int64.init)
    }

    private func counters(_ row: QuotaRow) -> [Int64] {
        [row.daily, row.succeeded, row.failed, row.monthly, row.running]
    }

    private func age(_ run: Run) -> Int { Int((now.microseconds - run.reserved.microseconds) / 1_000_000) }
    private func isAlive(_ run: Run) -> Bool { run.isLogged && !run.isDead && run.outcome == nil }
    private func alive() -> Int? { runs.indices.filter { isAlive(runs[$0]) }.randomElement(using: &random) }

    /// Some are refused after the reservation, and reach no log.
    private func reserve() async throws {
        let slug = Self.slugs.randomElement(using: &random)!
        guard try await service.reserve(slug, on: now.date) else { return }
        number += 1
        let isRefused = Int.random(in: 0..<5, using: &random) == 0
        if isRefused { return try await service.end(nil, as: "FAILED", slug, reserved: now.date) }
        runs.append(Run(id: "run_\(1000 + number)", slug: slug, reserved: now))
        if Bool.random(using: &random) { try await logAll() }
    }

    /// Reservations reach the log.
    private func logAll() async throws {
        for place in runs.indices where !runs[place].isLogged {
            runs[place].isLogged = true
            let run = runs[place]
            try await fixture.add(runs: [LoggedRun(run.id, run.slug, "RUNNING", run.reserved)])
        }
    }

    private func end(_ place: Int) async throws {
        let outcome = ["COMPLETED", "COMPLETED", "FAILED", "CANCELLED"].randomElement(using: &random)!
        runs[place].outcome = outcome
        let run = runs[place]
        try await service.end(run.id, as: outcome, run.slug, reserved: run.reserved.date)
    }

    private func cancel(_ place: Int) async throws {
        try await fixture.run(
            "UPDATE `organizations.org_meta_pipeline_runs` SET status = 'CANCELLING' WHERE pipeline_logging_id = @id",
            ["id": .string(runs[place].id)])
    }

    private func lose(_ place: Int) async throws { runs[place].isDead = true }

    private func performForYesterday() async throws {
        let job: QuotaFixture.Job = Bool.random(using: &random) ? .daily : .stale
        try await fixture.perform(job, at: Timestamp(startOf: now.date.adding(days: -1)), clock: now)
    }

    private func performAndDie() async throws {
        let job: QuotaFixture.Job = [.daily, .monthly, .stale].randomElement(using: &random)!
        let fault: FaultyWarehouse.Fault = [.killedBefore(1), .killedDuring(0), .killedDuring(1), .killedDuring(3)]
            .randomElement(using: &random)!
        _ = try? await fixture.perform(job, at: now, on: FaultyWarehouse(fixture.warehouse, fault))
    }

    private func performWhileTheServiceWorks() async throws {
        let job: QuotaFixture.Job = [.daily, .stale].randomElement(using: &random)!
        let busy = FaultyWarehouse(
            fixture.warehouse,
            beforeEach: { [self] _ in try await work() }, afterEach: { [self] _ in try await work() })
        try await fixture.perform(job, at: now, on: busy)
    }

    private func work() async throws {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: try await reserve()
        case 1: try await logAll()
        case 2: if let place = alive() { try await end(place) }
        default: if let place = alive() { try await lose(place) }
        }
    }
}
