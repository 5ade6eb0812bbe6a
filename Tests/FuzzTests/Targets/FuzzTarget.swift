import Foundation

/// A reader of input that somebody else writes, with the properties that must hold for every input.
///
/// `scripts/fuzz.sh` gives each target millions of inputs; `CorpusTests` gives it the committed ones.
///
/// ```swift
/// try FuzzTarget.cron.check(Data("*/15 * * * *".utf8))    // throws a Violation if a property does not hold
/// ```
enum FuzzTarget: String, CaseIterable {
    case json, rows, survey, catalog, jobs, cron, names, gzip, credentials, stripe, events, errors

    /// Ends the process, for instance by a trap, or throws ``Violation`` if the input shows a fault of the reader.
    func check(_ input: Data) throws {
        switch self {
        case .json: try JSONProperties.check(input)
        case .rows: try RowProperties.check(input)
        case .survey: try SurveyProperties.check(input)
        case .catalog: try CatalogProperties.check(input)
        case .jobs: try JobsFileProperties.check(input)
        case .cron: try CronProperties.check(input)
        case .names: try NameProperties.check(input)
        case .gzip: try GzipProperties.check(input)
        case .credentials: try CredentialProperties.check(input)
        case .stripe: try StripeProperties.check(input)
        case .events: try EventProperties.check(input)
        case .errors: try ErrorProperties.check(input)
        }
    }
}

/// A property that does not hold for an input.
struct Violation: Error, CustomStringConvertible {
    let description: String
}

/// Throws ``Violation`` unless the condition holds.
func hold(_ condition: Bool, _ property: @autoclosure () -> String) throws {
    if !condition { throw Violation(description: property()) }
}
