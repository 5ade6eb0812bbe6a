import FoundationEssentials
import Glibc

/// An environment variable as a job declares it, by reading it.
package struct Variable: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case text
        case integer(ClosedRange<Int>)
        case boolean
        case choice([String])
    }

    /// Whether one job reads the variable, or the runtime of every job.
    package enum Scope: String, Sendable {
        case job
        case everyJob = "every_job"
    }

    package let name: String
    /// The use of the variable, in sentences.
    package let help: String
    package let kind: Kind
    /// The value that counts if the variable is not set, as text.
    package let fallback: String?
    package let isRequired: Bool
    package let isSecret: Bool
    package let scope: Scope

    /// The help with range and default, for `--help`.
    var explanation: String {
        var parts = [help]
        switch kind {
        case .integer(let range) where range.upperBound == .max: parts.append("At least \(range.lowerBound).")
        case .integer(let range): parts.append("From \(range.lowerBound) to \(range.upperBound).")
        case .choice(let words): parts.append("One of: \(words.joined(separator: ", ")).")
        case .text, .boolean: break
        }
        if let fallback { parts.append("Default: \(fallback).") }
        if isRequired { parts.append("Required.") }
        return parts.joined(separator: " ")
    }
}

/// Reads variables as typed values, and collects their problems, so that one message can name all of them.
///
/// Reading a variable declares it: the call states its name, type, range, default and help, and nothing else does.
/// `--help`, `--describe` and the check of `jobs.yaml` come from these declarations, so settings must read every variable
/// in every case.
///
/// ```swift
/// daysToKeep = environment.integer(
///     "DAYS_TO_KEEP", default: 90, in: 1...36_500, help: "The job deletes rows that are older than that many days.")
/// ```
///
/// A variable that is set but empty counts as not set. A missing or wrong value becomes a placeholder, which nobody uses,
/// because a job with problems does not start.
package struct EnvironmentReader: Sendable {
    /// A problem of the environment.
    package struct Problem: Sendable, Hashable {
        /// The variables that the problem concerns.
        package let variables: [String]
        /// One line: the variable, the problem, and the value to set.
        package let text: String
    }

    package let variables: [String: String]
    /// The variables that were read so far, in that order.
    package private(set) var declarations: [Variable] = []
    package private(set) var findings: [Problem] = []
    /// Whether a missing secret is a problem. `--describe` sets this to `false`, because it gets no secrets.
    package internal(set) var needsSecrets = true
    var scope = Variable.Scope.job

    package init(_ variables: [String: String]) {
        self.variables = variables
    }

    /// One line for each problem.
    package var problems: [String] { findings.map(\.text) }

    /// Reads a text.
    ///
    /// - Parameters:
    ///   - fallback: The value if the variable is not set. Without it, the variable must be set.
    ///   - expected: The expected value, as the end of "set it to ...".
    ///   - check: Returns the problem of the value, as the end of "which ...", or `nil`.
    package mutating func string(
        _ name: String, default fallback: String? = nil, expected: String, help: String,
        check: (String) -> String? = { _ in nil }
    ) -> String {
        declare(name, .text, help: help, default: fallback, isRequired: fallback == nil)
        return checked(name, expected: expected, check: check) ?? fallback ?? missing(name, expected: expected)
    }

    /// Reads a text that need not be set. `nil` if the variable is not set or wrong.
    package mutating func optionalString(
        _ name: String, expected: String, help: String, check: (String) -> String? = { _ in nil }
    ) -> String? {
        declare(name, .text, help: help)
        return checked(name, expected: expected, check: check)
    }

    /// Reads a whole number in decimal digits.
    package mutating func integer(
        _ name: String, default fallback: Int, in range: ClosedRange<Int>, help: String
    ) -> Int {
        declare(name, .integer(range), help: help, default: String(fallback))
        return number(name, in: range) ?? fallback
    }

    /// Reads a whole number that need not be set. `nil` if the variable is not set or wrong.
    package mutating func optionalInteger(_ name: String, in range: ClosedRange<Int>, help: String) -> Int? {
        declare(name, .integer(range), help: help)
        return number(name, in: range)
    }

    /// Reads `true`, `false`, `yes`, `no`, `1` or `0`, in any case.
    package mutating func boolean(_ name: String, default fallback: Bool, help: String) -> Bool {
        declare(name, .boolean, help: help, default: String(fallback))
        guard let value = text(of: name) else { return fallback }
        switch value.lowercased() {
        case "true", "yes", "1": return true
        case "false", "no", "0": return false
        default:
            note(name, problem: "is \(quoted(value))", expected: "true or false")
            return fallback
        }
    }

    /// Reads one of a few words, written exactly so. Without a default the variable must be set.
    package mutating func choice(
        _ name: String, of words: [String], default fallback: String? = nil, help: String
    ) -> String {
        declare(name, .choice(words), help: help, default: fallback, isRequired: fallback == nil)
        return word(name, of: words) ?? fallback ?? missing(name, expected: Self.alternatives(words))
    }

    /// Reads one of a few words, which need not be set. `nil` if the variable is not set or wrong.
    package mutating func optionalChoice(_ name: String, of words: [String], help: String) -> String? {
        declare(name, .choice(words), help: help)
        return word(name, of: words)
    }

    /// Reads a secret. Secret stores often end a value with a line break, which is cut off. No message shows the value, not
    /// even a wrong one.
    package mutating func secret(_ name: String, help: String) -> Secret? {
        declare(name, .text, help: help, isSecret: true)
        return secretValue(name)
    }

    /// Reads a secret without which the job cannot work.
    package mutating func requiredSecret(_ name: String, expected: String, help: String) -> Secret {
        declare(name, .text, help: help, isRequired: true, isSecret: true)
        if let secret = secretValue(name) { return secret }
        return needsSecrets ? Secret(missing(name, expected: expected)) : Secret("")
    }

    /// Whether the variable is set to anything but an empty text.
    package mutating func flag(_ name: String, help: String) -> Bool {
        declare(name, .text, help: help)
        return text(of: name) != nil
    }

    /// Declares a variable that a library reads.
    package mutating func declare(_ name: String, help: String) {
        declare(name, .text, help: help)
    }

    /// Adds a problem that concerns several variables, as one line with the names in it.
    package mutating func note(problem: String, with names: [String]) {
        findings.append(Problem(variables: names, text: problem))
    }

    /// Adds `NAME PROBLEM: set it to EXPECTED`. A value in the problem goes through `quoted`.
    package mutating func note(_ name: String, problem: String, expected: String) {
        findings.append(Problem(variables: [name], text: "\(name) \(problem): set it to \(expected)"))
    }

    /// Whether a problem with one of these variables is already known.
    package func hasProblem(with names: [String]) -> Bool {
        findings.contains { finding in names.contains(where: finding.variables.contains) }
    }

    private mutating func declare(
        _ name: String, _ kind: Variable.Kind, help: String, default fallback: String? = nil, isRequired: Bool = false,
        isSecret: Bool = false
    ) {
        let variable = Variable(
            name: name, help: help, kind: kind, fallback: fallback, isRequired: isRequired, isSecret: isSecret,
            scope: scope)
        if !declarations.contains(where: { $0.name == name }) { declarations.append(variable) }
    }

    private func text(of name: String) -> String? {
        variables[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    private mutating func checked(_ name: String, expected: String, check: (String) -> String?) -> String? {
        guard let value = text(of: name) else { return nil }
        guard let wrong = containsControlCharacters(value) ? "contains control characters" : check(value) else {
            return value
        }
        note(name, problem: "is \(quoted(Self.withoutSecrets(value))), which \(wrong)", expected: expected)
        return nil
    }

    private mutating func number(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = text(of: name) else { return nil }
        if let number = Int(value), range.contains(number) { return number }
        note(
            name, problem: "is \(quoted(value))",
            expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        return nil
    }

    private mutating func word(_ name: String, of words: [String]) -> String? {
        checked(name, expected: Self.alternatives(words)) { words.contains($0) ? nil : "is not known" }
    }

    private mutating func secretValue(_ name: String) -> Secret? {
        guard var value = text(of: name) else { return nil }
        while let last = value.last, last.isNewline { value.removeLast() }
        guard !value.isEmpty else { return nil }
        guard !containsControlCharacters(value) else {
            note(
                name, problem: "contains control characters (it is a secret and not shown)", expected: "the bare secret"
            )
            return nil
        }
        return Secret(value)
    }

    /// Returns a placeholder for a required variable, and notes a problem if the variable has none yet.
    private mutating func missing(_ name: String, expected: String) -> String {
        if !hasProblem(with: [name]) { note(name, problem: "is not set", expected: expected) }
        return ""
    }

    private static func alternatives(_ words: [String]) -> String {
        words.dropLast().joined(separator: ", ") + (words.count > 1 ? " or " : "") + (words.last ?? "")
    }

    /// A text that may be an address loses the user name and password before its `@`, its query and its fragment.
    private static func withoutSecrets(_ value: String) -> String {
        let rest = value.lastIndex(of: "@").map { "…" + value[$0...] } ?? value
        return rest.firstIndex { $0 == "?" || $0 == "#" }.map { rest[...$0] + "…" } ?? rest
    }
}

/// Checks the path of a file to read, for `EnvironmentReader.string`. Returns the problem, or `nil`.
package func problemOfFile(_ path: String) -> String? {
    var status = stat()
    let isFile = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFDIR
    return isFile && access(path, R_OK) == 0 ? nil : "is not a readable file"
}
