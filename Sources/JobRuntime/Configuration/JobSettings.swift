/// The settings of a job. They are read from the environment before anything else happens.
package protocol JobSettings: Sendable {
    /// Reads every variable in every case, also after a wrong one, because reading declares a variable. The reader collects
    /// the problems, and a job with problems does not start.
    init(reading environment: inout EnvironmentReader)
}

/// A problem of the configuration that only the run could find, such as a bad file. The run ends with exit code 78.
package struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    /// One line each: the problem, its place, and the next step.
    package let problems: [String]

    package init(_ problems: [String]) {
        self.problems = problems
    }

    package init(_ problem: String) {
        problems = [problem]
    }

    package var description: String { problems.joined(separator: "; ") }
}

/// A secret value. Printing, dumping and reflecting it show `***`.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let value: String

    package init(_ value: String) {
        self.value = value
    }

    package var description: String { "***" }
    package var debugDescription: String { "***" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
