package import ArgumentParser
package import JobRuntime
package import Warehouse

/// The kinds of differences that do not fail a run, from `TOLERATED_DIFFERENCES`.
///
/// ```swift
/// init(reading environment: inout EnvironmentReader) {
///     differences = DifferenceSettings(reading: &environment)
/// }
/// ```
package struct DifferenceSettings: JobSettings {
    package let tolerated: Set<SchemaDifference.Kind>

    /// The word for what the tables of earlier jobs lack: partitioning and clustering.
    static let layout = "layout"
    static let kindsOfLayout: Set<SchemaDifference.Kind> = [.partitioning, .clustering]
    /// With these, statements that rely on the catalog fail, so a run with them is never a success.
    static let intolerable: Set<SchemaDifference.Kind> = [.table, .type]
    /// Every word that the variable accepts.
    static let words = [layout] + SchemaDifference.Kind.allCases.filter { !intolerable.contains($0) }.map(\.rawValue)

    private static let variable = "TOLERATED_DIFFERENCES"

    package init(reading environment: inout EnvironmentReader) {
        let text = environment.optionalString(
            Self.variable, expected: "kinds of differences, separated by commas",
            help:
                "Kinds of differences that do not fail the run, separated by commas: \(Self.words.joined(separator: ", "))."
        )
        var kinds: Set<SchemaDifference.Kind> = []
        for part in text?.split(separator: ",") ?? [] {
            let word = part.filter { $0 != " " }
            if word == Self.layout {
                kinds.formUnion(Self.kindsOfLayout)
            } else if let kind = SchemaDifference.Kind(rawValue: word), !Self.intolerable.contains(kind) {
                kinds.insert(kind)
            } else if !word.isEmpty {
                environment.note(problem: "\(Self.variable): \(Self.objection(to: word))", with: [Self.variable])
            }
        }
        tolerated = kinds
    }

    private static func objection(to word: String) -> String {
        if let kind = SchemaDifference.Kind(rawValue: word), intolerable.contains(kind) {
            return
                "\(quoted(word)) cannot be tolerated, because statements that rely on the catalog fail on such a table"
        }
        let similar = suggestion(for: word, in: words)
        return "\(quoted(word)) is no kind of difference\(similar.isEmpty ? "." : similar) The kinds are "
            + words.joined(separator: ", ")
    }

    static func suggestion(for word: String, in words: [String]) -> String {
        words.sorted().first { $0.isSimilar(to: word) }.map { "; did you mean \($0)?" } ?? ""
    }
}

/// The options of a run about differences: `--apply` closes some kinds in place, and `--explain` describes all of them.
package struct DifferenceOptions: ParsableArguments, Sendable {
    @Option(
        help: .init(
            "Close differences of this kind in place: clustering, descriptions, labels or defaults. No row changes. Repeat the option for several kinds.",
            valueName: "kind"))
    package var apply: [String] = []

    @Flag(help: "Explain each kind of difference that is found and what closes it. Writes nothing, as --dry-run.")
    package var explain = false

    package init() {}

    package func validate() throws {
        let words = TableChange.kinds.map(\.rawValue)
        for word in apply where !words.contains(word) {
            throw ValidationError(
                "--apply \(quoted(word)) is not one of \(words.joined(separator: ", "))"
                    + DifferenceSettings.suggestion(for: word, in: words))
        }
    }

    /// The kinds to close.
    package var kinds: Set<SchemaDifference.Kind> { Set(apply.compactMap { SchemaDifference.Kind(rawValue: $0) }) }
}
