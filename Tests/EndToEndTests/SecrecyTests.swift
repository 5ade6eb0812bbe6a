import EmbeddedWarehouse
import Foundation
import TestSupport
import Testing

/// Nothing that is secret in a job's surroundings comes out of it, whatever happens.
@Suite(.timeLimit(.minutes(30))) struct SecrecyTests {
    private static let secrets = [
        "CA_ROOT_API_KEY": "ca-root-very-hush-1", "STRIPE_SECRET_KEY": "sk_live_very-hush-2",
        "STRIPE_API_KEY": "sk_live_very-hush-3", "GOOGLE_OAUTH_ACCESS_TOKEN": "ya29.very-hush-4",
        "AWS_SECRET_ACCESS_KEY": "very-hush-5", "DATABASE_URL": "postgres://u:very-hush-6@localhost/x",
    ]

    private func expectSilence(
        _ job: JobExecutable, _ arguments: [String], _ environment: [String: String],
        location: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await job.run(arguments, environment: environment.merging(Self.secrets) { $1 })

        #expect(!outcome.output.contains("very-hush"), sourceLocation: location)
        #expect(!outcome.error.contains("very-hush"), sourceLocation: location)
        #expect(!(outcome.output + outcome.error).isEmpty, sourceLocation: location)
    }

    @Test(arguments: JobExecutable.jobs)
    func helpAndRefusalsShowNoSecret(_ job: JobExecutable) async throws {
        try await expectSilence(job, ["--help"], [:])
        try await expectSilence(job, ["--no-such-flag"], [:])
        try await expectSilence(job, [], ["LOG_LEVEL": "loud"])
        try await expectSilence(job, [], ["LOG_FORMAT": "text", "WAREHOUSE_URL": "nothing"])
    }

    @Test func aProxysPasswordIsNotShown() async throws {
        // Nobody listens there: the run fails, and its error says so without the password.
        let environment = [
            "GCP_PROJECT_ID": "acme-test-1", "ENVIRONMENT": "test", "DEADLINE_SECONDS": "1",
            "BIGQUERY_EMULATOR_HOST": "http://bigquery.invalid", "HTTP_PROXY": "http://user:very-hush@127.0.0.1:9",
            "http_proxy": "http://user:very-hush@127.0.0.1:9",
        ]

        try await expectSilence(.orgSyncAll, ["--log-level", "trace"], environment)
    }

    @Test func aPasswordInTheEmulatorsAddressIsNotShown() async throws {
        try await expectSilence(
            .bootstrap, [],
            ["GCP_PROJECT_ID": "acme-test-1", "BIGQUERY_EMULATOR_HOST": "http://user:very-hush@127.0.0.1:9050"])
    }

    @Test(arguments: [
        #"{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nvery-hush\n-----END PRIVATE KEY-----\n", "client_email": "a@b.example", "token_uri": "http://127.0.0.1:9/token"}"#,
        #"{"type": "authorized_user", "client_id": "a", "client_secret": "very-hush", "refresh_token": "very-hush"#,
        "very-hush",
    ])
    func aBadKeyFileIsNotShown(_ text: String) async throws {
        let folder = try TemporaryFolder()
        try Data(text.utf8).write(to: URL(filePath: folder.file("key.json")))

        try await expectSilence(
            .bootstrap, ["--log-level", "trace"],
            ["GCP_PROJECT_ID": "acme-test-1", "GOOGLE_APPLICATION_CREDENTIALS": folder.file("key.json")])
    }

    @Test func aWholeRunAtTraceLevelShowsNoSecret() async throws {
        let stage = try SQLiteStage()
        try await stage.prepare(["acme", "bad-slug"])

        try await expectSilence(.orgSyncAll, ["--log-level", "trace"], stage.environment)
        try await expectSilence(.orgSyncAll, ["--json", "--log-level", "trace"], stage.environment)
    }

    @Test func aServersRefusalAtTraceLevelShowsNoSecret() async throws {
        let warehouse = try ScriptedWarehouse { _ in
            ScriptedWarehouse.refusal(403, "quotaExceeded", "Quota exceeded")
        }

        try await expectSilence(.bootstrap, ["--log-level", "trace"], warehouse.environment)
    }
}
