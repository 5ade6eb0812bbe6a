import FoundationEssentials
import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import QuotaKit
@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

@Suite struct QuotaStatementTests {
    private static let now = instant("2026-02-01T00:05:00Z")

    @Test func googleSQLAnalyzesEveryStatement() async throws {
        let analyzer = try SQLAnalyzer.ofServiceTables()
        let statements = Self.statements(columns: .standard)

        let problems = try await analyzer.problems(in: statements)

        #expect(problems.map(\.description) == [])
        #expect(statements.count == 17)
    }

    @Test func googleSQLAnalyzesTheStatementsWithOtherColumns() async throws {
        let columns = try #require(Self.renamed)
        let analyzer = try SQLAnalyzer.ofServiceTables(Self.catalog(columns: columns))

        let problems = try await analyzer.problems(in: Self.statements(columns: columns))
        let refused = try await analyzer.problems(in: Self.statements(columns: .standard))

        #expect(problems.map(\.description) == [])
        // Both resets, their previews and the one that only inserts name the counters, and nothing else does.
        #expect(refused.count == 5)
    }

    @Test(arguments: Backend.allCases)
    func otherColumnsAreWritten(_ backend: Backend) async throws {
        let columns = try #require(Self.renamed)
        var fixture = try await QuotaFixture(
            backend.warehouse("quota-columns"), catalog: try Self.catalog(columns: columns))
        fixture.columns = (columns.daily, columns.monthly)
        try await fixture.add(active: ["acme"])
        try await fixture.add(runs: [LoggedRun("one", "acme", "COMPLETED", instant("2026-02-01T00:01:00Z"))])

        try await fixture.perform(.daily, at: Self.now, columns: columns)
        try await fixture.run("UPDATE `organizations.org_usage_quotas` SET runs_this_month = 9 WHERE true")
        try await fixture.perform(.monthly, at: Self.now, columns: columns)
        try await fixture.perform(.stale, at: Self.now)
        try await fixture.perform(.retention(days: 31), at: Self.now)

        let row = try #require(try await fixture.row("acme"))
        #expect(row.daily == 1)
        #expect(row.monthly == 1)
    }

    /// Statements read few partitions of the two tables that grow: for each mention of one there is a bound of its partition
    /// column, by parameters.
    @Test func everyMentionOfAGrowingTableIsBounded() {
        let bounds = [
            "org_meta_pipeline_runs": [
                "start_time >= @log_start AND start_time < @day_end",
                "start_time >= @month_start AND start_time < @day_end",
                // What a pass does not read, it counts, whatever its age.
                "start_time < @log_start AND status IN",
            ],
            "org_usage_quotas": [
                "usage_date = @usage_date", "usage_date >= @first_day AND usage_date <= @today",
                "`usage_date` < @first_kept",
            ],
        ]
        for statement in Self.statements(columns: .standard) {
            let sql = statement.sql.split(separator: "q.").joined()
            for (table, bounds) in bounds {
                let mentions = Self.count("`organizations.\(table)`", in: sql)
                #expect(bounds.reduce(0) { $0 + Self.count($1, in: sql) } == mentions, "\(statement.name): \(table)")
            }
        }
    }

    private static func count(_ part: String, in text: String) -> Int {
        text.split(separator: part, omittingEmptySubsequences: false).count - 1
    }

    private static var renamed: QuotaColumns? {
        var reader = EnvironmentReader(["QUOTA_DAILY_COLUMN": "order", "QUOTA_MONTHLY_COLUMN": "runs_this_month"])
        let columns = QuotaColumns(reading: &reader)
        return reader.problems.isEmpty ? columns : nil
    }

    private static func statements(columns: QuotaColumns) -> [SQLAnalyzer.Statement] {
        let reset = QuotaResetStatements(
            day: QuotaDay(now.date), columns: columns, now: now, staleAfter: .seconds(3600),
            fence: LeaseFence(jobs: ["a"], token: "t"))
        let stale = StaleRunStatements(
            day: QuotaDay(now.date), now: now, staleAfter: StaleAge(minutes: 60), lookbackDays: 7)
        var recent = stale
        recent.seeksOlderRuns = false
        let lease = LeaseStatements(jobs: ["a"], holder: "h", token: "t")
        let all: [(String, Statement)] = [
            ("census", reset.census), ("open day", merge(reset.openDay)), ("open day, preview", reset.openDay.preview),
            ("open day, missing rows only", merge(reset.openDay.insertingOnly)), ("month", merge(reset.recountMonth)),
            ("month, preview", reset.recountMonth.preview),
            ("stale runs", stale.census), ("recent stale runs", recent.census), ("mark", stale.markAsFailed),
            ("wrong", stale.wrongCounters),
            ("correct", stale.correctCounters),
            ("take", lease.take(at: now, until: now)), ("read", lease.read()), ("seed", lease.seed(at: now)),
            ("keep", lease.keep("t", at: now, until: now)), ("release", lease.release(at: now)),
            ("confirm the release", lease.marked()),
        ]
        return all.map { $1.forAnalysis(named: $0) }
    }

    private static func merge(_ merge: MergeStatement) -> Statement {
        merge.statement(BigQueryWarehouse.sql(of: merge))
    }

    static func catalog(columns: QuotaColumns, adding others: [String] = []) throws -> Catalog {
        var files: [Catalog.Group: [CatalogFile]] = [:]
        for group in [Catalog.Group.organizations, .operations] {
            files[group] = try Catalog.embedded([group]).tables(group).map { named in
                var table = named.table
                for index in table.schema.fields.indices where named.name == "org_usage_quotas" {
                    let name = table.schema.fields[index].name
                    if name == QuotaColumns.standard.daily { table.schema.fields[index].name = columns.daily }
                    if name == QuotaColumns.standard.monthly { table.schema.fields[index].name = columns.monthly }
                }
                if named.name == "org_usage_quotas" { table.schema.fields += others.map { FieldSchema($0, "INTEGER") } }
                return CatalogFile(name: named.name, path: named.name, contents: try JSONEncoder().encode(table))
            }
        }
        return try Catalog(files)
    }
}
