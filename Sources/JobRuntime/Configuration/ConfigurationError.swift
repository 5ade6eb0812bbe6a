/// The configuration cannot work, as was found out only during the run (a bad file, a project that is not there).
/// The run ends with exit code 78.
package struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    /// One line each: what is wrong, where, what to do.
    package let problems: [String]

    package init(_ problems: [String]) {
        self.problems = problems
    }

    package init(_ problem: String) {
        problems = [problem]
    }

    package var description: String { problems.joined(separator: "; ") }
}
