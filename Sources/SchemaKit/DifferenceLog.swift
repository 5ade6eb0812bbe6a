import JobRuntime
import Synchronization
import Warehouse

/// Collects the differences that a run finds, and reports each one once, however many datasets share it.
///
/// A difference is a conflict (a failure of the run), a notice (a warning), or tolerated: then all differences of its kind are one
/// line, and the run does not fail. Differences that the run closes are lines of the result.
final class DifferenceLog: Sendable {
    struct Entry: Hashable {
        /// Empty for the dataset itself.
        var table: String
        var difference: SchemaDifference
    }

    struct Found {
        var count = 0
        /// The first three by name.
        var datasets: [DatasetID] = []
    }

    let tolerated: Set<SchemaDifference.Kind>
    private let isDryRun: Bool
    private let found = Mutex<[Entry: Found]>([:])
    private let closed = Mutex<[Entry: Found]>([:])

    /// How many lines one kind of notice may have. More become one line.
    private static let mostLines = 10

    init(tolerated: Set<SchemaDifference.Kind>, isDryRun: Bool = false) {
        self.tolerated = tolerated
        self.isDryRun = isDryRun
    }

    func isConflict(_ difference: SchemaDifference) -> Bool {
        difference.isConflict && !tolerated.contains(difference.kind)
    }

    /// - Parameters:
    ///   - datasets: Some of the datasets, at least three or all of them.
    ///   - count: How many datasets have the difference.
    func add(_ difference: SchemaDifference, of table: String, in datasets: [DatasetID], count: Int) {
        found.withLock { Self.add(Entry(table: table, difference: difference), to: &$0, datasets, count) }
    }

    /// A difference that the run has closed, or would close in a dry run.
    func close(_ difference: SchemaDifference, of table: String, in dataset: DatasetID) {
        closed.withLock { Self.add(Entry(table: table, difference: difference), to: &$0, [dataset], 1) }
    }

    private static func add(_ key: Entry, to found: inout [Entry: Found], _ datasets: [DatasetID], _ count: Int) {
        var entry = found[key] ?? Found()
        entry.count += count
        entry.datasets = Array((entry.datasets + datasets).sorted().prefix(3))
        found[key] = entry
    }

    /// All that was found and is not reported yet, in the order of the report.
    var entries: [(key: Entry, value: Found)] {
        Self.sorted(found.withLock { $0 }.merging(closed.withLock { $0 }) { first, _ in first })
    }

    private static func sorted(_ found: [Entry: Found]) -> [(key: Entry, value: Found)] {
        found.sorted {
            ($0.key.table, $0.key.difference.path, $0.key.difference.kind.rawValue)
                < ($1.key.table, $1.key.difference.path, $1.key.difference.kind.rawValue)
        }
    }

    /// Reports everything that was collected, conflicts first. Adds to the counts `conflicts`, `notices` and `tolerated`.
    func flush(to report: RunReport) {
        reportClosed(to: report)
        let entries = found.withLock { found in
            defer { found = [:] }
            return Self.sorted(found)
        }
        report.attach("differences", .array(entries.map { details($0.key, $0.value) }))
        for (entry, found) in entries where isConflict(entry.difference) {
            report.add(found.count, to: "conflicts")
            report.fail(subject(entry, found), sentence(entry, found) + Self.outcome(found))
        }
        for kind in SchemaDifference.Kind.allCases {
            let same = entries.filter { $0.key.difference.kind == kind && !isConflict($0.key.difference) }
            let isTolerated = tolerated.contains(kind)
            report.add(same.reduce(0) { $0 + $1.value.count }, to: isTolerated ? "tolerated" : "notices")
            if isTolerated || same.count > Self.mostLines {
                guard !same.isEmpty else { continue }
                let line = summary(of: same)
                if isTolerated {
                    report.line("tolerated: \(kind.rawValue): \(line)")
                } else {
                    report.warn(kind.rawValue, line)
                }
            } else {
                for (entry, found) in same { report.warn(subject(entry, found), sentence(entry, found)) }
            }
        }
    }

    private func reportClosed(to report: RunReport) {
        let entries = closed.withLock { closed in
            defer { closed = [:] }
            return Self.sorted(closed)
        }
        guard !entries.isEmpty else { return }
        report.attach("closed", .array(entries.map { details($0.key, $0.value) }))
        let verb = isDryRun ? "would close" : "closed"
        for kind in SchemaDifference.Kind.allCases {
            let same = entries.filter { $0.key.difference.kind == kind }
            if same.count > Self.mostLines {
                report.line("\(verb): \(kind.rawValue): \(summary(of: same))")
            } else {
                for (entry, found) in same {
                    report.line("\(verb): \(subject(entry, found)): \(sentence(entry, found))")
                }
            }
        }
    }

    private func subject(_ entry: Entry, _ found: Found) -> String {
        guard found.count == 1, let dataset = found.datasets.first else {
            return entry.table.isEmpty ? "datasets" : entry.table
        }
        return entry.table.isEmpty ? dataset.name : "\(dataset).\(entry.table)"
    }

    private func sentence(_ entry: Entry, _ found: Found) -> String {
        found.count == 1
            ? "\(entry.difference)" : "\(entry.difference), in \(Self.datasets(found.count, found.datasets))"
    }

    private static func outcome(_ found: Found) -> String {
        found.count == 1 ? "; it was left as it is" : "; they were left as they are"
    }

    /// `1,000 datasets (acme_prod, globex_prod, initech_prod ...)`
    /// - Parameter names: Three of them are shown.
    static func datasets(_ count: Int, _ names: [DatasetID]) -> String {
        let shown = names.prefix(3)
        let more = count > shown.count ? " ..." : ""
        return "\(spoken(count, "datasets")) (\(shown.map(\.name).joined(separator: ", "))\(more))"
    }

    private func summary(of entries: [(key: Entry, value: Found)]) -> String {
        let tables = Set(entries.map(\.key.table)).subtracting([""]).count
        let most = entries.max { $0.value.count < $1.value.count }
        let places = tables == 0 ? "" : " in \(spoken(tables, "tables"))"
        let where_ = most.map { "up to " + Self.datasets($0.value.count, $0.value.datasets) } ?? ""
        return "\(spoken(entries.count, "differences"))\(places), in \(where_)"
    }

    private func details(_ entry: Entry, _ found: Found) -> JSONValue {
        .object([
            ("kind", .string(entry.difference.kind.rawValue)), ("table", .string(entry.table)),
            ("path", .string(entry.difference.path)), ("expected", .string(entry.difference.expected)),
            ("actual", .string(entry.difference.actual)), ("datasets", .integer(found.count)),
            ("examples", .array(found.datasets.map { .string($0.name) })),
            ("tolerated", .bool(tolerated.contains(entry.difference.kind))),
        ])
    }
}
