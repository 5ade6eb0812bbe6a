/// What a job reads from the environment, before it does anything else.
package protocol JobSettings: Sendable {
    /// Reads every variable, in every case and also after a wrong one: reading declares a variable, the reader collects the
    /// problems, and the job does not start if there are any.
    init(reading environment: inout EnvironmentReader)
}

/// The configuration cannot work, and only the run found it out (a bad file, a project that does not exist).
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

/// A value that must not be seen: printing, dumping and reflecting it show `***`.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let value: String

    package init(_ value: String) {
        self.value = value
    }

    package var description: String { "***" }
    package var debugDescription: String { "***" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
