import Foundation
import Testing
import WarehouseKit
import Yams

@testable import DeploymentKit

@Suite struct GeneratedFilesTests {
    private static let golden = "Tests/DeploymentKitTests/Golden"

    @Test func writesTheGoldenFiles() throws {
        let texts = GeneratedFiles.texts(for: try Fixture.file(), describedBy: try Fixture.descriptions())

        if Fixture.recordsGoldenFiles {
            try record(texts)
            Issue.record("golden files were written; run again without RECORD_GOLDEN_FILES")
        }
        #expect(try files(Self.golden) == Set(texts.keys))
        for (path, text) in texts {
            #expect(try Fixture.text("\(Self.golden)/\(path)") == text, "\(path)")
        }
    }

    @Test func yamlAndJSONSayTheSame() throws {
        let document: Document = [
            "empty": [:], "none": [], "text": "a: b # c", "number as text": "1", "yes": "yes", "quote": "\"\\\n\u{1}",
            "nested": [["a": ["b", ["c": 1]]], true, .null],
        ]

        let fromYAML = try #require(try Yams.load(yaml: document.yaml) as? NSDictionary)
        let fromJSON = try #require(
            try JSONSerialization.jsonObject(with: Data(document.json.utf8)) as? NSDictionary)

        #expect(fromYAML == fromJSON)
    }

    @Test func secretsAreNamesOnly() throws {
        let job = try #require(
            GeneratedFiles.texts(for: try Fixture.file(), describedBy: try Fixture.descriptions())[
                "test/jobs/demo-sweep.yaml"])

        #expect(job.contains("secretKeyRef:"))
        #expect(job.contains("name: stripe-test"))
        #expect(!job.contains("value: stripe-test"))
    }

    @Test(arguments: [
        ("stripe-{environment}", "latest"), ("stripe-{environment}:7", "\"7\""),
        ("stripe-{environment}:latest", "latest"),
    ])
    func aSecretIsTheLatestVersionOrAPinnedOne(written: String, key: String) throws {
        let file = try JobsFileReader.read(Fixture.yaml("stripe-{environment}", written))

        let texts = GeneratedFiles.texts(for: file, describedBy: try Fixture.descriptions())

        let job = try #require(texts["test/jobs/demo-sweep.yaml"])
        #expect(job.contains("name: stripe-test\n                  key: \(key)\n"))
        #expect(try #require(texts["test/iam.json"]).contains("\"name\": \"stripe-test\""))
    }

    @Test func theKeyOfTheAPIServiceIsMountedOnlyWhereItsAddressIsSet() throws {
        let stage = WarningTests.stage.replacing("project: demo-", with: "project: other-")
        let address = "    environment: {API_SERVICE_URL: https://api.example.com}\n"
        let yaml = try Fixture.yaml("STRIPE_SECRET_KEY: stripe-{environment}", "CA_ROOT_API_KEY: key-{environment}")
            .replacing("custom_roles:\n", with: "\(stage)\(address)custom_roles:\n")

        let texts = GeneratedFiles.texts(for: try JobsFileReader.read(yaml), describedBy: [:])

        #expect(try #require(texts["stage/jobs/other-sweep.yaml"]).contains("name: key-stage"))
        #expect(try #require(texts["stage/iam.json"]).contains("key-stage"))
        let silent = texts.filter {
            $0.key.hasPrefix("test/") && ($0.value.contains("key-test") || $0.value.contains("CA_ROOT_API_KEY"))
        }
        #expect(silent.keys.sorted() == [])
    }

    @Test func variablesOfTheDefaultsStayWhereAJobHasItsOwn() throws {
        let yaml = try Fixture.yaml(
            "defaults:\n", "defaults:\n  environment: {A: defaults, B: defaults, DAYS_TO_KEEP: 1}\n"
        )
        .replacing("    confirm: false\n", with: "    confirm: false\n    environment: {B: test, DAYS_TO_KEEP: 2}\n")
        let file = try JobsFileReader.read(yaml)

        let job = DeployedJob(job: file.jobs[0], environment: file.environments[0], file: file, description: nil)

        let own = job.variables.suffix(3).map { "\($0.name)=\($0.value)" }
        #expect(own == ["A=defaults", "B=test", "DAYS_TO_KEEP=90"])
    }

    @Test func variablesForSeveralJobsReachThoseThatReadThem() throws {
        let yaml = try Fixture.yaml("defaults:\n", "defaults:\n  environment: {DAYS_TO_KEEP: 1, LOG_FORMAT: json}\n")
        let file = try JobsFileReader.read(yaml)

        let jobs = try file.jobs.map {
            DeployedJob(
                job: $0, environment: file.environments[0], file: file, description: try Fixture.description($0.name))
        }

        #expect(jobs[0].variables.suffix(2).map(\.name) == ["DAYS_TO_KEEP", "LOG_FORMAT"])
        #expect(jobs[1].variables.map(\.name).last == "LOG_FORMAT")
        #expect(!jobs[1].variables.contains { $0.name == "DAYS_TO_KEEP" })
    }

    @Test func onlyAnExclusiveJobHasALease() throws {
        let texts = GeneratedFiles.texts(for: try Fixture.file(), describedBy: try Fixture.descriptions())

        #expect(
            try #require(texts["test/jobs/demo-sweep.yaml"]).contains(
                "- name: LEASE_SECONDS\n              value: \"780\""))
        #expect(!(try #require(texts["test/jobs/demo-setup.yaml"]).contains("LEASE_SECONDS")))
    }

    @Test func aJobStopsBeforeItsTimeoutAndItsLeaseOutlivesIt() throws {
        for job in try JobsFileReader.read(Fixture.text("jobs.yaml")).jobs {
            #expect(job.deadlineSeconds < job.timeoutSeconds - 5)
            #expect(
                job.deadlineSeconds >= job.timeoutSeconds * 9 / 10 - 1 || job.timeoutSeconds - job.deadlineSeconds == 60
            )
            // A statement of a killed attempt is over before the lease expires, also by a clock that is a minute ahead.
            #expect(.seconds(job.leaseSeconds - job.timeoutSeconds) == JobLease.grace + .seconds(60))
        }
    }

    // MARK: Alerts and commands

    @Test func aPausedJobHasNoDeadMansSwitch() throws {
        let yaml = try Fixture.yaml("    confirm: false", "    confirm: false\n    paused: [sweep]")
        let texts = GeneratedFiles.texts(for: try JobsFileReader.read(yaml), describedBy: try Fixture.descriptions())

        #expect(try #require(texts["test/alerts/no-success-sweep.json"]).contains("\"enabled\": false"))
        #expect(try #require(texts["test/alerts/job-failed.json"]).contains("\"enabled\": true"))
        #expect(try #require(texts["test/commands.sh"]).contains("gcloud scheduler jobs pause demo-sweep-trigger"))
    }

    @Test func recipientsAreInTheFilesAndInTheCommands() throws {
        let yaml = try Fixture.yaml(
            "[ops@example.com]",
            "[ops@example.com]\n    alert_channels: ['On-call \"Slack\"', projects/demo-project/notificationChannels/12]"
        )
        let texts = GeneratedFiles.texts(for: try JobsFileReader.read(yaml), describedBy: try Fixture.descriptions())

        #expect(try #require(texts["test/deployment.json"]).contains("\"On-call \\\"Slack\\\"\""))
        let commands = try #require(texts["test/commands.sh"])
        #expect(
            commands.contains(
                "channel1=\"$(gcloud beta monitoring channels list --filter='displayName=\"On-call \\\"Slack\\\"\"' "))
        #expect(commands.contains("channel2=projects/demo-project/notificationChannels/12\n"))
        #expect(commands.contains("--notification-channels=\"$channel0,$channel1,$channel2\"\n"))
    }

    /// 2,048 characters of a filter and six conditions of a policy are the most that Cloud Monitoring takes.
    @Test(arguments: [2, 60, 900]) func theAlertsOfManyJobsStayWithinTheLimits(_ count: Int) throws {
        let file = try Fixture.file()
        var names: Set<String> = []
        let jobs = try (0..<count).map { number in
            let text = try Fixture.yaml("- name: setup", "- name: export-report-\(number)")
            let job = try #require(try JobsFileReader.read(text).jobs.last)
            names.insert("demo-export-report-\(number)")
            return DeployedJob(job: job, environment: file.environments[0], file: file, description: nil)
        }

        let policies = AlertPolicies(jobs: jobs, environment: file.environments[0]).documents.filter {
            $0.name.hasPrefix("job-failed")
        }

        for policy in policies {
            let body = try #require(
                try JSONSerialization.jsonObject(with: Data(policy.document.json.utf8)) as? [String: Any])
            let conditions = try #require(body["conditions"] as? [[String: Any]])
            #expect((1...6).contains(conditions.count))
            for condition in conditions {
                let threshold = try #require(condition["conditionThreshold"] as? [String: Any])
                let filter = try #require(threshold["filter"] as? String)
                #expect(filter.count <= 2048)
                names.subtract(filter.split(separator: "\"").map(String.init))
            }
        }
        #expect(names.isEmpty, "every job is in a filter")
        #expect(Set(policies.map(\.name)).count == policies.count)
    }

    @Test func aLongPurposeIsShortenedInTheUnitOfIAM() throws {
        let yaml = try Fixture.yaml("purpose: Sweeps.", "purpose: \(String(repeating: "ü", count: 200))")
        let file = try JobsFileReader.read(yaml)
        let jobs = file.jobs.map {
            DeployedJob(job: $0, environment: file.environments[0], file: file, description: nil)
        }

        let access = Deployment(file: file, environment: file.environments[0], jobs: jobs).access.json

        #expect(access.contains("\"\(String(repeating: "ü", count: 128))\""))
    }

    @Test(arguments: [
        ("plain", "plain"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("--title=a b", "--title='a b'"), ("", "''"),
        ("$HOME", "'$HOME'"), ("--x=`y`", "--x='`y`'"),
    ])
    func aWordOfACommandIsQuotedWhereItMustBe(_ word: String, _ expected: String) {
        #expect(Commands.quoted(word) == expected)
    }

    // MARK: The schema

    @Test func theSchemaHasEveryDeclaredKeyAndNoOther() throws {
        let schema = try schema()

        #expect(try keys(schema) == JobsFile.keys.sorted())
        #expect(try keys(definition("environment", of: schema)) == EnvironmentDefinition.fields.map(\.key).sorted())
        #expect(try keys(definition("customRole", of: schema)) == CustomRole.fields.map(\.key).sorted())
        #expect(try keys(definition("job", of: schema)) == JobDefinition.fields.map(\.key).sorted())
        #expect(
            try keys(definition("defaults", of: schema))
                == JobDefinition.fields.filter(\.mayBeDefault).map(\.key).sorted())
        for name in ["environment", "customRole", "job", "defaults"] {
            #expect(try definition(name, of: schema)["additionalProperties"] as? Bool == false, "\(name)")
        }
        #expect(schema["additionalProperties"] as? Bool == false)
    }

    @Test func theSchemaKnowsTheEnvironmentsOfTheJobs() throws {
        let properties = try #require(try schema()["properties"] as? [String: [String: Any]])
        let names = try #require(properties["environments"]?["propertyNames"] as? [String: [String]])

        #expect(names["enum"] == EnvironmentDefinition.names)
    }

    /// Keys that defaults may have need not be in a job.
    @Test func theSchemaRequiresWhatTheReaderRequires() throws {
        let job = try definition("job", of: try schema())

        #expect(job["required"] as? [String] == ["name", "executable", "purpose", "schedule"])
    }

    @Test(arguments: JobDefinition.fields.filter { $0.place != nil }.map(\.key))
    func aFieldIsInTheResourceWhereItsPointerSays(_ key: String) throws {
        let field = try #require(JobDefinition.fields.first { $0.key == key })
        let file = try Fixture.file()
        let owner = try #require(file.jobs.first { $0.values.document(key) != nil }, "the fixture has no \(key)")
        let job = DeployedJob(job: owner, environment: file.environments[0], file: file, description: nil)
        let pointer = try #require(field.place).pointer.split(separator: "/")

        var place = Optional(job.resource)
        for part in pointer.map({ $0.replacing("~1", with: "/").replacing("~0", with: "~") }) {
            switch place {
            case .object(let members): place = members.first { $0.key == part }?.value
            case .array(let items): place = Int(part).flatMap { items.indices.contains($0) ? items[$0] : nil }
            default: place = nil
            }
        }

        #expect(place == owner.values.document(key), "\(pointer)")
    }

    private func schema() throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(GeneratedFiles.schema.utf8)) as? [String: Any])
    }

    private func definition(_ name: String, of schema: [String: Any]) throws -> [String: Any] {
        let all = try #require(schema["$defs"] as? [String: [String: Any]])
        return try #require(all[name])
    }

    private func keys(_ schema: [String: Any]) throws -> [String] {
        try #require(schema["properties"] as? [String: Any]).keys.sorted()
    }

    // MARK: Tables in documents

    @Test func writesTheTablesOfADocument() throws {
        let text = """
            Before.
            <!-- generated: jobs -->
            old
            <!-- /generated -->
            <!-- generated: roles -->
            <!-- /generated -->
            <!-- generated: access -->
            <!-- /generated -->
            After.

            """

        let written = try GeneratedFiles.document(text, named: "a.md", for: try Fixture.file())

        #expect(
            written == """
                Before.
                <!-- generated: jobs -->
                | Job | Binary | Purpose | Schedule |
                | --- | --- | --- | --- |
                | `sweep` | `SweepJob` | Sweeps. | every day at 01:00 UTC |
                | `setup` | `SetupJob` | Sets up. | by hand |
                <!-- /generated -->
                <!-- generated: roles -->
                | Jobs | On the project | On datasets | On tables | Secrets |
                | --- | --- | --- | --- | --- |
                | `sweep` | `roles/bigquery.jobUser`, `reader` | `roles/bigquery.dataEditor`: `organizations` |  | `STRIPE_SECRET_KEY` |
                | `setup` | `roles/bigquery.jobUser` |  | `roles/bigquery.dataViewer`: `organizations.usage` |  |
                <!-- /generated -->
                <!-- generated: access -->
                | Job | Uses |
                | --- | --- |
                | `sweep` | runs statements<br>`organizations.usage`: deletes rows |
                | `setup` | runs statements<br>`organizations.usage`: reads rows |
                <!-- /generated -->
                After.

                """)
        #expect(try GeneratedFiles.document(written, named: "a.md", for: try Fixture.file()) == written)
    }

    @Test(arguments: [
        ("<!-- generated: jobs -->\n", "a.md:1: the generated table has no end, <!-- /generated -->"),
        ("<!-- /generated -->\n", "a.md:1: nothing generated begins before this end"),
        ("\n<!-- generated: costs -->\n", "a.md:2: no table costs can begin here"),
    ])
    func aMarkWithoutItsPartnerOrItsTableIsAProblem(_ text: String, _ expected: String) throws {
        let file = try Fixture.file()

        let problems = #expect(throws: Problems.self) {
            try GeneratedFiles.document(text, named: "a.md", for: file)
        }

        #expect(problems?.description == expected)
    }

    private func files(_ folder: String) throws -> Set<String> {
        let url = Fixture.root.appending(path: folder)
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: url.path)) ?? []
        return Set(paths.filter { !url.appending(path: $0).hasDirectoryPath && $0.contains(".") })
    }

    private func record(_ texts: [String: String]) throws {
        let folder = Fixture.root.appending(path: Self.golden)
        try? FileManager.default.removeItem(at: folder)
        for (path, text) in texts {
            let file = folder.appending(path: path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    }
}
