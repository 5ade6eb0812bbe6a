import Foundation

@testable import DeploymentKit

/// Every problem of a `jobs.yaml` stands in one of its lines, and a second reading has the same ones.
enum JobsFileProperties {
    static func check(_ input: Data) throws {
        let text = String(decoding: input, as: UTF8.self)
        let lines = 2 + text.unicodeScalars.count { ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"].contains($0) }
        do {
            let file = try JobsFileReader.read(text)
            try hold(
                !file.jobs.isEmpty && !file.environments.isEmpty, "a file without jobs or environments is accepted")
            for warning in file.warnings { try hold((1...lines).contains(warning.line), "\(warning)") }
        } catch let problems as Problems {
            try hold(!problems.all.isEmpty, "a refusal without a problem")
            for problem in problems.all {
                try hold((1...lines).contains(problem.line), "\(problem) in a file of \(lines) lines")
                try hold(!problem.message.isEmpty, "a problem without a message")
            }
        }
    }
}
