import Foundation
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite(.timeLimit(.minutes(30))) struct QuotaFenceTests {
    /// The statement that creates rows names the lease under which its process works.
    @Test(arguments: [
        ("QuotaResetDailyJob", "quota-reset-daily", ["quota-reset-daily"]),
        ("QuotaResetMonthlyJob", "quota-reset-monthly", ["quota-reset-monthly", "quota-reset-daily"]),
    ])
    func aResetSendsItsMergeBehindTheFence(_ product: String, _ name: String, _ leases: [String]) async throws {
        let warehouse = try ScriptedWarehouse { request in
            ScriptedWarehouse.statement(of: request).contains("UNION ALL")
                ? ScriptedWarehouse.rows(["org_slug"], [])
                : .json(
                    """
                    {"jobComplete": true, "jobReference": {"jobId": "job_1"}, "numDmlAffectedRows": "2",
                     "dmlStats": {"insertedRowCount": "2"}}
                    """)
        }

        let outcome = try await JobExecutable(product: product, name: name).run(
            ["--now", "2026-02-01T00:05:00Z"], environment: warehouse.environment)

        _ = try outcome.succeeded()
        let requests = warehouse.requests
        #expect(requests.count == 4)
        let (take, merge) = (requests[0], requests[1])
        #expect(ScriptedWarehouse.statement(of: merge).hasPrefix("MERGE `organizations.org_usage_quotas`"))
        #expect(ScriptedWarehouse.statement(of: merge).contains("fence.token = @lease_token"))
        let token = try #require(try parameter("token", of: take)["value"] as? String)
        #expect(try parameter("lease_token", of: merge)["value"] as? String == token)
        let jobs = try parameter("lease_jobs", of: merge)["arrayValues"] as? [[String: String]]
        #expect(jobs?.compactMap { $0["value"] } == leases)
    }

    private func parameter(_ name: String, of request: ScriptedRequest) throws -> [String: Any] {
        let body = try JSONSerialization.jsonObject(with: request.body) as? [String: Any]
        let parameters = body?["queryParameters"] as? [[String: Any]] ?? []
        return try #require(
            parameters.first { $0["name"] as? String == name }?["parameterValue"] as? [String: Any])
    }
}
