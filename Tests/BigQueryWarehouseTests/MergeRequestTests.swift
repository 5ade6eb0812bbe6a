import HTTPTransport
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import GoogleCredentials
@testable import Warehouse

@Suite struct MergeRequestTests {
    private static let merge = MergeStatement(
        "merge counters", into: TableReference(DatasetID("d")!, "counters")!,
        from: "SELECT 'a' AS id, 1 AS n, 2 AS mark",
        keys: ["id"], scope: "t.day = @day", compared: ["n"], stamped: ["mark"], inserted: ["id", "n"],
        parameters: [SQLValue.Field("day", .int64(1))])

    @Test func isOneStatement() {
        #expect(
            BigQueryWarehouse.sql(of: Self.merge) == """
                MERGE `d.counters` AS t
                USING (SELECT 'a' AS id, 1 AS n, 2 AS mark) AS s
                ON t.`id` = s.`id` AND t.day = @day
                WHEN MATCHED AND (t.`n` IS DISTINCT FROM s.`n`) THEN UPDATE SET `n` = s.`n`, `mark` = s.`mark`
                WHEN NOT MATCHED THEN INSERT (`id`, `n`) VALUES (s.`id`, s.`n`)
                """)
    }

    @Test func readsWhatWasDoneFromTheReply() async throws {
        let fixture = try BigQueryFixture([
            .json(
                """
                {"jobComplete": true, "jobReference": {"jobId": "job_1"}, "numDmlAffectedRows": "5",
                 "totalBytesBilled": "10485760", "dmlStats": {"insertedRowCount": "2", "updatedRowCount": "3"}}
                """)
        ])

        let result = try await fixture.warehouse.merge(Self.merge)

        #expect(result == MergeResult(inserted: 2, updated: 3, bytesBilled: 10_485_760))
        #expect(fixture.server.requests.count == 1)
    }

    /// `jobs.getQueryResults` tells the total only.
    @Test func asksTheJobThatTookItsTime() async throws {
        let fixture = try BigQueryFixture([
            .json(#"{"jobComplete": false, "jobReference": {"jobId": "job_1", "location": "EU"}}"#),
            .json(#"{"jobComplete": true, "numDmlAffectedRows": "4"}"#),
            .json(
                #"{"statistics": {"query": {"dmlStats": {"insertedRowCount": "4"}, "totalBytesBilled": "10485760"}}}"#),
        ])

        let result = try await fixture.warehouse.merge(Self.merge)

        #expect(result == MergeResult(inserted: 4, updated: 0, bytesBilled: 10_485_760))
        let last = try #require(fixture.server.requests.last)
        #expect(last.path == "\(BigQueryFixture.path)/jobs/job_1")
        #expect(last.query == ["location": "EU", "fields": "statistics(query(dmlStats,totalBytesBilled))"])
    }

    @Test func failsWhereNobodyKnowsWhatWasDone() async throws {
        let fixture = try BigQueryFixture([
            .json(#"{"jobComplete": true, "numDmlAffectedRows": "4", "jobReference": {"jobId": "job_1"}}"#),
            .json(#"{"statistics": {}}"#),
        ])

        let error = await fixture.failure { _ = try await $0.merge(Self.merge) }

        #expect(error?.code == .unexpectedResult)
        #expect(error?.certainty == .done)
        #expect(error?.operation == "merge counters")
    }

    @Test func losingAgainstOtherChangesIsTriedAsANewJob() async throws {
        let fixture = try BigQueryFixture([
            .refusal(400, "invalidQuery", "Could not serialize access to table p:d.counters due to concurrent update"),
            .json(#"{"jobComplete": true, "numDmlAffectedRows": "0", "dmlStats": {}}"#),
        ])

        let result = try await fixture.warehouse.merge(Self.merge)

        #expect(result == MergeResult(inserted: 0, updated: 0))
        #expect(fixture.server.requests.count == 2)
    }
}
