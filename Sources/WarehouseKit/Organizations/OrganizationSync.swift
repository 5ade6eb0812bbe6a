package import JobRuntime

/// Gives every active organization's dataset the tables and columns of the catalog.
///
/// Invariants:
/// - an organization that agrees with the catalog costs no request of its own;
/// - one that fails is reported and does not keep the others from their turn;
/// - stopped or killed anywhere, what is left is done by the next run, which ends in the same state as one clean run;
/// - exit code 0 means that every active organization has every table and column, each as the catalog says.
package struct OrganizationSync: Sendable {
    package var warehouse: any Warehouse
    package var catalog: Catalog
    package var environment: DeploymentEnvironment
    package var report: RunReport
    package var task: CloudRunTask
    package var isDryRun: Bool

    /// Datasets that are worked on at the same time; the requests have budgets of their own.
    private static let atOnce = 64
    /// As many tables as `tables.insert` takes in one burst: more are created by one script for each dataset.
    static let mostCreatedByInsert = 30

    package init(
        warehouse: any Warehouse, catalog: Catalog, environment: DeploymentEnvironment, report: RunReport,
        task: CloudRunTask = CloudRunTask(), isDryRun: Bool = false
    ) {
        self.warehouse = warehouse
        self.catalog = catalog
        self.environment = environment
        self.report = report
        self.task = task
        self.isDryRun = isDryRun
    }

    /// - Parameter slugs: Only these organizations, unless empty.
    package func run(only slugs: [String] = []) async throws {
        report.declare(counts: "organizations", "in_sync")
        SchemaSync.declareCounts(in: report)
        let targets = targets(try await listing(slugs))
        report.add(targets.count, to: "organizations")
        if targets.isEmpty { report.line("no active organization") }
        let tables = catalog.tables(.organization)
        let survey = try await warehouse.survey(
            targets.map(\.dataset.id), for: tables, known: OrganizationDirectory.profiles)
        let work = targets.compactMap { target in
            survey.findings[target.dataset.id].map { (target: target, finding: $0) }
        }
        report.add(targets.count - work.count, to: "in_sync")
        let creations = work.reduce(0) { $0 + ($1.finding.datasetExists ? $1.finding.absent.count : tables.count) }
        let sync = SchemaSync(
            warehouse: warehouse, policy: .everything(byScript: creations > Self.mostCreatedByInsert),
            isDryRun: isDryRun, report: report)
        defer { sync.printTable(title: "organization") }
        if !work.isEmpty { report.begin("organizations", total: work.count) }
        try await eachConcurrently(work, atOnce: Self.atOnce) { item in
            try await sync.bringUp(item.target.dataset, to: tables, item.finding, subject: item.target.slug)
            report.advance(item.target.slug)
        }
    }

    private struct Target: Sendable {
        var slug: String
        var dataset: Dataset
    }

    private func listing(_ slugs: [String]) async throws -> [Organization] {
        let listing = try await OrganizationDirectory(warehouse: warehouse).active(only: slugs)
        for slug in listing.invalidSlugs where task.isMine(slug) {
            report.fail(quoted(slug), "not a valid slug: \(Organization.slugRule); nothing was done for it")
        }
        let found = Set(listing.organizations.map(\.slug))
        for slug in slugs where !found.contains(slug) && task.index == 0 {
            report.fail(slug, "no active organization has this slug")
        }
        return listing.organizations
    }

    /// Each task of an execution takes its share; who owns a dataset is decided over all organizations, so that all tasks
    /// agree.
    private func targets(_ organizations: [Organization]) -> [Target] {
        var owners: [String: String] = [:]
        var targets: [Target] = []
        for organization in organizations {
            let (id, problem) = organization.dataset(in: environment)
            let isMine = task.isMine(organization.slug)
            if let problem, isMine { report.fail(organization.slug, problem) }
            guard let id else { continue }
            if let owner = owners[id.name] {
                if isMine { report.fail(organization.slug, "dataset \(id) is already that of \(owner)") }
                continue
            }
            owners[id.name] = organization.slug
            if isMine { targets.append(Target(slug: organization.slug, dataset: dataset(id, of: organization.slug))) }
        }
        return targets
    }

    private func dataset(_ id: DatasetID, of slug: String) -> Dataset {
        var labels = ["environment": environment.rawValue, "managed_by": "scheduler-jobs"]
        if isLabelValue(slug) { labels["org_slug"] = slug }
        return Dataset(
            id: id, location: warehouse.location,
            description: "Cost data of organization \(slug) (\(environment.rawValue))",
            labels: labels)
    }
}
