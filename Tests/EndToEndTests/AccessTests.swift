import Foundation
import TestSupport
import Testing

/// Holds the access that is deployed to what the jobs use, on an emulator that refuses everything else.
@Suite(.timeLimit(.minutes(30))) struct AccessTests {
    private static let path = "deploy/access.json"
    private static let isRecording = ProcessInfo.processInfo.environment["RECORD_GOLDEN_FILES"] != nil

    /// Both directions: a use that the list does not have, and an entry of the list that no job uses.
    @Test func everyJobDoesItsWorkWithTheAccessThatTheListHasAndUsesAllOfIt() async throws {
        let world = try await ServiceWorld()
        if Self.isRecording {
            try await world.runEveryJob {}
        } else {
            let access = try DeployedAccess(environment: "test")
            try await world.enforce(access.withoutTables)
            try await world.runEveryJob { try await world.enforce(access) }
        }

        let list = try Self.list(await world.stage.emulator.uses(of: world.stage.project))
        let unsent = try Self.purposes().filter { purpose in
            !world.statements.contains { $0.wholeMatch(of: purpose.pattern) != nil }
        }
        .map(\.text)

        if Self.isRecording {
            try Data(list.utf8).write(to: URL(filePath: Repository.path(Self.path)))
            Issue.record("\(Self.path) was written; run again without RECORD_GOLDEN_FILES")
        }
        #expect(
            try list == String(contentsOfFile: Repository.path(Self.path), encoding: .utf8),
            "If the change is meant: scripts/record-access.sh")
        #expect(
            unsent == Self.unsent,
            "A statement that no run of ServiceWorld sends: its access would be missing in the list")
    }

    /// Statements after a fault, beside another execution, or before bootstrap has created the events' cursor. The other
    /// statements of the same type use the same tables.
    private static let unsent = [
        #"confirm the release of the lease of \(jobs.joined(separator: "#, "count the due syncs",
        "find who added the columns",
        #"keep the lease of \(jobs.joined(separator: "#,
        "list the datasets of the active organizations",
        #"queue \(slugs.count) organizations that lost their subscription"#, "release the claimed syncs",
        "write the failed changes into the history",
    ]

    /// The purposes of the statements that the kits write down, up to a quotation mark. One that is put together elsewhere is not found.
    private static func purposes() throws -> [(text: String, pattern: Regex<AnyRegexOutput>)] {
        let folders = ["BillingKit", "QuotaKit", "SchemaKit", "VerifyKit", "WarehouseKit"].map {
            Repository.path("Sources/\($0)")
        }
        let files = try folders.flatMap { folder in
            try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter { $0.hasSuffix(".swift") }.map {
                "\(folder)/\($0)"
            }
        }
        let texts = try files.flatMap { file in
            try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").filter { !$0.contains("///") }
                .joined(separator: "\n").matches(of: /Statement\(\s*"((?:[^"\\]|\\\([^"]*?\)|\\.)*)"/).map {
                    String($0.1)
                }
        }
        return try Set(texts).sorted().map { text in
            let pattern = text.split(separator: /\\\((?:[^)]*\)|.*$)/, omittingEmptySubsequences: false)
                .map { NSRegularExpression.escapedPattern(for: String($0)) }.joined(separator: ".*")
            return (text, try Regex(pattern))
        }
    }

    @Test func everyJobOfTheServiceIsInTheList() throws {
        let text = try String(contentsOfFile: Repository.path(Self.path), encoding: .utf8)

        for job in JobExecutable.jobs { #expect(text.contains("  \"\(job.name)\": [")) }
    }

    /// One role taken away, and the run that misses it: the failure names the resource and the permission.
    @Test(arguments: [
        (
            "quota-cleanup", "scheduler_jobs.billing_sync_queue",
            ["Table ", ":scheduler_jobs.billing_sync_queue", "lacks bigquery.tables.getData"]
        ),
        (
            "quota-reset-daily", "organizations.org_profiles",
            ["Table ", ":organizations.org_profiles", "lacks bigquery.tables.getData"]
        ),
        ("bootstrap-sync", "organizations", ["Dataset ", ":organizations", "bigquery.tables.get"]),
        (
            "org-sync-all", "organizations.org_profiles",
            ["Table ", ":organizations.org_profiles", "lacks bigquery.tables.getData"]
        ),
        ("stale-cleanup", "project", ["Project ", "bigquery.jobs.create"]),
    ])
    func withoutAGrantTheRunFailsAndNamesWhatIsMissing(_ job: String, _ place: String, _ words: [String]) async throws {
        let world = try await ServiceWorld()
        let access = try DeployedAccess(environment: "test")
        try await world.enforce(access)
        _ = try await world.run("bootstrap").succeeded()
        try await world.enforce(try access.without(job, on: place))

        let outcome = try await world.run(job)

        #expect(outcome.ending == .exited(1))
        let reasons = try outcome.summary().failures.map(\.reason).joined(separator: "\n")
        for word in words + ["(accessDenied)", "scripts/create-all-jobs.sh gives"] {
            #expect(reasons.contains(word), "\(reasons)")
        }
    }

    /// What one account may do, another one may not.
    @Test func theStandInTellsAccountsApart() async throws {
        let world = try await ServiceWorld()
        try await world.enforce(try DeployedAccess(environment: "test"))
        let base = "\(world.stage.emulator.url)/as/stale-cleanup"

        let outcome = try await world.run("bootstrap", with: ["BIGQUERY_EMULATOR_HOST": base])

        let reasons = try outcome.failed().failures.map(\.reason).joined(separator: "\n")
        #expect(reasons.contains("denied on dataset \(world.stage.project):organizations"), "\(reasons)")
    }

    /// One line for each place, so that a change can be read.
    private static func list(_ uses: Data) throws -> String {
        struct Use: Codable {
            var on: String
            var does: String
            var permissions: [String]
        }
        let jobs = try JSONDecoder().decode([String: [Use]].self, from: uses).sorted { $0.key < $1.key }
        let texts = jobs.map { job, uses in
            let lines = uses.map { use in
                let permissions = use.permissions.map { "\"\($0)\"" }.joined(separator: ", ")
                return "    {\"on\": \"\(use.on)\", \"does\": \"\(use.does)\", \"permissions\": [\(permissions)]}"
            }
            return "  \"\(job)\": [\n" + lines.joined(separator: ",\n") + "\n  ]"
        }
        return "{\n" + texts.joined(separator: ",\n") + "\n}\n"
    }
}
