import Foundation
import JobRuntime
import TestSupport
import Testing
import Warehouse

@testable import SchemaKit
@testable import VerifyKit
@testable import WarehouseKit

@Suite struct AttestationTests {
    @Test func everyInvariantHoldsWhereTheJobsHaveDoneTheirWork() async throws {
        let right = try await RightWarehouse()

        let report = try await right.verify(isDryRun: false)

        #expect(report.failures.map { "\($0.subject): \($0.reason)" } == [])
        #expect(report["invariants_held"] == 22)
        let rows = try await right.warehouse.rows(of: "scheduler_jobs.verifications", orderedBy: "number")
        #expect(rows.count == 4)
        // Something was read for every invariant.
        #expect(!(try rows[3].string("results").contains(#""rows":0"#)))
    }

    /// Every statement resolves for GoogleSQL's analyzer, in all forms.
    @Test func everyStatementIsGoogleSQL() async throws {
        let now = RightWarehouse.night
        var expectations = Expectations(
            catalog: try Catalog.embedded(Catalog.Group.allCases), environment: .prod, location: "europe-west1")
        let standard = expectations.quotas("current_daily_pipelines", "current_monthly_pipelines")
        expectations.countsAllRuns = true
        let started = expectations.quotas("current_daily_pipelines", "current_monthly_pipelines")
        let looks: [InspectionStatement] = [
            standard.statement(), started.statement(), expectations.schema.statement(), BillingInspection.statement,
            QueueInspection.statement, QueueInspection.cursorStatement, ServiceInspection.leaseStatement,
            ServiceInspection.historyStatement, ServiceInspection.rolloutStatement,
        ]
        let fence = LeaseFence(jobs: ["verify"], token: "token")
        let chain = VerificationChain(
            warehouse: MeteredWarehouse(try await Backend.embedded.warehouse("x"), ReportFixture().report), fence: fence
        )
        let row = Verification(
            after: nil, instant: now, verifiedAt: now, verdict: "holds", results: "[]", execution: nil)
        var statements = looks.map { $0.statement(at: now, asking: nil).forAnalysis() }
        statements += [
            AuditInspection(days: 35).statement(at: now).forAnalysis(), chain.insertion(of: row).forAnalysis(),
            Statement("read", VerificationChain.latestSQL, parameters: ["length": .int64(100)]).forAnalysis(),
            Statement("read back", VerificationChain.numberSQL, parameters: ["number": .int64(1)]).forAnalysis(),
        ]

        let problems = try await SQLAnalyzer.ofServiceTables().problems(in: statements)

        #expect(problems == [])
    }

    /// A table is missing. Its invariants are not read, and all others still have their turn.
    @Test func anInvariantThatCannotBeReadIsNotABrokenOne() async throws {
        let right = try await RightWarehouse()
        let broken = FaultyWarehouse(right.warehouse, missingTable: ("job_leases", .notFound))

        let report = try await right.verify(on: broken, isDryRun: false)

        #expect(report.broken == ["leases"])
        #expect(report.failures[0].reason.hasPrefix("was not read, so nobody knows whether it holds: "))
        #expect(report["invariants_held"] == 21 && report["invariants_unreadable"] == 1)
        let row = try await right.warehouse.rows(of: "scheduler_jobs.verifications", orderedBy: "number")[3]
        #expect(try row.string("verdict") == "unreadable")
    }

    /// An answer without its rows would look the same as one without findings.
    @Test func anAnswerThatDoesNotSayWhatWasReadIsNoAnswer() throws {
        let statement = QueueInspection.statement

        let sight = try statement.sight(QueryResult(rows: []))

        for invariant in statement.invariants {
            guard case .unreadable = InvariantResult(invariant, in: sight).state else {
                Issue.record("\(invariant.name) counts as read")
                continue
            }
        }
    }

    @Test func aBrokenInvariantIsNamedWithItsNumberThreeExamplesAndTheNextCommand() async throws {
        let right = try await RightWarehouse()
        try await right.warehouse.run(
            "UPDATE `organizations.org_usage_quotas` SET daily_limit = 77 WHERE usage_date = '2026-03-15'")
        try await right.warehouse.run(
            "UPDATE `organizations.org_meta_pipeline_runs` SET status = 'done' WHERE status = 'CANCELLED' AND org_slug = 'acme'"
        )

        let report = try await right.verify(isDryRun: false)

        let reasons = Dictionary(uniqueKeysWithValues: report.failures.map { ($0.subject, $0.reason) })
        #expect(report.broken == ["quota-limits", "run-statuses"])
        let limits = try #require(reasons["quota-limits"])
        #expect(limits.hasPrefix("is broken in 3 places: acme 2026-03-15: the limits are 77 "), "\(limits)")
        #expect(limits.contains("; globex 2026-03-15: ") && limits.contains("; initech 2026-03-15: "))
        #expect(limits.hasSuffix("next: ./scripts/run-job.sh test quota-reset-daily -- --dry-run"))
        #expect(report["findings"] == 4 && report["invariants_broken"] == 2)
        #expect(report.output.contains("quota-limits         broken"))
        let row = try await right.warehouse.rows(of: "scheduler_jobs.verifications", orderedBy: "number")[3]
        #expect(try row.string("verdict") == "broken")
        #expect(
            try row.string("results").contains(
                #""invariant":"quota-limits","state":"broken","rows":9,"findings":3,"examples":["acme"#))
    }

    /// The catalog has a column more, in a table of each group.
    @Test(arguments: [
        (
            Catalog.Group.organizations, "org_profiles", "service-schema",
            "organizations.org_profiles: has 13 of 14 columns"
        ),
        (.operations, "job_runs", "service-schema", "scheduler_jobs.job_runs: has 12 of 13 columns"),
        (.organization, "subscription_plans", "organization-schema", "_data.subscription_plans: has "),
    ])
    func aColumnThatIsMissingIsNamed(_ group: Catalog.Group, _ table: String, _ invariant: String, _ words: String)
        async throws
    {
        let right = try await RightWarehouse()
        var catalog = try Catalog.embedded(Catalog.Group.allCases)
        let place = try #require(catalog.groups[group]?.firstIndex { $0.name == table })
        catalog.groups[group]![place].table.schema.fields.append(FieldSchema("mood", "STRING"))
        let fixture = ReportFixture()

        try await Attestation(
            sql: right.warehouse, schema: right.warehouse, fence: nil,
            expectations: Expectations(catalog: catalog, environment: .test, location: "US"), execution: nil,
            report: fixture.report, isDryRun: true
        ).perform(at: RightWarehouse.night)

        #expect(fixture.broken == [invariant])
        #expect(fixture.failures[0].reason.contains(words), "\(fixture.failures[0].reason)")
    }

    /// INFORMATION_SCHEMA does not show a table yet. The table itself has everything.
    @Test func aTableThatIsNotShownYetIsReadItself() async throws {
        let right = try await RightWarehouse()
        let expectations = Expectations(
            catalog: try Catalog.embedded(Catalog.Group.allCases), environment: .test, location: "US")
        let inspection = expectations.schema.inspection(of: right.warehouse, right.warehouse)
        var sight = Sight(rowsRead: ["service-schema": 2, "organization-schema": 3])
        sight.add(Finding("organization-schema", "acme_data.subscription_plans", "has 0 of 9 columns"))
        sight.add(Finding("organization-schema", "acme_data.no_such_table", "has 0 of 9 columns"))

        let confirmed = try await inspection.confirm!(sight)

        #expect(confirmed.findings.map(\.subject) == ["acme_data.no_such_table"])
    }

    /// The tables of the jobs in Python have other names for two counters.
    @Test func theCountersMayHaveTheirFormerNames() async throws {
        let right = try await RightWarehouse()
        let (old, new) = (
            ["pipelines_run_today", "pipelines_run_month"], ["current_daily_pipelines", "current_monthly_pipelines"]
        )
        let renamed = RenamingWarehouse(warehouse: right.warehouse, names: Array(zip(old, new)))
        let fixture = ReportFixture()

        try await Attestation(
            sql: renamed, schema: right.warehouse, fence: nil,
            expectations: Expectations(
                catalog: try Catalog.embedded(Catalog.Group.allCases), environment: .test, location: "US"),
            execution: nil, report: fixture.report, isDryRun: true
        ).perform(at: RightWarehouse.night)

        #expect(fixture.failures.isEmpty)
    }

    /// jobs.yaml is the other place that has the schedules.
    @Test func theSchedulesAreThoseOfJobsYAML() throws {
        let text = try String(contentsOfFile: Repository.path("jobs.yaml"), encoding: .utf8)
        let pattern = /\n  - name: (?<name>[a-z-]+)\n(?:    .*\n)*?    schedule: "?(?<schedule>[^"\n]+)"?\n/
        let deployed = Dictionary(
            uniqueKeysWithValues: text.matches(of: pattern).map { (String($0.output.name), String($0.output.schedule)) }
        )

        let known = ServiceJob.all.filter { $0.name != "demo-data" }

        #expect(deployed == Dictionary(uniqueKeysWithValues: known.map { ($0.name, $0.schedule ?? "manual") }))
    }
}

/// A warehouse in which two columns have other names.
private struct RenamingWarehouse: SQLWarehouse {
    let warehouse: any Warehouse
    let names: [(old: String, new: String)]

    func query(_ statement: Statement) async throws -> QueryResult {
        var statement = statement
        for (old, new) in names {
            if statement.sql.contains("`\(new)`") {
                throw WarehouseError(.invalid, operation: statement.purpose, message: "Unrecognized name: \(new)")
            }
            statement.sql = statement.sql.replacing("`\(old)`", with: "`\(new)`")
        }
        return try await warehouse.query(statement)
    }

    func merge(_ merge: MergeStatement) async throws -> MergeResult { try await warehouse.merge(merge) }
}
