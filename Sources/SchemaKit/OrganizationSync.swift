import ArgumentParser
package import JobRuntime
package import Warehouse
package import WarehouseKit

/// Gives every active organization's dataset the tables and columns of the catalog.
///
/// Invariants:
/// - An organization that agrees with the catalog costs no request of its own.
/// - An organization that fails is reported, and the others still get their turn.
/// - If a run is stopped or killed anywhere, the next run does the rest and ends in the same state as one clean run.
/// - Exit code 0 means that every active organization has every table and column, each with the type, mode, partitioning column
///   and clustering of the catalog. The unit of partitions (DAY, HOUR ...) is compared only in tables that are read anyway.
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
        let targets = try await targets(slugs)
        report.add(targets.count, to: "organizations")
        let tables = catalog.tables(.organization)
        let survey = try await schema.survey(
            targets.map(\.dataset.id), for: tables, known: OrganizationDirectory.profiles)
        let work = targets.compactMap { target in
            survey.findings[target.dataset.id].map { (target: target, finding: $0) }
        }
        report.add(Int(survey.bytesBilled), to: "bytes_billed")
        report.add(targets.count - work.count, to: "in_sync")
        let creations = work.reduce(0) { $0 + ($1.finding.datasetExists ? $1.finding.absent.count : tables.count) }
        let byScript = creations > Self.mostCreatedByInsert
        let sync = SchemaSync(
            warehouse: schema, policy: .everything(byScript: byScript),
            isDryRun: isDryRun, report: report)
        defer { sync.printTable(title: "organization") }
        if !work.isEmpty { report.begin("organizations", total: work.count) }
        try await eachConcurrently(work, atOnce: byScript ? Self.scriptsAtOnce : Self.atOnce) { item in
            try await sync.sync(
                dataset: item.target.dataset, with: tables, finding: item.finding, subject: item.target.slug)
            report.advance(item.target.slug)
        }
    }

    private struct Target: Sendable {
        var slug: String
        var dataset: Dataset
    }

    /// Whether this task works on the organization: it was named, or none was, and it is in the task's share.
    private func isMine(_ slug: String, _ slugs: [String]) -> Bool {
        task.isMine(slug) && (slugs.isEmpty || slugs.contains(slug))
    }

    /// The owner of a dataset is chosen among all organizations, so that every task and every `--org` comes to the same answer.
    private func targets(_ slugs: [String]) async throws -> [Target] {
        let listing = try await listing()
        for slug in listing.invalidSlugs where isMine(slug, slugs) {
            report.fail(quoted(slug), "not a valid slug: \(Organization.slugRule); nothing was done for it")
        }
        report.add(Int(listing.bytesBilled), to: "bytes_billed")
        for organization in listing.organizations
        where listing.ambiguousSlugs.contains(organization.slug) && isMine(organization.slug, slugs) {
            report.warn(
                organization.slug,
                "several active profiles do not agree on the dataset; \(quoted(organization.datasetName)) counts")
        }
        if listing.organizations.isEmpty && listing.invalidSlugs.isEmpty { report.line("no active organization") }
        let found = Set(listing.organizations.map(\.slug))
        for slug in slugs where !found.contains(slug) && task.index == 0 {
            report.fail(slug, "no active organization has this slug")
        }
        var owners: [DatasetID: String] = [:]
        return listing.organizations.compactMap { target(for: $0, isMine: isMine($0.slug, slugs), &owners) }
    }

    /// A dataset that is there is sometimes not found for a moment, so it is read before anybody is told to run bootstrap.
    private func listing() async throws -> OrganizationDirectory.Listing {
        do {
            return try await OrganizationDirectory(warehouse: sql, location: schema.location).active()
        } catch let error as WarehouseError where error.detail == .missingDataset {
            guard let dataset = try? await schema.dataset(DatasetID.organizations),
                dataset.location.lowercased() == schema.location.lowercased()
            else { throw error }
            throw error.withAdvice("the dataset is there: run the job again, and bootstrap only if it fails again")
        }
    }

    private func target(
        for organization: Organization, isMine: Bool, _ owners: inout [DatasetID: String]
    ) -> Target? {
        let slug = organization.slug
        let (id, problem) = organization.dataset(in: environment)
        if let problem, isMine { report.fail(slug, problem) }
        guard let id else { return nil }
        if let owner = owners[id] {
            if isMine { report.fail(slug, "dataset \(id) is already that of \(owner)") }
            return nil
        }
        owners[id] = slug
        return isMine ? Target(slug: slug, dataset: dataset(id, of: slug)) : nil
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
