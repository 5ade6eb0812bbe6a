import BigQueryWarehouse
import Foundation
import HTTPTransport
import JobRuntime
import TestSupport
import Testing
import Warehouse

/// Adding a column needs no more permissions than adding a column. `tables.patch` sends the policy tags of other columns, for which
/// an account may need more; a statement does not: https://github.com/googleapis/python-bigquery/issues/557
@Suite struct PolicyTagTests {
    private let reference = TableReference(DatasetID("acme_test")!, "t")!
    private static let tag = #""policyTags": {"names": ["projects/p/locations/us/taxonomies/1/policyTags/2"]}"#
    private static let email = #"{"name": "email", "type": "STRING", "mode": "NULLABLE", \#(tag)}"#
    private static let refusal = ScriptedReply.refusal(
        403, "accessDenied",
        "Access Denied: Taxonomy projects/p/locations/us/taxonomies/1: User does not have permission to get taxonomy")
    private static let done = ScriptedReply.json(
        #"{"jobComplete": true, "jobReference": {"jobId": "job_1", "location": "US"}, "schema": {}}"#)

    private static func table(_ fields: String, etag: String = "e1") -> ScriptedReply {
        .json(#"{"etag": "\#(etag)", "type": "TABLE", "schema": {"fields": [\#(fields)]}}"#)
    }

    private func fields(_ text: String) throws -> [FieldSchema] {
        try JSONDecoder().decode([FieldSchema].self, from: Data("[\(text)]".utf8))
    }

    private func update(_ fields: String, of fixture: BigQueryFixture) async throws -> WarehouseError? {
        let wanted = try self.fields(fields)
        return await fixture.failure { try await $0.updateSchema(of: reference, to: wanted, ifMatch: "e1") }
    }

    /// Leaving them out of the patch would remove them: https://github.com/googleapis/python-bigquery/issues/981
    @Test func areSentBackWhereTheAccountMay() async throws {
        let both = Self.email + #", {"name": "b", "type": "STRING", "mode": "NULLABLE"}"#
        let fixture = try BigQueryFixture([.json("{}")])

        #expect(try await update(both, of: fixture) == nil)

        let patch = try #require(fixture.server.requests.first)
        #expect(patch.method == "PATCH")
        #expect(
            patch.jsonBody["schema"]?["fields"]?[0]?["policyTags"]?["names"]?[0]?.string
                == "projects/p/locations/us/taxonomies/1/policyTags/2")
    }

    @Test func areNotNeededToAddAColumn() async throws {
        let both = Self.email + #", {"name": "b", "type": "STRING", "mode": "NULLABLE"}"#
        let fixture = try BigQueryFixture([
            Self.refusal, Self.table(Self.email), Self.done, Self.table(both, etag: "e2"),
        ])

        let error = try await update(both, of: fixture)

        #expect(error == nil)
        let requests = fixture.server.requests
        #expect(requests.map(\.method) == ["PATCH", "GET", "POST", "GET"])
        #expect(
            requests[2].jsonBody["query"]?.string
                == "ALTER TABLE `acme_test.t`\n  ADD COLUMN IF NOT EXISTS `b` STRING;")
    }

    /// A description is set by a statement, and what belongs to the table by a patch without columns.
    @Test func areNotNeededToSetADescription() async throws {
        let both = Self.email + #", {"name": "b", "type": "STRING", "mode": "NULLABLE"}"#
        var wanted = try fields(both)
        wanted[1].description = "A \"b\""
        let change = TableChange(description: "T", fields: wanted)
        let fixture = try BigQueryFixture([
            Self.refusal, Self.table(both), Self.done, Self.table(both, etag: "e2"), .json("{}"),
        ])

        let error = await fixture.failure { try await $0.update(reference, with: change, ifMatch: "e1") }

        #expect(error == nil)
        let requests = fixture.server.requests
        #expect(requests.map(\.method) == ["PATCH", "GET", "POST", "GET", "PATCH"])
        #expect(
            requests[2].jsonBody["query"]?.string
                == "ALTER TABLE `acme_test.t`\n  ALTER COLUMN `b` SET OPTIONS (description = \"A \\\"b\\\"\");")
        #expect(requests[4].headers["If-Match"] == "e2")
        #expect(requests[4].jsonBody == .object(["description": .string("T")]))
    }

    @Test func areNamedWhereNoStatementCanSetADescription() async throws {
        let record = #"{"name": "r", "type": "RECORD", "mode": "NULLABLE", "fields": [\#(Self.email)]}"#
        var wanted = try fields(record)
        wanted[0].fields[0].description = "inner"
        let fixture = try BigQueryFixture([Self.refusal, Self.table(record)])

        let error = await fixture.failure {
            try await $0.update(reference, with: TableChange(fields: wanted), ifMatch: "e1")
        }

        #expect(error?.code == .accessDenied)
        #expect(error?.advice?.contains("setCategory") == true)
    }

    @Test func areFoundWithinRecords() async throws {
        let record = #"{"name": "r", "type": "RECORD", "mode": "NULLABLE", "fields": [\#(Self.email)]}"#
        let both = record + #", {"name": "b", "type": "STRING", "mode": "NULLABLE"}"#
        let fixture = try BigQueryFixture([Self.refusal, Self.table(record), Self.done, Self.table(both)])

        #expect(try await update(both, of: fixture) == nil)

        #expect(fixture.server.requests.map(\.method) == ["PATCH", "GET", "POST", "GET"])
    }

    @Test(arguments: [
        #""dataPolicies": [{"name": "projects/p/locations/us/dataPolicies/mask"}]"#,
        #""dataPolicyList": {"dataPolicies": [{"name": "projects/p/locations/us/dataPolicies/mask"}]}"#,
        #""dataGovernanceTagsInfo": {"dataGovernanceTags": {"123/pii": "sensitive"}}"#,
    ])
    func areNotTheOnlyRulesThatAreNotSent(_ member: String) async throws {
        let email = #"{"name": "email", "type": "STRING", "mode": "NULLABLE", \#(member)}"#
        let both = email + #", {"name": "b", "type": "STRING", "mode": "NULLABLE"}"#
        let fixture = try BigQueryFixture([Self.refusal, Self.table(email), Self.done, Self.table(both)])

        #expect(try await update(both, of: fixture) == nil)

        #expect(fixture.server.requests.map(\.method) == ["PATCH", "GET", "POST", "GET"])
    }

    @Test(arguments: [
        #""policyTags": {"names": []}"#, #""policyTags": {}"#, #""dataPolicies": []"#, #""collation": "und:ci""#,
    ])
    func areNotBlamedWhereThereAreNone(_ member: String) async throws {
        let fixture = try BigQueryFixture([Self.refusal])

        let error = try await update(
            #"{"name": "a", "type": "STRING", \#(member)}, {"name": "b", "type": "STRING"}"#, of: fixture)

        #expect(error?.code == .accessDenied)
        #expect(error?.advice == nil)
        #expect(fixture.server.requests.map(\.method) == ["PATCH"])
    }

    /// Another client adds the column with another type at the same moment: the statement skips it.
    @Test func aColumnThatSomebodyElseHasAddedIsNoticed() async throws {
        let mine = Self.email + #", {"name": "b", "type": "STRING", "mode": "NULLABLE"}"#
        let theirs = Self.email + #", {"name": "b", "type": "INTEGER", "mode": "NULLABLE"}"#
        let fixture = try BigQueryFixture([
            Self.refusal, Self.table(Self.email), Self.done, Self.table(theirs, etag: "e2"),
        ])

        #expect(try await update(mine, of: fixture)?.code == .preconditionFailed)
    }

    @Test func aTableThatHasChangedIsLeftAlone() async throws {
        let both = Self.email + #", {"name": "b", "type": "STRING", "mode": "NULLABLE"}"#
        let fixture = try BigQueryFixture([Self.refusal, Self.table(Self.email, etag: "e2")])

        let error = try await update(both, of: fixture)

        #expect(error?.code == .preconditionFailed)
        #expect(error?.certainty == .notDone)
        #expect(fixture.server.requests.map(\.method) == ["PATCH", "GET"])
    }

    /// A statement cannot add a field to a RECORD, so the tags have to be sent.
    @Test func nameThePermissionThatIsMissing() async throws {
        let record = #"{"name": "r", "type": "RECORD", "mode": "NULLABLE", "fields": [{"name": "a", "type": "DATE"}"#
        let wider = #"\#(Self.email), \#(record), {"name": "b", "type": "DATE"}]}"#
        let patched = try BigQueryFixture([Self.refusal, Self.table("\(Self.email), \(record)]}")])
        let inserted = try BigQueryFixture([Self.refusal])
        let table = Table(fields: try fields(Self.email))

        let errors = [
            try await update(wider, of: patched),
            await inserted.failure { _ = try await $0.createTable(reference, table) },
        ]

        for error in errors {
            #expect(error?.code == .accessDenied)
            #expect(error?.reason.contains("User does not have permission to get taxonomy") == true)
            #expect(error?.advice?.contains("bigquery.tables.setCategory") == true)
            #expect(error?.advice?.contains("datacatalog.taxonomies.get") == true)
        }
    }

    @Test func areNotBlamedWhereTheStatementIsRefusedToo() async throws {
        let both = Self.email + #", {"name": "b", "type": "STRING", "mode": "NULLABLE"}"#
        let missing = ScriptedReply.refusal(403, "accessDenied", "Permission bigquery.tables.update denied")
        let fixture = try BigQueryFixture([missing, Self.table(Self.email), missing])

        let error = try await update(both, of: fixture)

        #expect(error?.code == .accessDenied)
        #expect(error?.advice == nil)
    }
}
