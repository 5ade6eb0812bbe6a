import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(30))) struct ConfigurationTests {
    private static let jobs: [JobExecutable] = [.bootstrap, .bootstrapSync, .orgSyncAll, .demoData]
    private static let right = ["WAREHOUSE_URL": "sqlite:warehouse.db", "ENVIRONMENT": "test"]

    /// Runs all jobs in an empty folder with that environment; each must refuse it in one message with those words.
    private func expectRefusal(
        _ variables: [String: String], words: [String], by jobs: [JobExecutable] = jobs,
        location: SourceLocation = #_sourceLocation
    ) async throws {
        let folder = try TemporaryFolder()
        let environment = Self.right.merging(variables) { $1 }
        for job in jobs {
            let outcome = try await job.run(environment: environment, in: folder.path)

            #expect(outcome.ending == .exited(78), "\(job): \(outcome.output)", sourceLocation: location)
            #expect(outcome.output.isEmpty, sourceLocation: location)
            let entries = try outcome.logEntries()
            #expect(entries.count == 1, sourceLocation: location)
            let message = try #require(entries.first?["message"] as? String, sourceLocation: location)
            #expect(message.hasPrefix("\(job.name) cannot start: "), sourceLocation: location)
            for word in words { #expect(message.contains(word), "\(job)", sourceLocation: location) }
        }
        #expect(try folder.names().isEmpty, sourceLocation: location)
    }

    @Test(arguments: [
        "acme", "Acme-test-1", "acme;drop-1", "../../secret", "acme`test", "-acme-test", "acme-test-",
        String(repeating: "a", count: 31), "аcme-test-1", "acme test", "acme-test/1", "example.com:acme-test",
    ])
    func anUnsafeProjectIsRefused(_ project: String) async throws {
        try await expectRefusal(
            ["WAREHOUSE_URL": "", "GCP_PROJECT_ID": project], words: ["GCP_PROJECT_ID is "], by: [.orgSyncAll])
    }

    @Test func noWarehouseIsRefused() async throws {
        try await expectRefusal(
            ["WAREHOUSE_URL": "", "GCP_PROJECT_ID": ""],
            words: ["no warehouse is chosen", "GCP_PROJECT_ID", "WAREHOUSE_URL"])
    }

    @Test func twoWarehousesAreRefused() async throws {
        try await expectRefusal(
            ["GCP_PROJECT_ID": "acme-test-1"], words: ["name two warehouses", "GCP_PROJECT_ID", "WAREHOUSE_URL"])
    }

    @Test(arguments: ["warehouse.db", "sqlite:", "postgres://localhost", "bigquery://", "bigquery://x", "SQLITE:a.db"])
    func aBadWarehouseURLIsRefused(_ url: String) async throws {
        try await expectRefusal(["WAREHOUSE_URL": url], words: ["WAREHOUSE_URL is ", "sqlite:PATH"], by: [.bootstrap])
    }

    @Test(arguments: ["production", "PROD", "test; drop", "tеst", " test"])
    func anUnknownEnvironmentIsRefused(_ environment: String) async throws {
        try await expectRefusal(
            ["ENVIRONMENT": environment], words: ["ENVIRONMENT is ", "test, stage or prod"],
            by: [.bootstrap, .bootstrapSync, .orgSyncAll])
    }

    @Test func organizationsNeedAnEnvironment() async throws {
        try await expectRefusal(["ENVIRONMENT": ""], words: ["ENVIRONMENT is not set"], by: [.orgSyncAll])
    }

    @Test(arguments: [
        ("LOG_FORMAT", "xml"), ("LOG_LEVEL", "loud"), ("DEADLINE_SECONDS", "soon"), ("DEADLINE_SECONDS", "-1"),
        ("CLOUD_RUN_TASK_INDEX", "one"), ("BIGQUERY_LOCATION", "US'; --"), ("MAX_BYTES_BILLED", "1e9"),
        ("BIGQUERY_EMULATOR_HOST", "file:///etc/passwd"), ("CLOUD_RUN_TASK_COUNT", "0"),
    ])
    func aBadValueIsRefused(_ name: String, _ value: String) async throws {
        try await expectRefusal([name: value], words: ["\(name) is "], by: [.orgSyncAll])
    }

    @Test func aTaskOutsideItsExecutionIsRefused() async throws {
        try await expectRefusal(
            ["CLOUD_RUN_TASK_INDEX": "2", "CLOUD_RUN_TASK_COUNT": "2"], words: ["CLOUD_RUN_TASK_INDEX=2"])
    }

    @Test func aMissingCatalogIsRefused() async throws {
        try await expectRefusal(
            ["CATALOG_DIR": "/no/such/folder"], words: ["CATALOG_DIR: /no/such/folder/organization", "no such folder"],
            by: [.bootstrap, .bootstrapSync, .orgSyncAll])
    }

    @Test func everyProblemOfACatalogIsNamedWithItsFile() async throws {
        let catalog = try CatalogCopy()
        for group in ["organization", "organizations"] {
            try catalog.write("{not JSON", to: "\(group)/bad_json.json")
            try catalog.write(#"{"schema": {"fields": [{"name": "a", "type": "TEXT"}]}}"#, to: "\(group)/bad_type.json")
            try catalog.write(
                #"{"schema": {"fields": [{"name": "a;b", "type": "STRING"}]}}"#, to: "\(group)/bad_name.json")
            try catalog.write(
                #"[{"name": "a", "type": "RECORD", "fields": [{"name": "b", "type": "DATE", "descripton": "c"}]}]"#,
                to: "\(group)/bad_member.json")
            try catalog.write(#"{"description": "no schema"}"#, to: "\(group)/no_schema.json")
        }

        try await expectRefusal(
            catalog.variables,
            words: [
                "bad_json.json: not valid JSON", "bad_type.json: field a: unknown type TEXT",
                "bad_name.json: field a;b: a name cannot have the character ;", "no_schema.json: ",
                "bad_member.json: [0].fields[0].descripton: no such member; did you mean description?",
            ], by: [.bootstrap, .bootstrapSync, .orgSyncAll])
    }

    @Test func everyJobRefusesAnUnsafeProject() async throws {
        try await expectRefusal(["WAREHOUSE_URL": "", "GCP_PROJECT_ID": "`; --"], words: ["GCP_PROJECT_ID is "])
    }

    @Test func allProblemsAreInOneMessage() async throws {
        try await expectRefusal(
            [
                "WAREHOUSE_URL": "", "GCP_PROJECT_ID": "x", "ENVIRONMENT": "production", "LOG_LEVEL": "loud",
                "DEADLINE_SECONDS": "soon", "BIGQUERY_LOCATION": "U S", "CATALOG_DIR": "/no/such/folder",
            ],
            words: [
                "6 problems", "GCP_PROJECT_ID is ", "ENVIRONMENT is ", "LOG_LEVEL is ", "DEADLINE_SECONDS is ",
                "BIGQUERY_LOCATION is ", "CATALOG_DIR: ",
            ], by: [.orgSyncAll])
    }

    @Test func demoDataNeverGoesIntoARealProject() async throws {
        try await expectRefusal(
            ["WAREHOUSE_URL": "", "GCP_PROJECT_ID": "acme-test-1"], words: ["never into a real project"],
            by: [.demoData])
    }

    @Test func theTextFormNamesAProblemALine() async throws {
        let outcome = try await JobExecutable.orgSyncAll.run(
            environment: ["LOG_FORMAT": "text", "GCP_PROJECT_ID": "x\ny"])

        #expect(outcome.ending == .exited(78))
        #expect(outcome.errorLines.first == "org-sync-all cannot start: 2 problems in the environment")
        #expect(outcome.errorLines.count == 3)
        #expect(outcome.errorLines.dropFirst().allSatisfy { $0.hasPrefix("  ") })
    }

    @Test func aWarehouseInAFolderThatIsMissingIsRefusedDuringTheRun() async throws {
        let folder = try TemporaryFolder()

        let outcome = try await JobExecutable.bootstrap.run(
            environment: ["WAREHOUSE_URL": "sqlite:missing/warehouse.db"], in: folder.path)

        #expect(outcome.ending == .exited(78))
        #expect(try outcome.summary().failures.first?.reason.contains("there is no folder missing") == true)
        #expect(try folder.names().isEmpty)
    }
}
