import EmbeddedWarehouse
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite(.timeLimit(.minutes(30))) struct BootstrapRunTests {
    @Test func createsBothDatasetsAndThenRests() async throws {
        let stage = try SQLiteStage()

        let first = try await stage.run(.bootstrap).succeeded()
        let state = try await stage.state()
        let second = try await stage.run(.bootstrap).succeeded()

        #expect(first.counts["datasets_created"] == 2)
        #expect(first.counts["tables_created"] == 28)
        #expect(first.warnings.isEmpty)
        #expect(second.counts["in_sync"] == 28)
        #expect(second.changes == 0)
        #expect(try await stage.state() == state)
        #expect(try await stage.tables(in: "organizations")?.count == 21)
        #expect(try await stage.tables(in: "scheduler_jobs")?.count == 7)
    }

    @Test func twoAtOnceBothSucceed() async throws {
        let reference = try SQLiteStage()
        _ = try await reference.run(.bootstrap).succeeded()
        for _ in 1...4 {
            let stage = try SQLiteStage()
            let jobs = try [stage.start(.bootstrap), stage.start(.bootstrap)]

            let summaries = [try await jobs[0].outcome().succeeded(), try await jobs[1].outcome().succeeded()]

            #expect(summaries.reduce(0) { $0 + ($1.counts["datasets_created"] ?? 0) } == 2)
            #expect(summaries.reduce(0) { $0 + ($1.counts["tables_created"] ?? 0) } == 28)
            #expect(Set(try await stage.state()) == Set(try await reference.state()))
        }
    }

    @Test func aDryRunShowsThePlanAndMakesNothing() async throws {
        let stage = try SQLiteStage()

        let outcome = try await stage.run(.bootstrap, "--dry-run", with: ["LOG_FORMAT": "text"])

        let summary = try outcome.succeeded()
        #expect(summary.dryRun)
        #expect(summary.counts["tables_created"] == 28)
        #expect(outcome.output.contains("  1 dataset (organizations)\n    + dataset in US with 21 tables\n"))
        #expect(try stage.folder.names() == [])
    }

    @Test func columnsThatATableLacksAreReportedWithAdvice() async throws {
        let stage = try SQLiteStage()
        _ = try await stage.run(.bootstrap).succeeded()
        let catalog = try CatalogCopy()
        try catalog.addColumn("mood", to: "organizations/org_profiles")
        let state = try await stage.state()

        let summary = try await stage.run(.bootstrap, with: catalog.variables).succeeded()

        #expect(
            summary.warnings.map(\.subject) == ["organizations.org_profiles"]
                && summary.warnings[0].reason == "lacks mood: run bootstrap-sync to add them")
        #expect(summary.severity == "WARNING")
        #expect(summary.changes == 0)
        #expect(try await stage.state() == state)
    }

    @Test func syncAddsColumnsAndSaysWhatItCouldNotAddAsTheyAre() async throws {
        let stage = try SQLiteStage()
        _ = try await stage.run(.bootstrap).succeeded()
        let catalog = try CatalogCopy()
        try catalog.changeFields(of: "organizations/org_profiles") {
            $0.append([
                "name": "address", "type": "RECORD", "mode": "REPEATED", "description": "Where it is",
                "fields": [
                    ["name": "city", "type": "STRING", "mode": "REQUIRED", "description": "A city"],
                    ["name": "since", "type": "DATE", "mode": "NULLABLE"],
                ],
            ])
        }
        try catalog.addColumn("rank", "INTEGER", mode: "REQUIRED", to: "organizations/org_profiles")
        try catalog.addColumn("hints", mode: "REPEATED", to: "operations/job_runs")

        let first = try await stage.run(.bootstrapSync, with: catalog.variables).succeeded()
        let second = try await stage.run(.bootstrapSync, with: catalog.variables).succeeded()

        #expect(first.counts["tables_updated"] == 2)
        #expect(first.counts["columns_added"] == 3)
        #expect(first.warnings.map(\.subject) == ["organizations.org_profiles.rank"])
        #expect(first.warnings.first?.reason.hasPrefix("added NULLABLE") == true)
        #expect(second.changes == 0)
        #expect(second.warnings.map(\.subject) == ["organizations.org_profiles"])
        #expect(second.warnings.first?.reason == "rank is NULLABLE, the catalog says REQUIRED")
        let fields = try await stage.table("organizations", "org_profiles")?.schema.fields.suffix(2) ?? []
        #expect(fields.map(\.name) == ["address", "rank"])
        #expect(fields.first?.mode == .repeated)
        #expect(fields.first?.description == "Where it is")
        #expect(fields.first?.fields.map(\.name) == ["city", "since"])
        #expect(fields.first?.fields.first?.mode == .required)
        #expect(fields.first?.fields.first?.description == "A city")
        #expect(fields.last?.mode == .nullable)
        #expect(fields.last?.description == "What rank says")
        let hints = try await stage.table("scheduler_jobs", "job_runs")?.schema.fields.last
        #expect(hints?.mode == .repeated)
    }

    @Test func syncOfAnEmptyWarehouseSaysWhatComesFirst() async throws {
        let stage = try SQLiteStage()

        let summary = try await stage.run(.bootstrapSync).failed()

        #expect(summary.failures.map(\.subject).sorted() == ["organizations", "scheduler_jobs"])
        #expect(summary.failures.allSatisfy { $0.reason == "the dataset does not exist: run bootstrap first" })
        #expect(summary.changes == 0)
        #expect(try await stage.tables(in: "organizations") == nil)
    }

    @Test func syncWithoutATableSaysWhatComesFirstAndServesTheOthers() async throws {
        let stage = try SQLiteStage()
        let (old, new) = (try CatalogCopy(), try CatalogCopy())
        try old.remove("organizations/org_hierarchy")
        try new.addColumn("mood", to: "organizations/org_profiles")
        _ = try await stage.run(.bootstrap, with: old.variables).succeeded()

        let summary = try await stage.run(.bootstrapSync, with: new.variables).failed()

        #expect(summary.failures.map(\.subject) == ["organizations.org_hierarchy"])
        #expect(summary.failures.first?.reason == "the table does not exist: run bootstrap first")
        #expect(summary.counts["columns_added"] == 1)
        #expect(try await stage.tables(in: "organizations")?.count == 20)
    }

    @Test func conflictsAreListedAndLeftAlone() async throws {
        let stage = try SQLiteStage()
        let old = try CatalogCopy()
        try old.addColumn("mood", "INTEGER", to: "organizations/org_profiles")
        try old.addColumn("rank", "INTEGER", mode: "REPEATED", to: "operations/job_runs")
        _ = try await stage.run(.bootstrap, with: old.variables).succeeded()
        let new = try CatalogCopy()
        try new.addColumn("mood", "STRING", to: "organizations/org_profiles")
        try new.addColumn("rank", "INTEGER", to: "operations/job_runs")
        let state = try await stage.state()

        for job in [JobExecutable.bootstrap, .bootstrapSync] {
            let summary = try await stage.run(job, with: new.variables).failed()

            #expect(summary.counts["conflicts"] == 2)
            #expect(summary.changes == 0)
            let failures = Dictionary(summary.failures.map { ($0.subject, $0.reason) }) { $1 }
            #expect(
                failures == [
                    "organizations.org_profiles":
                        "mood is INT64, the catalog says STRING; it was left as it is",
                    "scheduler_jobs.job_runs": "rank is ARRAY<INT64>, the catalog says INT64; it was left as it is",
                ])
        }
        #expect(try await stage.state() == state)
    }
}
