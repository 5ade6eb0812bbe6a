import JobRuntime
import Warehouse

/// The plans of a dry run as one text for a terminal of 100 columns, and as JSON. Datasets with the same plan are one group, so
/// the text has at most 25 lines for any number of datasets.
struct PlanSummary {
    /// The plan of a dataset, without its name.
    struct Shape: Hashable {
        var isNew: Bool
        /// `+ would create dataset in US`, `+ subscription_plans: would add notes`.
        var lines: [String]
        /// A few words for each table.
        var brief: [String]
        var kinds: [ChangeKind]
        var requests: SchemaRequests

        var hasChanges: Bool { isNew || !kinds.isEmpty }

        init(_ plan: SchemaPlan, byScript: Bool) {
            isNew = plan.isNew
            kinds = plan.kinds
            lines = plan.lines.map { Self.line($0, without: plan.dataset.id) }
            brief = Self.brief(plan)
            requests = Self.requests(plan, byScript: byScript)
        }

        private static func line(_ line: String, without dataset: DatasetID) -> String {
            let rest = line.dropFirst(2 + dataset.name.count)
            return String(line.prefix(2) + (rest.hasPrefix(": ") ? rest.dropFirst(2) : rest.dropFirst()))
        }

        private static func brief(_ plan: SchemaPlan) -> [String] {
            let tables = spoken(plan.newTables.count, "tables")
            var texts: [String] = []
            if plan.createsDataset {
                texts = ["+ dataset in \(plan.dataset.location) with \(tables)"]
            } else if plan.newTables.count == 1 || plan.newTables.count == 2 {
                texts = plan.newTables.map { "+ table \($0.name)" }
            } else if !plan.newTables.isEmpty {
                let names = plan.newTables.prefix(2).map(\.name).joined(separator: ", ")
                texts = ["+ \(tables) (\(names) ...)"]
            }
            for addition in plan.additions {
                let columns = addition.diff.additions.map { path in
                    let type = FieldSchema.find(path, in: addition.table.table.schema.fields)?.sqlType ?? ""
                    return "\(path) \(type)"
                }
                let shown = columns.prefix(3).joined(separator: ", ")
                let more = columns.count > 3 ? ", \(columns.count - 3) more" : ""
                texts.append("+ \(addition.table.name): \(shown)\(more)")
            }
            for update in plan.updates {
                let kinds = Set(update.closed.map(\.difference.kind.rawValue)).sorted().joined(separator: ", ")
                texts.append("~ \(update.table.name): \(kinds) as in the catalog")
            }
            return texts + plan.differences.filter(\.difference.isConflict).map { "! \($0.table): \($0.difference)" }
        }

        private static func requests(_ plan: SchemaPlan, byScript: Bool) -> SchemaRequests {
            var requests = SchemaRequests()
            requests.datasetCreations = plan.createsDataset ? 1 : 0
            if !plan.createsDataset && !plan.newTables.isEmpty { requests.tableLists = 1 }
            if byScript && plan.newTables.count > 1 {
                requests.statements = 1
            } else {
                requests.tableCreations = plan.newTables.count
            }
            let read = Set(plan.additions.map(\.table.name) + plan.updates.map(\.table.name))
            requests.tableReads = read.count
            requests.tableUpdates = plan.additions.count + plan.updates.count
            return requests
        }
    }

    /// The datasets are sorted.
    var groups: [(shape: Shape, datasets: [DatasetID])]
    /// Datasets that could not be planned, because reading them failed.
    var failed = 0
    /// Columns that look misspelled: the column of the table that each one resembles.
    var lookalikes: [ChangeKind: String] = [:]
    /// The digest of the catalog.
    var catalog: String
    var tables: [NamedTable] = []
    var approval: Approval = .none
    var command: RunCommand
    var leastTime: (SchemaRequests) -> Duration? = { _ in nil }

    private static let width = 100
    private static let mostGroups = 5
    private static let mostWarnings = 2

    /// Of all datasets, and of the run itself: the list of the organizations, the comparison with the names of the datasets that
    /// differ, and the row of the run history.
    var requests: SchemaRequests {
        var sum = SchemaRequests()
        sum.statements = 4
        for (shape, datasets) in groups {
            let (each, count) = (shape.requests, datasets.count)
            sum.datasetCreations += each.datasetCreations * count
            sum.tableLists += each.tableLists * count
            sum.tableReads += each.tableReads * count
            sum.tableCreations += each.tableCreations * count
            sum.tableUpdates += each.tableUpdates * count
            sum.statements += each.statements * count
        }
        return sum
    }

    var kinds: [ChangeKind] { Set(groups.flatMap(\.shape.kinds)).sorted() }
    var digest: PlanDigest { PlanDigest(catalog: catalog, kinds: kinds) }

    /// What nobody can take back without loss, as sentences.
    var irreversible: [String] {
        var texts: [String] = []
        if kinds.contains(where: { if case .addColumn = $0.change { true } else { false } }) {
            texts.append("a new column can only be dropped, with its values, in each table.")
        }
        let creates = kinds.contains { $0.change == .createTable } || groups.contains(where: \.shape.isNew)
        if creates { texts.append("a new table or dataset can only be deleted.") }
        return texts
    }

    /// Changes that need a second look, as sentences.
    var warnings: [String] {
        var texts = lookalikes.sorted { $0.key < $1.key }.map { kind, name in
            "\(kind): it looks like a misspelling of \(name), which the table has"
        }
        let hasNewDataset = groups.contains(where: \.shape.isNew)
        let created = Set(kinds.filter { $0.change == .createTable }.map(\.table))
        for table in tables {
            let added = kinds.compactMap { kind -> FieldSchema? in
                guard kind.table == table.name, case .addColumn(let path, _) = kind.change else { return nil }
                return FieldSchema.find(path, in: table.table.schema.fields)
            }
            let new = hasNewDataset || created.contains(table.name) ? table.table.schema.fields : added
            guard new.contains(where: \.isGuarded) else { continue }
            texts.append(
                "\(table.name): its policy tags need bigquery.tables.setCategory, which no role in jobs.yaml has by default"
            )
        }
        return texts
    }

    // MARK: - Text

    var lines: [String] {
        let shown = sorted.filter { $0.shape.hasChanges || !$0.shape.brief.isEmpty }
        let unknown = failed == 0 ? [] : ["Not planned: \(spoken(failed, "datasets")), see the failures."]
        guard !shown.isEmpty else { return (failed == 0 ? ["Nothing to change."] : unknown) + approvalLines }
        let total = shown.reduce(0) { $0 + ($1.shape.hasChanges ? $1.datasets.count : 0) }
        var lines = ["Plan: \(spoken(total, "datasets")) would change."] + unknown
        for (shape, datasets) in shown.prefix(Self.mostGroups) {
            lines.append(Self.cut("  \(DifferenceLog.datasets(datasets.count, datasets))"))
            let most = shape.brief.count > 2 ? 1 : 2
            lines += shape.brief.prefix(most).map { Self.cut("    \($0)") }
            if shape.brief.count > most {
                lines.append("    ... and \(spoken(shape.brief.count - most, "tables")) more; --json has everything")
            }
        }
        let rest = shown.dropFirst(Self.mostGroups)
        if !rest.isEmpty {
            let count = rest.reduce(0) { $0 + $1.datasets.count }
            lines.append("  and \(spoken(count, "datasets")) in \(rest.count) other states; --json has everything")
        }
        guard total > 0 else { return lines }
        let requests = requests
        let time = leastTime(requests).map { ", which take at least \(spoken($0)) at the rates of this run" } ?? ""
        lines.append("Requests: about \(requests.total)\(time).")
        lines += irreversible.map { "Not reversible: \($0)" }
        lines += warnings.prefix(Self.mostWarnings).map { Self.cut("Check: \($0).") }
        if warnings.count > Self.mostWarnings {
            lines.append("Check: \(warnings.count - Self.mostWarnings) more; --json has everything.")
        }
        return lines + approvalLines
    }

    /// The plan of each dataset, with a line for each table.
    var fullLines: [String] {
        let alone = groups.flatMap { group in group.datasets.map { (dataset: $0, shape: group.shape) } }
        return alone.sorted { $0.dataset < $1.dataset }.flatMap { item in
            item.shape.lines.map { Self.line($0, of: item.dataset) }
        } + warnings.map { "Check: \($0)." } + approvalLines
    }

    private var approvalLines: [String] {
        let digest = digest
        var lines = ["Digest: \(digest)"]
        let isNew = groups.contains(where: \.shape.isNew)
        guard isNew || !kinds.isEmpty else { return lines }
        if approval.isInForce {
            var left = kinds.filter { !approval.allows($0) }.map(\.description)
            if isNew && !approval.allowsNewDatasets { left.insert("create datasets", at: 0) }
            guard !left.isEmpty else { return lines + ["All of it is approved."] }
            let more = left.count > 2 ? " and \(left.count - 2) more" : ""
            lines.append(Self.cut("Not approved: \(left.prefix(2).joined(separator: ", "))\(more)"))
        }
        return lines + ["Apply:  \(command.with("--approve", digest.description))"]
    }

    /// The most datasets first.
    private var sorted: [(shape: Shape, datasets: [DatasetID])] {
        groups.sorted { ($1.datasets.count, $0.datasets[0]) < ($0.datasets.count, $1.datasets[0]) }
    }

    private static func line(_ line: String, of dataset: DatasetID) -> String {
        let (mark, rest) = (line.prefix(2), line.dropFirst(2))
        return "\(mark)\(dataset)" + (rest.hasPrefix("would ") ? ": " : ".") + rest
    }

    private static func cut(_ line: String) -> String {
        line.count <= width ? line : line.prefix(width - 4) + " ..."
    }

    // MARK: - JSON

    var json: JSONValue {
        let requests = requests
        return .object([
            ("digest", .string(digest.description)), ("catalog", .string(catalog)),
            ("apply", .string(command.with("--approve", digest.description))),
            ("kinds", .array(kinds.map { .string($0.description) })),
            (
                "groups",
                .array(
                    sorted.map { shape, datasets in
                        .object([
                            ("datasets", .integer(datasets.count)), ("is_new", .bool(shape.isNew)),
                            ("changes", .array(shape.lines.map { .string($0) })),
                            ("names", .array(datasets.map { .string($0.name) })),
                        ])
                    })
            ),
            ("requests", .integer(requests.total)),
            ("least_seconds", leastTime(requests).map { .integer($0.wholeMilliseconds / 1000) } ?? .null),
            ("not_reversible", .array(irreversible.map { .string($0) })),
            ("check", .array(warnings.map { .string($0) })),
        ])
    }
}
