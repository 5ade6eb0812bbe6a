import Foundation
import HTTPTransport
import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite(.timeLimit(.minutes(30))) struct ServerTroubleTests {
    @Test(arguments: [
        ScriptedReply.reset, .closeWithoutReply, .text("unavailable", status: 503), .text("", status: 502),
        ScriptedWarehouse.refusal(403, "rateLimitExceeded", "too fast"),
        .truncated(.init("{}      ".utf8), afterBytes: 1),
    ])
    func troubleThatPassesIsOutlived(_ trouble: ScriptedReply) async throws {
        let inSync = try ScriptedWarehouse.survey(["acme"])
        let warehouse = try ScriptedWarehouse { request in
            if request.index < 2 { return trouble }
            if ScriptedWarehouse.isCensus(request) { return ScriptedWarehouse.census(["acme"]) }
            return inSync
        }

        let outcome = try await JobExecutable.orgSyncAll.run(environment: warehouse.environment)

        let summary = try outcome.succeeded()
        #expect(summary.counts["in_sync"] == 1)
        #expect(warehouse.requests.count == 4)
        #expect(warehouse.server.unexpected.isEmpty)
    }

    /// A request of a job with `SSL_CERT_FILE` reaches a server that only this authority vouches for. Without the variable the job
    /// refuses the certificate, so the server is never asked anything.
    @Test func trustsTheAuthoritiesOfSSLCertFile() async throws {
        let authority = try await CertificateAuthority()
        let refusal = ScriptedWarehouse.refusal(403, "billingNotEnabled", "Billing has not been enabled")
        let server = try await TLSServer(
            authority, status: refusal.status, body: String(decoding: refusal.body, as: UTF8.self))
        let environment = [
            "GCP_PROJECT_ID": "acme-test-1", "BIGQUERY_EMULATOR_HOST": server.url, "ENVIRONMENT": "test",
        ]

        let trusting = try await JobExecutable.orgSyncAll.run(
            environment: environment.merging(["SSL_CERT_FILE": authority.authorityFile]) { $1 })
        let other = try await JobExecutable.orgSyncAll.run(environment: environment)

        #expect(try trusting.failed().failures.first?.reason.contains("Billing has not been enabled") == true)
        #expect(try other.failed().failures.first?.reason.contains("(tlsFailed)") == true)
        #expect(!other.output.contains("Billing has not been enabled"))
    }

    @Test(arguments: [
        (403, "quotaExceeded", "Quota exceeded: your project exceeded its quota"),
        (403, "billingNotEnabled", "Billing has not been enabled"),
        (403, "accessDenied", "User does not have bigquery.jobs.create"), (401, "authError", "Invalid Credentials"),
    ])
    func troubleThatStaysEndsTheRunAtOnce(_ status: Int, _ reason: String, _ message: String) async throws {
        let warehouse = try ScriptedWarehouse { _ in ScriptedWarehouse.refusal(status, reason, message) }

        let outcome = try await JobExecutable.orgSyncAll.run(environment: warehouse.environment)

        let summary = try outcome.failed()
        #expect(summary.failures.count == 1)
        #expect(summary.failures.first?.reason.contains(message) == true)
        #expect(warehouse.requests.count == 1)
    }

    @Test func quotaThatIsUsedUpHalfWayEndsTheRun() async throws {
        let slugs = (1...100).map { "org_\($0)" }
        let survey = try ScriptedWarehouse.survey(slugs) { _, tables in
            tables["subscription_plans"]?.schema.fields.removeLast()
        }
        let warehouse = try ScriptedWarehouse { request in
            if request.method == "GET" {
                return ScriptedWarehouse.refusal(403, "quotaExceeded", "Quota exceeded for reads")
            }
            return ScriptedWarehouse.isCensus(request) ? ScriptedWarehouse.census(slugs) : survey
        }

        let outcome = try await JobExecutable.orgSyncAll.run(environment: warehouse.environment)

        let summary = try outcome.failed()
        #expect(summary.failures.contains { $0.reason.contains("Quota exceeded for reads (quotaExceeded)") })
        #expect(warehouse.requests.count < slugs.count)
    }

    @Test func aDatasetThatRefusesDoesNotStopTheOthers() async throws {
        let table = try String(
            contentsOfFile: Repository.path("Sources/SchemaKit/Catalog/Tables/organization/subscription_plans.json"),
            encoding: .utf8)
        let slugs = ["acme", "globex", "initech"]
        let survey = try ScriptedWarehouse.survey(slugs) { _, tables in
            tables["subscription_plans"]?.schema.fields.removeLast()
        }
        let warehouse = try ScriptedWarehouse { request in
            if request.path.contains("/globex_test/") {
                return ScriptedWarehouse.refusal(403, "accessDenied", "no bigquery.tables.get on globex_test")
            }
            if request.method == "GET" { return .json(table) }
            return ScriptedWarehouse.isCensus(request) ? ScriptedWarehouse.census(slugs) : survey
        }

        let outcome = try await JobExecutable.orgSyncAll.run(environment: warehouse.environment)

        let summary = try outcome.failed()
        #expect(summary.failures.map(\.subject) == ["globex"])
        #expect(summary.failures.first?.reason.contains("no bigquery.tables.get on globex_test") == true)
        #expect(summary.counts["organizations"] == 3)
        for slug in slugs {
            #expect(warehouse.requests.filter { $0.path.contains("/\(slug)_test/tables/") }.count == 1)
        }
    }

    /// A statement that a killed run left behind must have ended when the next run may start.
    @Test(
        arguments: [
            ("OrgSyncAllJob", [:], nil), ("OrgSyncAllJob", ["DEADLINE_SECONDS": "600"], 600),
            ("QuotaCleanupJob", ["LEASE_SECONDS": "300"], 300),
            ("QuotaCleanupJob", ["LEASE_SECONDS": "900", "DEADLINE_SECONDS": "600"], 600),
        ] as [(String, [String: String], Int?)])
    func noStatementOutlivesTheDeadlineOrTheLease(
        _ product: String, _ variables: [String: String], _ seconds: Int?
    ) async throws {
        let warehouse = try ScriptedWarehouse { _ in ScriptedWarehouse.refusal(400, "invalidQuery", "no") }
        let job = try #require(JobExecutable.jobs.first { $0.product == product })

        _ = try await job.run(environment: warehouse.environment.merging(variables) { $1 })

        let body = try JSONDecoder().decode(JSONValue.self, from: try #require(warehouse.requests.first).body)
        guard case .object(let members) = body else { throw CocoaError(.coderReadCorrupt) }
        guard let seconds else {
            #expect(members["jobTimeoutMs"] == nil)
            return
        }
        guard case .string(let text)? = members["jobTimeoutMs"] else { throw CocoaError(.coderReadCorrupt) }
        let timeout = try #require(Int(text))
        #expect(timeout <= seconds * 1000 && timeout > 0)
    }

    @Test func anEmulatorIsSentNoCredentials() async throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        let datasets = [("organizations", Catalog.Group.organizations), ("scheduler_jobs", .operations)]
        let warehouse = try ScriptedWarehouse { request in
            let sql = ScriptedWarehouse.statement(of: request)
            let (name, group) = datasets.first { sql.contains("`\($0.0)`.INFORMATION_SCHEMA") } ?? datasets[0]
            let tables = catalog.tables(group)
            return SurveyAnswer(
                [.init(name, name: name, tables: tables)], wanted: tables.map(\.name), isKnownShown: nil
            ).reply()
        }
        let environment = warehouse.environment.merging([
            "GOOGLE_APPLICATION_CREDENTIALS": "/no/such/file"
        ]) { $1 }

        let outcome = try await JobExecutable.bootstrap.run(environment: environment)

        _ = try outcome.succeeded()
        #expect(warehouse.requests.count == 2)
        #expect(warehouse.requests.allSatisfy { $0.headers["Authorization"] == nil })
        #expect(warehouse.requests.allSatisfy { $0.headers["User-Agent"]?.hasPrefix("scheduler-jobs/") == true })
    }
}
