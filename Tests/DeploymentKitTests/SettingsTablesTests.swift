import Foundation
import Testing

@testable import DeploymentKit

/// Compares the Settings tables of docs/operations.md with the variables that the built jobs describe.
@Suite struct SettingsTablesTests {
    private struct Description: Decodable {
        struct Variable: Decodable {
            var name: String
            var required: Bool
            var `default`: String?
        }

        var variables: [Variable]
    }

    /// The variables that a job reads, as `NAME default`. Cloud Run sets its own variables, so the tables do not have them.
    private static func variables(of executable: String) throws -> Set<String> {
        let process = Process()
        let output = Pipe()
        process.executableURL = GenerateJobs.folder.appending(path: executable)
        process.arguments = ["--describe"]
        process.environment = [:]
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let variables = try JSONDecoder().decode(Description.self, from: text).variables
        return Set(
            variables.filter { !$0.name.hasPrefix("CLOUD_RUN_") }
                .map { "\($0.name) \($0.required ? "required" : $0.default ?? "none")" })
    }

    /// The defaults in the table under a heading, by variable. Rows of options (`--limit`) are left out.
    private static func table(under headings: String...) throws -> [String: String] {
        var lines = try Fixture.text("docs/operations.md").split(separator: "\n")[...]
        for heading in headings {
            lines = lines.drop { $0 != heading }.dropFirst()
            let level = heading.prefix { $0 == "#" }.count
            lines = lines.prefix { line in line.first != "#" || line.prefix { $0 == "#" }.count > level }
        }
        if let other = lines.first?.firstMatch(of: /^As for \[([a-z-]+)\]/)?.output.1 {
            return try table(under: "## \(other)", "### Settings")
        }
        var defaults: [String: String] = [:]
        for line in lines where line.hasPrefix("| `") {
            let cells = line.dropFirst(2).dropLast(2).components(separatedBy: " | ")
            let value = cells.last?.components(separatedBy: " (").first?.replacing("`", with: "")
            for name in cells[0].matches(of: /`([A-Za-z_]+)`/) { defaults[String(name.output.1)] = value }
        }
        return defaults
    }

    @Test func operationsNamesEveryVariableAndItsDefault() throws {
        let shared = try Self.table(under: "## Shared settings")
        let jobs = try JobsFileReader.read(Fixture.text("jobs.yaml")).jobs

        #expect(!jobs.isEmpty)
        for job in jobs {
            let own = try Self.table(under: "## \(job.name)", "### Settings")
            let documented = Set(shared.merging(own) { $1 }.map { "\($0.key) \($0.value)" })
            let described = try Self.variables(of: job.executable)

            #expect(!own.isEmpty, "\(job.name)")
            #expect(documented.subtracting(described) == [], "\(job.name): not described")
            #expect(described.subtracting(documented) == [], "\(job.name): not documented")
        }
    }
}
