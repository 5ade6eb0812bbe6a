import Foundation

/// How a job's process ended and what it wrote.
package struct JobOutcome: Sendable {
    package enum Ending: Sendable, Hashable {
        case exited(Int32)
        case killed(Int32)
    }

    package let ending: Ending
    package let output: String
    package let error: String

    /// `nil` if a signal killed it.
    package var exitCode: Int32? {
        if case .exited(let code) = ending { code } else { nil }
    }

    package var outputLines: [String] { Self.lines(of: output) }
    package var errorLines: [String] { Self.lines(of: error) }

    /// The last line of standard output.
    /// - Throws: If that is no summary; the error shows what the process wrote instead.
    package func summary() throws -> JobSummary {
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(JobSummary.self, from: Data((outputLines.last ?? "").utf8))
        } catch {
            throw NoSummary(outcome: self)
        }
    }

    package struct NoSummary: Error, CustomStringConvertible {
        let outcome: JobOutcome

        package var description: String {
            "no summary, \(outcome.ending), standard output: \(outcome.output), standard error: \(outcome.error)"
        }
    }

    private static func lines(of text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).dropLast(text.hasSuffix("\n") ? 1 : 0)
            .map(String.init)
    }
}
