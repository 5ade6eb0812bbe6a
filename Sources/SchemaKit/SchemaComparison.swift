import JobRuntime
import Warehouse

/// Compares many datasets with the catalog and finds out which of them need work.
///
/// Invariants:
/// - A dataset that agrees costs no request of its own, and neither does one whose differences no job may close.
/// - What the survey does not show is not taken for absent: a dataset counts as missing only after it was asked for, and it counts
///   as it is if it lies in another location.
/// - A difference counts after a table of that shape was read. If it cannot be read, the comparison uses what the survey shows.
struct SchemaComparison: Sendable {
    var warehouse: any SchemaWarehouse
    var tables: [NamedTable]
    var differences: DifferenceLog
    var report: RunReport
    var isDryRun: Bool
    /// Whether datasets in other locations are compared there. Otherwise they are only named.
    var followsDatasets: Bool
    /// Kinds of differences that the job closes. Every table with one of them needs work.
    var applied: Set<SchemaDifference.Kind> = []

    /// A dataset that needs work, or has to be read before anybody knows.
    struct Work: Sendable {
        var target: SurveyTarget
        var location: String
        var finding: DatasetFinding
    }

    struct Outcome: Sendable {
        var datasets = 0
        /// Datasets that need no work and have no conflict.
        var inSync = 0
        /// Tables in conflict that were not read one by one, counted in each dataset.
        var conflictingTables = 0
        /// In the order of the targets.
        var work: [Work] = []
        /// Datasets that a dry run could not find out about.
        var hidden = 0
        /// Datasets in other locations that were not compared there.
        var elsewhere: [SurveyTarget: String] = [:]
        /// Columns of tables that the catalog does not have.
        var extras: [SchemaSurvey.ExtraColumns] = []
    }

    func outcome(of scope: SurveyScope) async throws -> Outcome {
        let survey = try await warehouse.survey(scope, for: tables)
        report.add(Int(survey.bytesBilled), to: "bytes_billed")
        var outcome = Outcome()
        outcome.extras = survey.extras
        var incomplete: [SchemaSurvey.Group] = []
        var conflicting: [SchemaSurvey.Group] = []
        for group in survey.groups {
            switch group.state {
            case .noDataset:
                outcome.datasets += group.count
                incomplete.append(group)
            case .dataset(let defaults):
                outcome.datasets += group.count
                note(defaults, of: group)
            case .noTable, .unreadableTable: incomplete.append(group)
            case .table(let name, let actual):
                guard let expected = tables.first(where: { $0.name == name }) else { continue }
                guard
                    let found = try await confirmed(
                        SchemaDiff(expected: expected.table, actual: actual), expected, group)
                else {
                    incomplete.append(group)
                    continue
                }
                for difference in found {
                    differences.add(difference, of: name, in: group.members.map(\.dataset), count: group.count)
                }
                if found.contains(where: differences.isConflict) {
                    conflicting.append(group)
                    outcome.conflictingTables += group.count
                }
            }
        }
        let named = try await warehouse.members(of: incomplete + conflicting, in: scope, for: tables)
        report.add(Int(named.bytesBilled), to: "bytes_billed")
        let lost = (incomplete + conflicting).reduce(0) { $0 + max(0, $1.count - (named.byKey[$1.key]?.count ?? 0)) }
        if lost > 0 {
            report.fail("datasets", "\(lost) changed while they were compared: run the job again")
        }
        var needed = try await located(incomplete, named.byKey, scope, &outcome)
        let isInConflict = Set(conflicting.flatMap { named.byKey[$0.key] ?? [] }).subtracting(needed.keys)
        outcome.inSync = max(
            0, outcome.datasets - needed.count - isInConflict.count - outcome.elsewhere.count - outcome.hidden - lost)
        let moved = try await compareElsewhere(&outcome, scope)
        for (target, work) in moved { needed[target] = work }
        outcome.work = needed.values.sorted { $0.target < $1.target }
        return outcome
    }

    /// Reads a table of the shape before its differences are reported, because the views lag and may show a value in other words.
    /// If the table differs from its shape, up to two more are read: the reading counts if they agree with each other.
    ///
    /// - Returns: The differences of the shape; `nil` if its tables have to be read one by one, because columns are missing, the
    ///   job closes one of the differences, or the tables do not agree.
    private func confirmed(
        _ diff: SchemaDiff, _ expected: NamedTable, _ group: SchemaSurvey.Group
    ) async throws -> [SchemaDifference]? {
        func needsWork(_ diff: SchemaDiff) -> Bool {
            !diff.additions.isEmpty || diff.differences.contains { applied.contains($0.kind) }
        }
        guard !needsWork(diff) else { return nil }
        guard diff.differences.contains(where: { !differences.tolerated.contains($0.kind) }) else {
            return diff.differences
        }
        var readings: [SchemaDiff] = []
        for example in group.members.prefix(3) {
            do {
                guard let reference = TableReference(example.dataset, expected.name),
                    let actual = try await warehouse.table(reference)
                else { return nil }
                let reading = SchemaDiff(expected: expected.table, actual: actual)
                if readings.isEmpty && reading.isSame(as: diff) { return diff.differences }
                readings.append(reading)
            } catch let error as WarehouseError where !error.endsRun {
                return diff.differences
            }
        }
        guard let first = readings.first, !needsWork(first),
            readings.allSatisfy({ $0.isSame(as: first) })
        else { return nil }
        return first.differences
    }

    private func note(_ defaults: DatasetDefaults, of group: SchemaSurvey.Group) {
        func add(_ what: String, _ days: String) {
            let whole = days.hasSuffix(".0") ? String(days.dropLast(2)) : days
            let difference = SchemaDifference(.datasetExpiration, what, expected: "none", actual: whole)
            differences.add(difference, of: "", in: group.members.map(\.dataset), count: group.count)
        }
        if let days = defaults.tableExpirationDays { add("tables", days) }
        let isInherited = tables.contains {
            $0.table.timePartitioning != nil && $0.table.timePartitioning?.expirationMs == nil
        }
        if let days = defaults.partitionExpirationDays, isInherited { add("partitions", days) }
    }

    /// The datasets with work by target. Datasets that the survey does not show are asked for.
    private func located(
        _ incomplete: [SchemaSurvey.Group], _ members: [String: [SurveyTarget]], _ scope: SurveyScope,
        _ outcome: inout Outcome
    ) async throws -> [SurveyTarget: Work] {
        var needed: [SurveyTarget: Work] = [:]
        var unseen: [SurveyTarget] = []
        for group in incomplete {
            for target in members[group.key] ?? [] {
                if group.state == .noDataset {
                    unseen.append(target)
                    continue
                }
                var work = needed[target] ?? Work(target: target, location: scope.location, finding: DatasetFinding())
                switch group.state {
                case .noTable(let name): work.finding.absent.insert(name)
                case .table(let name, _), .unreadableTable(let name): work.finding.differing.insert(name)
                case .noDataset, .dataset: break
                }
                needed[target] = work
            }
        }
        guard !unseen.isEmpty else { return needed }
        let locations = try await warehouse.locations(of: unseen.map(\.dataset))
        for target in unseen {
            // A run creates such a dataset: if it exists, BigQuery says so.
            if isDryRun && locations.hidden.contains(target.dataset) {
                report.fail(
                    target.subject,
                    "the account may not see dataset \(target.dataset), so it may exist or not: grant bigquery.datasets.get"
                )
                outcome.hidden += 1
                continue
            }
            let location = locations.found[target.dataset]
            if let location, location.lowercased() != scope.location.lowercased() {
                outcome.elsewhere[target] = location
                continue
            }
            // A dataset that exists and is not shown was created a moment ago, or has a name that the views hide.
            let finding = DatasetFinding(
                datasetExists: location != nil, differing: location == nil ? [] : Set(tables.map(\.name)))
            needed[target] = Work(target: target, location: scope.location, finding: finding)
        }
        return needed
    }

    /// A request of BigQuery has at most 10 MB, and a name takes 200 bytes of it.
    private static let mostNamed = 20_000

    /// Compares the datasets of other locations, one survey for each location. A location that fails does not keep the others from
    /// their turn.
    private func compareElsewhere(_ outcome: inout Outcome, _ scope: SurveyScope) async throws -> [SurveyTarget: Work] {
        guard followsDatasets else { return [:] }
        var found: [SurveyTarget: Work] = [:]
        let byLocation = Dictionary(grouping: outcome.elsewhere.keys.sorted()) { outcome.elsewhere[$0] ?? "" }
        for (location, targets) in byLocation.sorted(by: { $0.key < $1.key }) {
            do {
                for start in stride(from: 0, to: targets.count, by: Self.mostNamed) {
                    let part = Array(targets[start..<min(start + Self.mostNamed, targets.count)])
                    let other = try await self.outcome(
                        of: SurveyScope(.datasets(part), location: location, known: .targets))
                    outcome.inSync += other.inSync
                    outcome.extras += other.extras
                    outcome.conflictingTables += other.conflictingTables
                    for work in other.work { found[work.target] = work }
                    for target in part { outcome.elsewhere[target] = nil }
                }
            } catch let error as WarehouseError where !error.endsRun {
                let names = targets.prefix(3).map(\.dataset.name).joined(separator: ", ")
                report.fail(
                    location,
                    "\(spoken(targets.count, "datasets")) there (\(names)\(targets.count > 3 ? " ..." : "")): \(error)")
            }
        }
        return found
    }
}

/// The tables that a dataset seems to lack, and those that have to be read.
package struct DatasetFinding: Hashable, Sendable {
    package var datasetExists: Bool
    /// Tables that seem to be missing.
    package var absent: Set<String>
    /// Tables that exist and have to be read.
    package var differing: Set<String>

    package init(datasetExists: Bool = true, absent: Set<String> = [], differing: Set<String> = []) {
        self.datasetExists = datasetExists
        self.absent = absent
        self.differing = differing
    }
}

extension SchemaDiff {
    /// Whether both find the same, in whatever order.
    fileprivate func isSame(as other: SchemaDiff) -> Bool {
        Set(additions) == Set(other.additions) && Set(differences) == Set(other.differences)
    }
}
