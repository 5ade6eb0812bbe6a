import EmbeddedWarehouse
import JobRuntime
import Testing

@testable import Warehouse
@testable import WarehouseKit

@Suite struct WarehouseSettingsTests {
    private func read(_ variables: [String: String]) -> (settings: WarehouseSettings, problems: [String]) {
        var reader = EnvironmentReader(variables)
        let settings = WarehouseSettings(reading: &reader)
        return (settings, reader.problems)
    }

    private static let project = ProjectID("acme-test-1")!

    @Test(arguments: [
        (["GCP_PROJECT_ID": "acme-test-1"], WarehouseSettings.Choice.bigQuery(project)),
        (["WAREHOUSE_URL": "bigquery://acme-test-1"], .bigQuery(project)),
        (["WAREHOUSE_URL": "bigquery://acme-test-1", "GCP_PROJECT_ID": "acme-test-1"], .bigQuery(project)),
        (["GCP_PROJECT_ID": "acme-test-1", "WAREHOUSE_URL": ""], .bigQuery(project)),
    ])
    func choosesBigQuery(_ variables: [String: String], _ choice: WarehouseSettings.Choice) {
        let (settings, problems) = read(variables)

        #expect(settings.choice == choice)
        #expect(problems.isEmpty)
        #expect(settings.location == "US")
        #expect(settings.emulatorURL == nil)
        #expect(settings.maximumBytesBilled == 10_737_418_240)
    }

    @Test(arguments: ["sqlite:demo.db", "sqlite:/tmp/a b.db", "sqlite::memory:"])
    func choosesAFile(_ url: String) {
        let (settings, problems) = read(["WAREHOUSE_URL": url])

        #expect(settings.choice == .embedded(path: String(url.dropFirst(7))))
        #expect(problems.isEmpty)
    }

    @Test(
        arguments: [
            ([:], "no warehouse is chosen"), (["GCP_PROJECT_ID": "", "WAREHOUSE_URL": ""], "no warehouse is chosen"),
            (["GCP_PROJECT_ID": "acme-test-1", "WAREHOUSE_URL": "sqlite:demo.db"], "name two warehouses"),
            (["GCP_PROJECT_ID": "acme-test-1", "WAREHOUSE_URL": "bigquery://acme-test-2"], "name two warehouses"),
            (["GCP_PROJECT_ID": "Acme"], "GCP_PROJECT_ID is \"Acme\", which is not a project id"),
            (["GCP_PROJECT_ID": "a/../../b"], "GCP_PROJECT_ID is \"a/../../b\", which is not a project id"),
            (["GCP_PROJECT_ID": "acme-test-1\n"], "GCP_PROJECT_ID is \"acme-test-1\\n\", which contains control"),
            (["WAREHOUSE_URL": "sqlite:"], "WAREHOUSE_URL is \"sqlite:\", which is not a warehouse"),
            (["WAREHOUSE_URL": "postgres://x"], "WAREHOUSE_URL is \"postgres://x\", which is not a warehouse"),
            (["WAREHOUSE_URL": "bigquery://x"], "WAREHOUSE_URL is \"bigquery://x\", which is not a warehouse"),
        ] as [([String: String], String)])
    func saysWhyThereIsNoChoice(_ variables: [String: String], _ problem: String) {
        let (settings, problems) = read(variables)

        #expect(settings.choice == nil)
        #expect(problems.count == 1)
        #expect(problems.first?.contains(problem) == true)
    }

    @Test(arguments: [
        ("http://127.0.0.1:9050", "http://127.0.0.1:9050"), ("localhost:9050", "http://localhost:9050"),
        ("https://bq.example/base/", "https://bq.example/base"), ("http://[::1]:9050", "http://[::1]:9050"),
    ])
    func takesAnEmulator(_ host: String, _ url: String) {
        let (settings, problems) = read(["GCP_PROJECT_ID": "acme-test-1", "BIGQUERY_EMULATOR_HOST": host])

        #expect(settings.emulatorURL == url)
        #expect(problems.isEmpty)
    }

    @Test(arguments: ["ftp://x", "http://", "http:///", "http://a b", "http://x?y=1", "http://x#y", "http://u:p@x"])
    func refusesWhatIsNoBaseURL(_ host: String) {
        let (_, problems) = read(["GCP_PROJECT_ID": "acme-test-1", "BIGQUERY_EMULATOR_HOST": host])

        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("BIGQUERY_EMULATOR_HOST is ") == true)
    }

    @Test(arguments: ["/no/such/key.json", #"{"private_key": "hush"}"#])
    func aCredentialFileIsLookedForBeforeAnythingElse(_ path: String) {
        let variables = ["GCP_PROJECT_ID": "acme-test-1", "GOOGLE_APPLICATION_CREDENTIALS": path]

        let problems = read(variables).1

        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("GOOGLE_APPLICATION_CREDENTIALS does not name a readable file") == true)
        #expect(problems.first?.contains("hush") == false)
        #expect(read(variables.merging(["BIGQUERY_EMULATOR_HOST": "localhost:1"]) { $1 }).1.isEmpty)
    }

    @Test func namesEveryProblemAtOnce() {
        let (_, problems) = read([
            "GCP_PROJECT_ID": "x", "BIGQUERY_LOCATION": "us`; --", "BIGQUERY_EMULATOR_HOST": "ftp://x",
            "MAX_BYTES_BILLED": "1",
        ])

        #expect(problems.count == 4)
    }

    @Test func readsLocationAndBounds() {
        let (settings, problems) = read([
            "GCP_PROJECT_ID": "acme-test-1", "BIGQUERY_LOCATION": "europe-west1", "MAX_BYTES_BILLED": "10485760",
        ])

        #expect(problems.isEmpty)
        #expect(settings.location == "europe-west1")
        #expect(settings.maximumBytesBilled == 10_485_760)
    }

    @Test(arguments: [(1, 10_485_760), (5, 52_428_800)])
    func refusesALimitThatTheLargestStatementExceeds(_ tables: Int, _ least: Int) {
        func problems(_ bytes: Int) -> [String] {
            var reader = EnvironmentReader(["GCP_PROJECT_ID": "acme-test-1", "MAX_BYTES_BILLED": "\(bytes)"])
            _ = WarehouseSettings(reading: &reader, mostTables: tables)
            return reader.problems
        }

        #expect(problems(least).isEmpty)
        #expect(problems(least - 1).count == 1)
        #expect(problems(least - 1).first?.contains("MAX_BYTES_BILLED") == true)
    }

    @Test(arguments: [
        ("org-sync-all-x7k2p", true), ("a_b", true), (String(repeating: "a", count: 63), true), ("", false),
        ("Acme", false), ("a b", false), ("é", false), (String(repeating: "a", count: 64), false),
    ])
    func knowsWhatMayBeALabel(_ text: String, _ isLabel: Bool) {
        #expect(isLabelValue(text) == isLabel)
    }
}
