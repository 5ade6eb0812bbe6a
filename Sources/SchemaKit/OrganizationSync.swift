package import ArgumentParser
package import JobRuntime
package import Warehouse
package import WarehouseKit

/// Which organizations a run works on, and in what order.
package struct OrganizationOptions: ParsableArguments, Sendable {
    @Option(help: .init("Sync only this organization. Repeat the option for several.", valueName: "slug"))
    package var org: [String] = []

    @OptionGroup package var waves: WaveOptions

    package init() {}

    package func validate() throws {
        guard org.isEmpty || waves.waves == nil else { throw ValidationError("Give --org or --waves, not both.") }
        for slug in org where !Organization.isValid(slug: slug) {
            throw ValidationError("--org \(quoted(slug)) is not a valid slug: \(Organization.slugRule).")
        }
    }
}

/// Gives every active organization's dataset the tables and columns of the catalog.
///
/// Invariants:
/// - An organization that agrees with the catalog costs no request of its own.
/// - An organization that fails is reported, and the others still get their turn.
/// - If a run is stopped or killed anywhere, the next run does the rest and ends in the same state as one clean run.
/// - Exit code 0 means that every active organization has every table and column (fact BQ-56), each with the type, partitioning and clustering
///   of the catalog, unless the difference is tolerated. Differences of other kinds are warnings in every run.
///
/// ```swift
/// let sync = OrganizationSync(
///     sql: warehouse.sql, schema: warehouse.schema, catalog: catalog, environment: .prod, report: report)
/// try await sync.run(only: ["acme"])
/// ```
package struct OrganizationSync: Sendable {
    package var sql: any SQLWarehouse
    package var schema: any SchemaWarehouse
    package var catalog: Catalog
    package var environment: DeploymentEnvironment
    package var report: RunReport
    package var task: CloudRunTask
    package var isDryRun: Bool
    /// Kinds of differences that do not fail the run.
    package var tolerated: Set<SchemaDifference.Kind> = []
    /// Kinds of differences that the run closes in place.
    package var applied: Set<SchemaDifference.Kind> = []
    /// The changes that the run may apply.
    package var approval = Approval.none
    /// Where changes are written before they are made.
    package var history: SchemaHistory?
    /// Changes organizations in waves. It needs the history.
    package var waves: WavePlan?
    package var now: @Sendable () -> Timestamp = Timestamp.wallClock
    package var sleep: @Sendable (Duration) async throws -> Void = TimeSource.system.sleep
    /// If it is set, the run explains the differences. It must be a dry run.
    package var explanationDay: CivilDate?

    /// How many datasets are worked on at the same time. The requests have budgets of their own.
    private static let atOnce = 64
    /// The same if tables are created by script. A script takes 200 KB until it is done, and a job may need 40 MB at most.
    private static let scriptsAtOnce = 24
    /// How many tables a run creates by `tables.insert`, which accepts that many in one burst. To create more, it sends one
    /// script for each dataset.
    static let mostCreatedByInsert = 30

    package init(
        sql: any SQLWarehouse, schema: any SchemaWarehouse, catalog: Catalog, environment: DeploymentEnvironment,
        report: RunReport,
        task: CloudRunTask = CloudRunTask(), isDryRun: Bool = false
    ) {
        self.sql = sql
        self.schema = schema
        self.catalog = catalog
        self.environment = environment
        self.report = report
        self.task = task
        self.isDryRun = isDryRun
    }

    /// - Parameter slugs: The organizations to work on; all of them if empty.
    package func run(only slugs: [String] = []) async throws {
        report.declare(counts: "organizations", "in_sync")
        SchemaSync.declareCounts(in: report)
        let directory = OrganizationDirectory(environment: environment)
        try await checkProfiles(of: directory, slugs)
        let differences = DifferenceLog(tolerated: tolerated, isDryRun: isDryRun)
        defer { differences.flush(to: report) }
        let tables = catalog.tables(.organization)
        let outcome = try await SchemaComparison(
            warehouse: schema, tables: tables, differences: differences, report: report, isDryRun: isDryRun,
            followsDatasets: true, applied: applied
        ).outcome(
            of: SurveyScope(
                .rows(of: directory.targets(only: slugs)), location: schema.location,
                known: .table(OrganizationDirectory.profiles), task: task))
        try await ExtraColumnsNotice(sql: sql, differences: differences).add(outcome.extras, besides: tables)
        report.add(outcome.datasets, to: "organizations")
        report.add(outcome.inSync, to: "in_sync")
        let creations = outcome.work.reduce(0) {
            $0 + ($1.finding.datasetExists ? $1.finding.absent.count : tables.count)
        }
        // A script that BigQuery has accepted goes on if the run is killed, so a new dataset gets all of its tables. A part of them
        // would be tables of an existing dataset, which need an approval of their own (fact BQ-12).
        let byScript = creations > Self.mostCreatedByInsert || approval.isInForce
        let request = request(only: slugs, tables)
        let sync = SchemaSync(
            warehouse: schema, policy: .everything(byScript: byScript), tables: tables,
            request: request, differences: differences, report: report)
        defer { sync.printTable(title: "organization") }
        if !outcome.work.isEmpty { report.begin("organizations", total: outcome.work.count) }
        let items = outcome.work.map { work in
            var dataset = dataset(work.target.dataset, of: work.target.subject)
            dataset.location = work.location
            return SchemaSync.Item(
                subject: work.target.subject, dataset: dataset, tables: tables, finding: work.finding)
        }
        let atOnce = byScript ? Self.scriptsAtOnce : Self.atOnce
        let rollout = Rollout(
            sql: sql, catalog: catalogDigest(of: tables), plan: waves ?? WavePlan(sizes: [nil]), task: task,
            tally: request.tally ?? FailureTally(limit: .max), report: report, command: request.commandToGoOn, now: now,
            sleep: sleep)
        if waves != nil, !isDryRun {
            try await rollout.run(items) { try await sync.sync($0, atOnce: atOnce, rollout: $1) }
        } else {
            // An operator who names organizations knows what is being rolled out.
            if history != nil, !isDryRun, !items.isEmpty, slugs.isEmpty,
                let halt = try await rollout.objectionToOthers()
            {
                throw halt
            }
            try await sync.sync(items, atOnce: atOnce)
        }
        try await sync.closeHistory()
        if let explanationDay {
            try await DifferenceExplanation(warehouse: schema, tables: tables, day: explanationDay).print(
                differences.entries, to: report)
        }
    }

    private func request(only slugs: [String], _ tables: [NamedTable]) -> SchemaRequest {
        let options =
            slugs.flatMap { ["--org", $0] } + applied.map(\.rawValue).sorted().flatMap { ["--apply", $0] }
        return SchemaRequest(
            isDryRun: isDryRun, applied: applied, approval: approval.covering(tables),
            command: RunCommand(job: "org-sync-all", environment: environment.rawValue, options: options),
            showsFullPlans: !slugs.isEmpty, history: history,
            tally: waves.map { FailureTally(limit: $0.mostFailures) })
    }

    /// Reports what is irregular in the profiles. Each problem is reported by one task.
    private func checkProfiles(of directory: OrganizationDirectory, _ slugs: [String]) async throws {
        func isMine(_ slug: String) -> Bool { task.isMine(slug) && (slugs.isEmpty || slugs.contains(slug)) }
        let census = try await census(of: directory, slugs)
        report.add(Int(census.bytesBilled), to: "bytes_billed")
        for slug in census.invalidSlugs where isMine(slug) {
            report.fail(quoted(slug), "not a valid slug: \(Organization.slugRule); nothing was done for it")
        }
        for (slug, dataset) in census.ambiguous where isMine(slug) {
            report.warn(slug, "several active profiles do not agree on the dataset; \(quoted(dataset)) counts")
        }
        for (slug, reason) in census.problems where isMine(slug) { report.fail(slug, reason) }
        if census.organizations == 0 {
            report.line("no active organization")
            let counts = try await directory.counts(in: sql)
            report.add(Int(counts.bytesBilled), to: "bytes_billed")
            if let reason = counts.reasonForNoneActive, task.index == 0 { report.warn("organizations", reason) }
        }
        for slug in slugs where !census.found.contains(slug) && task.index == 0 {
            report.fail(slug, "no active organization has this slug")
        }
    }

    /// A dataset that is there is sometimes not found for a moment, so it is read before anybody is told to run bootstrap.
    private func census(
        of directory: OrganizationDirectory, _ slugs: [String]
    ) async throws -> OrganizationDirectory.Census {
        do {
            return try await directory.census(of: slugs, in: sql, location: schema.location)
        } catch let error as WarehouseError where error.detail == .missingDataset {
            guard let dataset = try? await schema.dataset(DatasetID.organizations),
                dataset.location.lowercased() == schema.location.lowercased()
            else { throw error }
            throw error.withAdvice("the dataset is there: run the job again, and bootstrap only if it fails again")
        }
    }

    private func dataset(_ id: DatasetID, of slug: String) -> Dataset {
        Dataset(
            id: id, location: schema.location,
            description: "Cost data of organization \(slug) (\(environment.rawValue))",
            labels: [
                "environment": environment.rawValue, "managed_by": "scheduler-jobs",
                // The label alone marks a customer's dataset, so it is set even if the slug cannot be its value.
                "org_slug": isLabelValue(slug) ? slug : "",
            ])
    }
}
