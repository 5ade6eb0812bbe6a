import ArgumentParser
import EmbeddedWarehouse
import JobRuntime
import Synchronization
import TestSupport
import Testing
import WarehouseKit

@testable import SchemaKit
@testable import Warehouse

@Suite(.timeLimit(.minutes(10))) struct RolloutTests {
    private static let waves = WavePlan(sizes: [1, 2, nil], pause: .seconds(600))

    private func fixture(_ count: Int, _ backend: Backend = .embedded) async throws -> OrganizationFixture {
        let fixture = try await OrganizationFixture(
            try await backend.warehouse("rollout-\(count)"), (0..<count).map { .init("org_\(1000 + $0)") })
        try await fixture.sync(catalog: SchemaHistoryTests.catalog(["name", "contract_id"]))
        return fixture
    }

    private static func new() throws -> Catalog { try SchemaHistoryTests.catalog(["name", "contract_id", "notes"]) }

    /// How many organizations have the last column of the catalog.
    private func changed(_ fixture: OrganizationFixture, _ count: Int, _ column: String = "notes") async throws -> Int {
        let targets = (0..<count).map { number in
            let slug = "org_\(1000 + number)"
            return SurveyTarget(subject: slug, dataset: DatasetID("\(slug)_test")!)
        }
        let tables = [NamedTable("plans", Table(fields: [FieldSchema(column, "STRING")]))]
        let scope = SurveyScope(.datasets(targets), location: "US", known: .targets)
        var changed = 0
        for group in try await fixture.warehouse.survey(scope, for: tables).groups {
            guard case .table(_, let table) = group.state else { continue }
            changed += table.schema.fields.contains { $0.name == column } ? group.count : 0
        }
        return changed
    }

    private func rollout(
        _ fixture: OrganizationFixture, _ plan: WavePlan? = waves, catalog: Catalog? = nil,
        through warehouse: (any Warehouse)? = nil,
        task: CloudRunTask = CloudRunTask(), approval: Approval = .none, clock: Clock? = nil,
        onPause: @escaping @Sendable () async throws -> Void = {}
    ) async throws -> ReportFixture {
        let report = ReportFixture()
        let warehouse = warehouse ?? fixture.warehouse
        var sync = OrganizationSync(
            sql: warehouse, schema: warehouse, catalog: try catalog ?? Self.new(), environment: .test,
            report: report.report,
            task: task)
        sync.history = SchemaHistory(sql: warehouse, job: "org-sync-all", task: task)
        sync.waves = plan
        sync.approval = approval
        if let clock { sync.now = { clock.now } }
        sync.sleep = { duration in
            // Other tasks are waited for in steps, and there are enough of them for any machine.
            if duration == plan?.pause { try await onPause() } else { try await Task.sleep(for: .milliseconds(100)) }
        }
        do {
            try await sync.run()
        } catch let halt as RolloutHalt {
            report.report.fail(halt.operation, halt.reason)
        }
        return report
    }

    private func states(_ fixture: OrganizationFixture) async throws -> [String] {
        try await fixture.warehouse.query(
            Statement(
                "read",
                "SELECT number, task_index, wave, state FROM `scheduler_jobs.rollouts` ORDER BY number, task_index")
        ).rows.map { row in
            "\(try row.int64("number")).\(try row.int64("task_index")): wave \(try row.int64("wave")) \(try row.string("state"))"
        }
    }

    @Test func aWaveChangesNoMoreOrganizationsThanItsSize() async throws {
        let fixture = try await fixture(7)
        let seen = Seen()

        let report = try await rollout(fixture) {
            let number = try await changed(fixture, 7)
            seen.add(number)
        }
        let again = try await rollout(fixture)

        #expect(seen.all == [1, 3])
        #expect(report["columns_added"] == 7)
        #expect(try await states(fixture) == ["1.0: wave 3 finished"])
        #expect(again["in_sync"] == 7)
    }

    /// One wrong letter in the catalog, approved all the same: a single tenant of a thousand has it when the first pause begins.
    @Test func anApprovedMisspellingHasReachedOneOfAThousandTenantsWhenTheFirstPauseBegins() async throws {
        let fixture = try await fixture(1000, .emulator)
        let wrong = try SchemaHistoryTests.catalog(["name", "contrct_id"])
        let dry = try await fixture.sync(catalog: wrong, isDryRun: true)
        let line = try #require(dry.output.split(separator: "\n").first { $0.hasPrefix("Digest: ") })
        let digest = try #require(PlanDigest(String(line.dropFirst(8))))
        let seen = Seen()
        let plan = WavePlan(sizes: [1, 10, 100, nil], pause: .seconds(600))

        let refused = try await rollout(fixture, plan, catalog: wrong, approval: Approval(of: [], isRequired: true))
        let untouched = try await changed(fixture, 1000, "contrct_id")
        await #expect(throws: CancellationError.self) {
            _ = try await rollout(fixture, plan, catalog: wrong, approval: Approval(of: [digest], isRequired: true)) {
                let number = try await changed(fixture, 1000, "contrct_id")
                seen.add(number)
                throw CancellationError()
            }
        }

        #expect(dry.output.contains("Check: add plans.contrct_id STRING: it looks like a misspelling of contract_id"))
        #expect(!refused.failures.isEmpty)
        #expect(untouched == 0)
        #expect(seen.all == [1])
    }

    @Test(arguments: [true, false])
    func aRunThatIsKilledAnywhereGoesOnInsideItsWave(_ diesBefore: Bool) async throws {
        for kill in 0..<40 {
            let fixture = try await fixture(7)
            let check: @Sendable () async throws -> Void = {
                let number = try await changed(fixture, 7)
                // After the first wave one organization, after the second three.
                #expect(number == 1 || number == 3, "killed at \(kill)")
            }
            let faulty = FaultyWarehouse(
                fixture.warehouse, diesBefore ? .killedBefore(kill) : .killedDuring(kill))

            _ = try? await rollout(fixture, through: faulty, onPause: check)
            #expect(try await [0, 1, 3, 7].contains(changed(fixture, 7)), "killed at \(kill)")
            let report = try await rollout(fixture, onPause: check)

            #expect(report.failures.isEmpty, "killed at \(kill): \(report.failures)")
            #expect(try await changed(fixture, 7) == 7)
            #expect(try await states(fixture).allSatisfy { $0.hasSuffix("finished") })
            if faulty.statements <= kill { return }
        }
        Issue.record("the rollout has more than 40 statements")
    }

    @Test func tasksShareEachWaveAndWaitForEachOther() async throws {
        let fixture = try await fixture(9)
        let seen = Seen()

        let reports = try await withThrowingTaskGroup(of: ReportFixture.self) { group in
            for index in 0..<3 {
                group.addTask {
                    try await rollout(fixture, task: CloudRunTask(index: index, count: 3)) {
                        let number = try await changed(fixture, 9)
                        seen.add(number)
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }

        #expect(reports.reduce(0) { $0 + $1["columns_added"] } == 9)
        #expect(seen.all.allSatisfy { $0 <= 9 })
        #expect((seen.all.min() ?? 9) <= 1)
        #expect(try await states(fixture) == ["1.0: wave 3 finished", "1.1: wave 3 finished", "1.2: wave 3 finished"])
    }

    @Test func oneReasonOfManyOrganizationsHaltsUntilSomebodyResumes() async throws {
        let fixture = try await fixture(9)
        let plan = WavePlan(sizes: [1, nil], mostFailures: 3)
        let refusing = UpdatedWarehouse(fixture.warehouse) { reference in throw Self.refusal(of: reference) }

        let halted = try await rollout(fixture, plan, through: refusing)
        let still = try await rollout(fixture, plan)
        let plain = try await rollout(fixture, nil)
        var resumed = plan
        resumed.resumes = true
        let done = try await rollout(fixture, resumed)

        let reason = try #require(halted.failures.last?.reason)
        #expect(reason.hasPrefix("halted in wave 2: 3 organizations failed for one reason: "))
        #expect(reason.hasSuffix("to go on: ./scripts/run-job.sh test org-sync-all -- --waves 1,all --resume"))
        #expect(still.failures.last?.reason.hasPrefix("it was halted in wave 2: ") == true)
        #expect(
            plain.failures.last?.reason.hasPrefix(
                "a rollout of this catalog is halted in wave 2: 3 organizations failed")
                == true)
        #expect(plain["columns_added"] == 0)
        #expect(try await changed(fixture, 9) == 9)
        #expect(done.failures.isEmpty)
    }

    private static func refusal(of reference: TableReference) -> WarehouseError {
        WarehouseError(.invalid, operation: "add columns to table \(reference)", message: "not today")
    }

    /// No task has as many failures as the limit.
    @Test func theFailuresOfAllTasksCountTogether() async throws {
        let fixture = try await fixture(12)
        let plan = WavePlan(sizes: [nil], mostFailures: 10)
        let refusing = UpdatedWarehouse(fixture.warehouse) { reference in throw Self.refusal(of: reference) }

        let reports = try await withThrowingTaskGroup(of: ReportFixture.self) { group in
            for index in 0..<3 {
                group.addTask {
                    try await rollout(fixture, plan, through: refusing, task: CloudRunTask(index: index, count: 3))
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }

        let reasons = reports.compactMap { $0.failures.last?.reason }
        #expect(reasons.count == 3)
        #expect(
            reasons.contains { $0.hasPrefix("halted in wave 1: 12 organizations in 3 tasks failed for one reason: ") })
        #expect(try await states(fixture).allSatisfy { $0.hasSuffix("wave 1 halted") })
    }

    /// The pipelines of a changed organization fail at once. The last wave lasts long enough to see it.
    @Test func aLongLastWaveIsHaltedWithinIt() async throws {
        let fixture = try await fixture(60)
        var plan = WavePlan(sizes: [1, nil], pause: .seconds(600))
        plan.slice = 10
        let start = try #require(Timestamp("2026-01-01T01:00:00Z"))
        try await runs(fixture, 60, "2026-01-01T00:00:00Z") { _ in "COMPLETED" }
        let clock = Clock(start)
        let harming = UpdatedWarehouse(fixture.warehouse) { reference in
            let index = try #require(Int(reference.dataset.name.dropFirst(4).prefix(4))) - 1000
            try await runs(fixture, 60, "2026-01-02T00:\(10 + index % 50):00Z", only: index) { _ in "FAILED" }
            clock.advance(minutes: 2)
        }

        let report = try await rollout(fixture, plan, through: harming, clock: clock) {
            // The first organization is one that fails by chance, as far as anybody can tell.
            try await runs(fixture, 60, "2026-01-02T00:00:00Z") { _ in "SUCCESS" }
        }

        let reason = try #require(report.failures.last?.reason)
        #expect(reason.hasPrefix("halted in wave 2: pipelines began to fail in 11 of 11 organizations"))
        #expect(try await changed(fixture, 60) == 11)
    }

    /// All organizations had successful runs. After the change those fail that have it.
    @Test(arguments: [true, false])
    func pipelinesThatBeginToFailHaltTheRollout(_ isHarmful: Bool) async throws {
        let fixture = try await fixture(40)
        let plan = WavePlan(sizes: [1, 10, nil], pause: .seconds(600))
        let pauses = Mutex(0)
        try await runs(fixture, 40, "2026-01-01T00:00:00Z") { _ in "COMPLETED" }
        let instant = try #require(Timestamp("2026-01-01T01:00:00Z"))

        let report = try await rollout(fixture, plan, clock: Clock(instant)) {
            let number = pauses.withLock { count in
                count += 1
                return count
            }
            var hasColumn: [Bool] = []
            for index in 0..<40 {
                let reference = TableReference(DatasetID("org_\(1000 + index)_test")!, "plans")!
                hasColumn.append(try await fixture.warehouse.table(reference)?.schema.fields.count == 3)
            }
            let failing = hasColumn
            try await runs(fixture, 40, "2026-01-01T0\(number + 1):00:00Z") { index in
                (isHarmful && failing[index]) || index == 7 ? "FAILED" : "SUCCESS"
            }
        }

        #expect(try await changed(fixture, 40) == (isHarmful ? 11 : 40))
        #expect(report.failures.isEmpty == !isHarmful)
        if isHarmful {
            let reason = try #require(report.failures.last?.reason)
            #expect(
                reason.hasPrefix(
                    "halted in wave 2: pipelines began to fail in 11 of 11 organizations that were changed, and in "))
        }
    }

    private func runs(
        _ fixture: OrganizationFixture, _ count: Int, _ start: String, only index: Int? = nil,
        _ status: (Int) -> String
    ) async throws {
        let start = SQLValue.timestamp(try #require(Timestamp(start)))
        try await fixture.warehouse.insert(
            into: "organizations.org_meta_pipeline_runs",
            (index.map { $0..<$0 + 1 } ?? 0..<count).map { index in
                [
                    "pipeline_logging_id": .string("\(index) \(start)"), "org_slug": .string("org_\(1000 + index)"),
                    "pipeline_id": .string("aws"), "status": .string(status(index)), "start_time": start,
                    "created_at": start,
                ]
            })
    }

    @Test(arguments: [
        ("1,10,all", true), ("all", true), ("1,10", false), ("0,all", false), ("1,,all", false), ("x,all", false),
    ])
    func readsTheSizesOfWaves(_ text: String, _ isValid: Bool) {
        let options = try? WaveOptions.parse(["--waves", text])

        #expect((options != nil) == isValid)
    }

    @Test func theSharesOfTasksAreTheWave() {
        let plan = WavePlan(sizes: [1, 10, 100, nil])
        for wave in 1...3 {
            let sum = (0..<7).reduce(0) { $0 + (plan.limit(through: wave, of: CloudRunTask(index: $1, count: 7)) ?? 0) }
            #expect(sum == [1, 11, 111][wave - 1])
        }
        #expect(plan.limit(through: 4, of: CloudRunTask()) == nil)
    }
}

private final class Clock: Sendable {
    private let instant: Mutex<Timestamp>

    init(_ start: Timestamp) { instant = Mutex(start) }

    var now: Timestamp { instant.withLock { $0 } }
    func advance(minutes: Int) { instant.withLock { $0 = $0.adding(.seconds(60 * minutes)) } }
}

/// The numbers that pauses saw.
private final class Seen: Sendable {
    private let numbers = Mutex<[Int]>([])

    var all: [Int] { numbers.withLock { $0 } }
    func add(_ number: Int) { numbers.withLock { $0.append(number) } }
}

/// A warehouse in which something happens before each update of a schema.
private struct UpdatedWarehouse: Warehouse {
    let inner: any Warehouse
    let before: @Sendable (TableReference) async throws -> Void

    init(_ inner: any Warehouse, before: @escaping @Sendable (TableReference) async throws -> Void) {
        self.inner = inner
        self.before = before
    }

    func updateSchema(of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String) async throws {
        try await before(reference)
        try await inner.updateSchema(of: reference, to: fields, ifMatch: etag)
    }

    var location: String { inner.location }
    func query(_ statement: Statement) async throws -> QueryResult { try await inner.query(statement) }
    func merge(_ merge: MergeStatement) async throws -> MergeResult { try await inner.merge(merge) }
    func dataset(_ id: DatasetID) async throws -> Dataset? { try await inner.dataset(id) }
    func createDataset(_ dataset: Dataset) async throws -> Bool { try await inner.createDataset(dataset) }
    func table(_ reference: TableReference) async throws -> Table? { try await inner.table(reference) }
    func tables(in dataset: DatasetID) async throws -> [String] { try await inner.tables(in: dataset) }
    func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool {
        try await inner.createTable(reference, table)
    }
    func createTables(_ tables: [NamedTable], in dataset: DatasetID, at location: String) async throws {
        try await inner.createTables(tables, in: dataset, at: location)
    }
    func locations(of datasets: [DatasetID]) async throws -> DatasetLocations {
        try await inner.locations(of: datasets)
    }
    func update(_ reference: TableReference, with change: TableChange, ifMatch etag: String) async throws {
        try await inner.update(reference, with: change, ifMatch: etag)
    }
    func survey(_ scope: SurveyScope, for tables: [NamedTable]) async throws -> SchemaSurvey {
        try await inner.survey(scope, for: tables)
    }
    func members(
        of groups: [SchemaSurvey.Group], in scope: SurveyScope, for tables: [NamedTable]
    ) async throws -> SchemaSurvey.Members { try await inner.members(of: groups, in: scope, for: tables) }
}
