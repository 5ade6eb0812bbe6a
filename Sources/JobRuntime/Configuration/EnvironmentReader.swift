/// Reads variables as values of a type and collects what is wrong with them, so that one message can name everything.
///
/// A variable that is set but empty counts as not set. Where a value is missing or wrong, a placeholder is returned;
/// it is never used, since a job with problems does not start.
package struct EnvironmentReader: Sendable {
    package let variables: [String: String]
    /// One line each: which variable, what is wrong, what to do.
    package private(set) var problems: [String] = []
    private var problematicNames: Set<String> = []

    package init(_ variables: [String: String]) {
        self.variables = variables
    }

    /// - Parameters:
    ///   - expected: What to set the variable to, as the end of "set it to ...".
    ///   - check: What is wrong with the value, as the end of "it ...", or `nil`.
    package mutating func string(
        _ name: String, default fallback: String? = nil, expected: String, check: (String) -> String? = { _ in nil }
    ) -> String {
        if let value = optionalString(name, expected: expected, check: check) { return value }
        if let fallback { return fallback }
        if !problematicNames.contains(name) { note(name, problem: "is not set", expected: expected) }
        return ""
    }

    /// `nil` where the variable is not set or wrong.
    package mutating func optionalString(
        _ name: String, expected: String, check: (String) -> String? = { _ in nil }
    ) -> String? {
        guard let value = text(of: name) else { return nil }
        guard let wrong = containsControlCharacters(value) ? "contains control characters" : check(value) else {
            return value
        }
        note(name, problem: "is \(quoted(Self.withoutSecrets(value))), which \(wrong)", expected: expected)
        return nil
    }

    /// What may be an address loses the user name and password in front of its `@`, its query and its fragment.
    private static func withoutSecrets(_ value: String) -> String {
        let rest = value.lastIndex(of: "@").map { "…" + value[$0...] } ?? value
        return rest.firstIndex { $0 == "?" || $0 == "#" }.map { rest[...$0] + "…" } ?? rest
    }

    /// Secret stores often end a value with a line break; it is cut off. The value is never shown, not even a wrong one.
    package mutating func secret(_ name: String) -> Secret? {
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

    /// A secret without which the job cannot work.
    package mutating func requiredSecret(_ name: String, expected: String) -> Secret {
        if let secret = secret(name) { return secret }
        if !problematicNames.contains(name) { note(name, problem: "is not set", expected: expected) }
        return Secret("")
    }

    /// Adds a problem that concerns several variables, as one line with the names in it.
    package mutating func note(problem: String) {
        problems.append(problem)
    }

    /// Adds `NAME PROBLEM: set it to EXPECTED`. The value, where the problem shows it, goes through `quoted`.
    package mutating func note(_ name: String, problem: String, expected: String) {
        problematicNames.insert(name)
        problems.append("\(name) \(problem): set it to \(expected)")
    }

    /// Whether a problem with one of these variables is already known.
    package func hasProblem(with names: [String]) -> Bool {
        names.contains(where: problematicNames.contains)
    }

    /// Whether the variable is set, and not to an empty text.
    package func isSet(_ name: String) -> Bool { text(of: name) != nil }

    func text(of name: String) -> String? {
        variables[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
