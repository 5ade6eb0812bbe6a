import Foundation
import TestSupport
import Testing

extension JobOutcome {
    /// The summary of a run that ended with exit code 0.
    func succeeded(_ location: SourceLocation = #_sourceLocation) throws -> JobSummary {
        #expect(ending == .exited(0), "\(output) \(error)", sourceLocation: location)
        let summary = try summary()
        #expect(summary.status == "succeeded", sourceLocation: location)
        return summary
    }

    /// The summary of a run that ended with exit code 1.
    func failed(_ location: SourceLocation = #_sourceLocation) throws -> JobSummary {
        #expect(ending == .exited(1), "\(output) \(error)", sourceLocation: location)
        let summary = try summary()
        #expect(summary.status == "failed", sourceLocation: location)
        return summary
    }

    /// The lines of standard error as JSON objects; every one must be one.
    func logEntries() throws -> [[String: Any]] {
        try errorLines.map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }
}
