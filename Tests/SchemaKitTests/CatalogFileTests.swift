import Foundation
import JobRuntime
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse

/// A catalog file may be whatever `bq show` prints. Each member is used, ignored because BigQuery alone sets it, or refused.
@Suite struct CatalogFileTests {
    private func table(_ text: String) throws -> Table {
        try CatalogFile(name: "t", path: "t.json", contents: Data(text.utf8)).table().table
    }

    private func problems(_ text: String) -> [String] {
        do {
            _ = try CatalogFile(name: "t", path: "t.json", contents: Data(text.utf8)).table()
            return []
        } catch {
            return error.problems
        }
    }

    private static func columns(_ fields: String, _ rest: String = "") -> String {
        #"{"schema": {"fields": [\#(fields)]}\#(rest)}"#
    }

    private static let column = #"{"name": "a", "type": "STRING", "mode": "NULLABLE"}"#

    @Test(arguments: [
        #"[\#(column)]"#, #"{"fields": [\#(column)]}"#, columns(column),
        columns(#"{"name": "a", "type": "STRING", "mode": null, "description": null}"#, #", "labels": null"#),
        columns(#"{"name": "a", "type": "STRING", "mode": ""}"#),
    ])
    func takesEveryForm(_ text: String) throws {
        #expect(try table(text) == Table(fields: [FieldSchema("a", "STRING")]))
    }

    @Test(arguments: [
        #""friendlyName": "Events""#, #""expirationTime": "1796601600000""#,
        #""encryptionConfiguration": {"kmsKeyName": "projects/p/locations/us/keyRings/r/cryptoKeys/k"}"#,
        #""defaultCollation": "und:ci""#, #""defaultRoundingMode": "ROUND_HALF_EVEN""#,
        #""maxStaleness": "0-0 0 4:0:0""#, #""tableConstraints": {"primaryKey": {"columns": ["a"]}}"#,
        #""resourceTags": {"123/environment": "production"}"#, #""managedTableType": "NATIVE""#,
        #""description": "d""#, #""labels": {"a": "b", "c": ""}"#, #""clustering": {"fields": ["a"]}"#,
    ])
    func keepsWhatATableCanBeCreatedWith(_ member: String) throws {
        let sent = try JSONValue.text(
            String(decoding: try JSONEncoder().encode(table(Self.columns(Self.column, ", " + member))), as: UTF8.self))

        let text = Self.columns(Self.column, ", " + member)
        #expect(sent == (try .text(text)))
    }

    @Test(arguments: [
        #""maxLength": "20""#, #""collation": "und:ci""#, #""defaultValueExpression": "'x'""#,
        #""policyTags": {"names": ["projects/p/locations/us/taxonomies/1/policyTags/2"]}"#,
        #""dataPolicies": [{"name": "projects/p/locations/us/dataPolicies/mask"}]"#,
        #""dataPolicyList": {"dataPolicies": [{"name": "projects/p/locations/us/dataPolicies/mask"}]}"#,
        #""dataGovernanceTagsInfo": {"dataGovernanceTags": {"123/pii": "sensitive"}}"#,
        #""generatedColumn": {"generatedMode": "GENERATED_ALWAYS", "generatedExpressionInfo": {"generationExpression": "AI.EMBED(b)", "stored": true, "asynchronous": true}}"#,
    ])
    func keepsWhatAColumnCanBeCreatedWith(_ member: String) throws {
        let text = Self.columns(#"{"name": "a", "type": "STRING", "mode": "NULLABLE", \#(member)}"#)

        let sent = try JSONEncoder().encode(table(text))

        #expect(try JSONDecoder().decode(JSONValue.self, from: sent) == (try .text(text)))
    }

    @Test(arguments: [
        #""cloneDefinition": {"cloneTime": "2026-09-08T00:00:00Z"}"#,
        #""restrictions": {"type": "RESTRICTED_DATA_EGRESS"}"#,
        #""tableReplicationInfo": {"replicationStatus": "ACTIVE"}"#, #""biglakeConfiguration": {}"#,
        #""externalCatalogTableOptions": {}"#, #""replicas": [{"tableId": "t"}]"#, #""materializedViewStatus": {}"#,
        #""streamingBuffer": {"estimatedRows": "1"}"#, #""numPartitions": "70", "numStatisticsOfTomorrow": "1""#,
        #""partitionDefinition": {"partitionedColumn": [{"field": "a"}]}"#, #""type": "CLONE""#, #""location": "US""#,
        #""view": null"#,
    ])
    func ignoresWhatBigQueryAloneSets(_ member: String) throws {
        #expect(try table(Self.columns(Self.column, ", " + member)) == Table(fields: [FieldSchema("a", "STRING")]))
    }

    @Test(arguments: [
        (
            columns(#"{"name": "a", "type": "STRING", "descripton": "x"}"#),
            "schema.fields[0].descripton: no such member; did you mean description?"
        ),
        (
            #"[{"name": "a", "type": "RECORD", "fields": [{"name": "b", "type": "DATE", "defaultValue": "x"}]}]"#,
            "[0].fields[0].defaultValue: no such member"
        ),
        (
            #"{"fields": [{"name": "a", "type": "DATE", "policytags": {}}]}"#,
            "fields[0].policytags: no such member; did you mean policyTags?"
        ),
        (columns(column, #", "partitioning": {"type": "DAY"}"#), "partitioning: no such member"),
        (
            columns(column, #", "timePartitioning": {"type": "DAY", "expirationMS": "1"}"#),
            "timePartitioning.expirationMS: no such member; did you mean expirationMs?"
        ),
        (
            columns(column, #", "clustering": {"field": ["a"]}"#),
            "clustering.field: no such member; did you mean fields?"
        ),
        (#"{"schema": {"fields": [\#(column)], "columns": []}}"#, "schema.columns: no such member"),
        (#"{"schema": {"fields": [\#(column)]}, "fields": []}"#, "fields: no such member"),
        (
            columns(#"{"name": "a", "type": "STRING", "policyTags": {"name": ["x"]}}"#),
            "schema.fields[0].policyTags.name: no such member; did you mean names?"
        ),
        (
            columns(column, #", "encryptionConfiguration": {"kmsKey": "k"}"#),
            "encryptionConfiguration.kmsKey: no such member"
        ),
        (
            columns(#"{"name": "a", "type": "STRING", "foreignTypeDefinition": "char(1)"}"#),
            "schema.fields[0].foreignTypeDefinition: foreign types are for tables with their data outside of BigQuery"
        ),
        (
            columns(#"{"name": "a", "type": "FOREIGN"}"#),
            "field a: FOREIGN is a type for tables with their data outside of BigQuery"
        ),
        (
            columns(column, #", "defaultRoundingMode": "HALF_UP""#),
            "defaultRoundingMode: defaultRoundingMode must be ROUNDING_MODE_UNSPECIFIED, ROUND_HALF_AWAY_FROM_ZERO or ROUND_HALF_EVEN"
        ),
        (columns(column, #", "expirationTime": "soon""#), "expirationTime is not a whole number"),
        (columns(column, #", "labels": {"a": 5}"#), "labels.a is not a string"),
        (columns(column, #", "timePartitioning": {}"#), "timePartitioning has no \"type\""),
    ])
    func refusesEachOtherMemberWithItsPath(_ text: String, _ problem: String) {
        #expect(problems(text) == ["t.json: \(problem)"])
    }

    @Test func namesEveryProblemOfEveryLevelAtOnce() {
        let text = Self.columns(
            #"{"name": "a", "type": "NUMERIC", "scale": 2, "descripton": "x"}, {"name": "b", "type": "INTEGER", "maxLength": 5}"#,
            #", "cluster": ["a"]"#)

        #expect(
            problems(text) == [
                "t.json: cluster: no such member",
                "t.json: schema.fields[0].descripton: no such member; did you mean description?",
                "t.json: field a: a scale needs a precision",
                "t.json: field b: maxLength is for STRING and BYTES only",
            ])
    }

    @Test func keepsThePartitionFilterOfItsOldPlace() throws {
        let table = try table(
            Self.columns(
                #"{"name": "d", "type": "DATE"}"#,
                #", "timePartitioning": {"type": "DAY", "field": "d", "requirePartitionFilter": true}"#))

        #expect(table.requirePartitionFilter == true)
        #expect(table.timePartitioning == Table.TimePartitioning(type: "DAY", field: "d"))
    }

    @Test func refusesTwoPartitionFiltersThatContradict() {
        let text = Self.columns(
            #"{"name": "d", "type": "DATE"}"#,
            #", "timePartitioning": {"type": "DAY", "requirePartitionFilter": true}, "requirePartitionFilter": false"#)

        #expect(
            problems(text) == ["t.json: requirePartitionFilter: timePartitioning.requirePartitionFilter says otherwise"]
        )
    }

    @Test(arguments: [
        ("BIGINT", "INT64"), ("DECIMAL", "NUMERIC"), ("bigdecimal", "BIGNUMERIC"), ("INTEGER", "INTEGER"),
        ("float64", "float64"),
    ])
    func sendsTypesThatTheAPIKnows(_ written: String, _ sent: String) throws {
        #expect(try table(#"[{"name": "a", "type": "\#(written)"}]"#).schema.fields.map(\.type) == [sent])
    }

    @Test(arguments: [
        (
            #"{"name": "a", "type": "NUMERIC", "precision": "10"}"#,
            #"{"name": "a", "type": "DECIMAL", "precision": 10, "scale": 0}"#
        ),
        (
            #"{"name": "a", "type": "BIGNUMERIC", "precision": 12, "scale": "0"}"#,
            #"{"name": "a", "type": "bignumeric", "precision": "12"}"#
        ),
        (#"{"name": "a", "type": "TIMESTAMP"}"#, #"{"name": "a", "type": "TIMESTAMP", "timestampPrecision": "6"}"#),
        (
            #"{"name": "a", "type": "RECORD", "fields": [{"name": "b", "type": "INTEGER"}]}"#,
            #"{"name": "A", "type": "STRUCT", "fields": [{"name": "B", "type": "BIGINT"}]}"#
        ),
    ])
    func twoSpellingsOfATypeAgree(_ one: String, _ other: String) throws {
        let (one, other) = (try table("[\(one)]"), try table("[\(other)]"))

        #expect(SchemaDiff(expected: one, actual: other).isConforming)
        #expect(SchemaDiff(expected: other, actual: one).isConforming)
    }
}
