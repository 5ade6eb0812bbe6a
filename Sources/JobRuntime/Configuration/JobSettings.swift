/// What a job reads from the environment, before it does anything else.
package protocol JobSettings: Sendable {
    /// The variables and what each is for, for `--help`.
    static var environmentHelp: [(name: String, text: String)] { get }

    /// Reads every variable, also after one was found to be wrong: the reader collects the problems, and the job does
    /// not start when there are any.
    init(reading environment: inout EnvironmentReader)
}

extension JobSettings {
    package static var environmentHelp: [(name: String, text: String)] { [] }
}

/// The settings of a job that reads nothing from the environment.
package struct NoSettings: JobSettings {
    package init(reading environment: inout EnvironmentReader) {}
}
