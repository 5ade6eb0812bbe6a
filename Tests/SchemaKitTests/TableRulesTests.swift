import Foundation
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

@Suite struct TableRulesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var table: String
        var problems: [String]

        init(_ table: String, _ problems: String...) {
            self.table = table
            self.problems = problems
        }

        var testDescription: String { problems.first ?? table }
    }

    private static func columns(_ fields: String, _ rest: String = "") -> String {
        #"{"schema": {"fields": [\#(fields)]}\#(rest)}"#
    }

    private static func partitioned(_ type: String, _ unit: String, mode: String = "NULLABLE") -> String {
        columns(
            #"{"name": "c", "type": "\#(type)", "mode": "\#(mode)"}"#,
            #", "timePartitioning": {"type": "\#(unit)", "field": "C"}"#)
    }

    private static let tag = "projects/p/locations/us/taxonomies/1/policyTags/"

    private static func column(_ type: String, _ rest: String = "") -> String {
        columns(#"{"name": "a", "type": "\#(type)"\#(rest.isEmpty ? "" : ", \(rest)")}"#)
    }

    /// That many columns, the fields of a RECORD among them.
    private static func many(_ count: Int) -> String {
        let names = (0..<count - 1).map { #"{"name": "c\#($0)", "type": "STRING"}"# }
        return columns(
            #"{"name": "r", "type": "RECORD", "fields": [\#(names[0])]}, "# + names.dropFirst().joined(separator: ","))
    }

    private static func ranged(
        type: String = "INTEGER", mode: String = "NULLABLE", field: String = "n", start: Int64 = 0, end: Int64 = 100,
        interval: Int64 = 10
    ) -> String {
        columns(
            #"{"name": "n", "type": "\#(type)", "mode": "\#(mode)"}"#,
            #", "rangePartitioning": {"field": "\#(field)", "range": {"start": "\#(start)", "end": "\#(end)", "interval": "\#(interval)"}}"#
        )
    }

    private static func labeled(_ key: String, _ value: String) -> String {
        columns(#"{"name": "a", "type": "DATE"}"#, #", "labels": {"\#(key)": "\#(value)"}"#)
    }

    private static func clustered(
        _ type: String, _ names: [String], mode: String = "NULLABLE", more: String = ""
    ) -> String {
        columns(
            names.map { #"{"name": "\#($0)", "type": "\#(type)", "mode": "\#(mode)"\#(more)}"# }.joined(separator: ","),
            #", "clustering": {"fields": ["\#(names.joined(separator: "\", \""))"]}"#)
    }

    private func problems(_ text: String, name: String = "t") -> [String] {
        do {
            _ = try CatalogFile(name: name, path: "t.json", contents: .init(text.utf8)).table()
            return []
        } catch {
            return error.problems
        }
    }

    @Test(arguments: [
        partitioned("DATE", "DAY"), partitioned("DATE", "MONTH"), partitioned("DATE", "YEAR"),
        partitioned("TIMESTAMP", "HOUR"), partitioned("DATETIME", "YEAR"), clustered("STRING", ["a", "b", "c", "d"]),
        clustered("BIGDECIMAL", ["a"]), clustered("INTEGER", ["a"]), clustered("GEOGRAPHY", ["a"]),
        columns(#"{"name": "_a1", "type": "RECORD", "fields": [{"name": "b", "type": "JSON"}]}"#),
        columns(#"{"name": "a", "type": "STRING"}"#, #", "timePartitioning": {"type": "HOUR"}"#),
        column("STRING", #""maxLength": "1""#), column("BYTES", #""maxLength": 16"#),
        column("NUMERIC", #""precision": "38", "scale": "9""#), column("NUMERIC", #""precision": 29"#),
        column("NUMERIC", #""precision": 10, "scale": 0"#), column("BIGNUMERIC", #""precision": 76, "scale": 38"#),
        column("BIGDECIMAL", #""precision": "38""#), column("NUMERIC", #""roundingMode": "ROUND_HALF_EVEN""#),
        column("TIMESTAMP", #""timestampPrecision": "12""#), column("STRING", #""collation": """#),
        column("RANGE", #""rangeElementType": {"type": "DATETIME"}"#), column("INTERVAL"),
        column("STRING", #""policyTags": {"names": []}"#), column("STRING", #""policyTags": {}"#),
        column("DATE", #""defaultValueExpression": "CURRENT_DATE()""#),
        columns(#"{"name": "a", "type": "STRING", "description": "\#(String(repeating: "ü", count: 1024))"}"#),
        columns(#"{"name": "a", "type": "DATE"}"#, #", "description": "\#(String(repeating: "x", count: 16_384))""#),
        many(10_000), ranged(start: 0, end: 10_000, interval: 1), ranged(start: -7, end: 9, interval: 100),
        ranged(start: .min, end: .max, interval: .max), labeled("a", ""), labeled("größe_1-a", "2"),
        labeled(String(repeating: "k", count: 63), String(repeating: "v", count: 63)),
        clustered("RANGE", ["a"], more: #", "rangeElementType": {"type": "DATE"}"#),
    ])
    func accepts(_ table: String) {
        #expect(problems(table) == [])
    }

    @Test(arguments: [
        Case(many(10_001), "schema.fields: 10001 columns, with the fields of RECORDs; BigQuery takes 10000"),
        Case(
            columns(#"{"name": "a", "type": "STRING", "description": "\#(String(repeating: "x", count: 1025))"}"#),
            "field a: a description of 1025 characters; BigQuery takes 1024"),
        Case(
            columns(
                #"{"name": "a", "type": "DATE"}"#, #", "description": "\#(String(repeating: "x", count: 16_385))""#),
            "description: 16385 characters; BigQuery takes 16384"),
        Case(column("INTEGER", #""maxLength": "10""#), "field a: maxLength is for STRING and BYTES only"),
        Case(column("STRING", #""maxLength": "0""#), "field a: maxLength 0 is not above 0"),
        Case(column("NUMERIC", #""scale": "2""#), "field a: a scale needs a precision"),
        Case(column("FLOAT", #""precision": "2""#), "field a: precision and scale are for NUMERIC and BIGNUMERIC only"),
        Case(column("NUMERIC", #""precision": 30"#), "field a: the precision 30 of a NUMERIC is not 1 to 29"),
        Case(
            column("NUMERIC", #""precision": "39", "scale": "9""#),
            "field a: the precision 39 of a NUMERIC is not 9 to 38 with a scale of 9"),
        Case(column("NUMERIC", #""precision": 20, "scale": 10"#), "field a: the scale 10 of a NUMERIC is not 0 to 9"),
        Case(column("BIGNUMERIC", #""precision": "39""#), "field a: the precision 39 of a BIGNUMERIC is not 1 to 38"),
        Case(column("BIGNUMERIC", #""precision": 0"#), "field a: the precision 0 of a BIGNUMERIC is not 1 to 38"),
        Case(column("NUMERIC", #""precision": 5, "scale": -1"#), "field a: the scale -1 of a NUMERIC is not 0 to 9"),
        Case(column("DATE", #""timestampPrecision": "12""#), "field a: timestampPrecision is for TIMESTAMP only"),
        Case(column("TIMESTAMP", #""timestampPrecision": "9""#), "field a: timestampPrecision 9 is not 6 or 12"),
        Case(column("RANGE"), "field a: a RANGE has the rangeElementType.type DATE, DATETIME or TIMESTAMP"),
        Case(
            column("RANGE", #""rangeElementType": {"type": "INTEGER"}"#),
            "field a: a RANGE has the rangeElementType.type DATE, DATETIME or TIMESTAMP"),
        Case(column("DATE", #""rangeElementType": {"type": "DATE"}"#), "field a: rangeElementType is for RANGE only"),
        Case(column("INTEGER", #""collation": "und:ci""#), "field a: collation is for STRING only"),
        Case(column("STRING", #""collation": "de:ci""#), "field a: the collation \"de:ci\" is not \"und:ci\" or empty"),
        Case(
            column("FLOAT", #""roundingMode": "ROUND_HALF_EVEN""#),
            "field a: roundingMode is for NUMERIC and BIGNUMERIC only"),
        Case(
            column("STRING", #""policyTags": {"names": ["pii"]}"#),
            "field a: the policy tag \"pii\" is not projects/PROJECT/locations/LOCATION/taxonomies/TAXONOMY/policyTags/TAG"
        ),
        Case(
            column("STRING", #""policyTags": {"names": ["\#(tag)1", "\#(tag)2"]}"#),
            "field a: 2 policy tags; BigQuery takes 1"),
        Case(
            columns(
                #"{"name": "r", "type": "RECORD", "fields": [{"name": "a", "type": "DATE", "defaultValueExpression": "CURRENT_DATE()"}]}"#
            ), "field r.a: a field of a RECORD has no default value of its own; the RECORD can have one"),
        Case(ranged(field: "nope"), "rangePartitioning.field: no column nope"),
        Case(ranged(type: "STRING"), "rangePartitioning.field: n is STRING, not INT64"),
        Case(ranged(mode: "REPEATED"), "rangePartitioning.field: n is ARRAY<INT64>, not INT64"),
        Case(
            ranged(start: 5, end: 5), "rangePartitioning.range: the start, 5, is not below the end, 5"),
        Case(ranged(interval: 0), "rangePartitioning.range.interval: 0 is not above 0"),
        Case(
            ranged(start: 0, end: 10_001, interval: 1),
            "rangePartitioning.range: 10001 partitions; BigQuery takes 10000"),
        Case(
            columns(#"{"name": "a", "type": "DATE"}"#, #", "requirePartitionFilter": true"#),
            "requirePartitionFilter: the table has no partitions"),
        Case(
            columns(#"{"name": "a", "type": "DATE"}"#, #", "timePartitioning": {"type": "DAY", "expirationMs": "0"}"#),
            "timePartitioning.expirationMs: 0 is not above 0"),
        Case(
            columns(#"{"name": "a", "type": "DATE"}"#, #", "defaultCollation": "de""#),
            "defaultCollation: \"de\" is not \"und:ci\" or empty"),
        Case(
            columns(#"{"name": "a", "type": "DATE"}"#, #", "encryptionConfiguration": {"kmsKeyName": "k"}"#),
            "encryptionConfiguration.kmsKeyName: \"k\" is not projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
        ),
        Case(
            columns(
                #"{"name": "a", "type": "DATE"}"#, #", "tableConstraints": {"primaryKey": {"columns": ["b", "b"]}}"#),
            "tableConstraints.primaryKey.columns: a column twice", "tableConstraints.primaryKey.columns: no column b",
            "tableConstraints.primaryKey.columns: no column b"),
        Case(
            labeled("Team", "a"),
            "labels: the key \"Team\" is not a lower-case letter, then up to 62 of them, of digits, _ and -"),
        Case(
            labeled("1a", "a"),
            "labels: the key \"1a\" is not a lower-case letter, then up to 62 of them, of digits, _ and -"),
        Case(labeled("a", "B c"), "labels.a: \"B c\" is not up to 63 lower-case letters, digits, _ and -"),
        Case("{}", "schema.fields is missing or empty"),
        Case(columns(""), "schema.fields is missing or empty"),
        Case(
            columns(#"{"name": "a", "type": "STRING"}, {"name": "A", "type": "INT64"}"#),
            "field A: there are two of that name"),
        Case(
            columns(#"{"name": "_PARTITIONTIME", "type": "DATE"}"#),
            "field _PARTITIONTIME: BigQuery keeps names with _partition for itself"),
        Case(
            columns(#"{"name": "a", "type": "STRING", "maxLength": "1), x STRING("}"#),
            "schema.fields[0].maxLength is not a whole number"),
        Case(columns(#"{"name": "a", "type": "TEXT"}"#), "field a: unknown type TEXT"),
        Case(columns(#"{"name": "a", "type": "STRING(20)"}"#), "field a: unknown type STRING(20)"),
        Case(columns(#"{"name": "a", "type": "RECORD"}"#), "field a: a RECORD has fields, and nothing else has"),
        Case(
            columns(#"{"name": "a", "type": "STRING", "fields": [{"name": "b", "type": "DATE"}]}"#),
            "field a: a RECORD has fields, and nothing else has"),
        Case(
            columns(#"{"name": "a", "type": "RECORD", "fields": [{"name": "b", "type": "VARCHAR"}]}"#),
            "field a.b: unknown type VARCHAR"),
        Case(
            partitioned("DATE", "HOUR"), "timePartitioning.type: \"HOUR\" does not go with a DATE column"),
        Case(
            partitioned("TIMESTAMP", "WEEK"), "timePartitioning.type: \"WEEK\" does not go with a TIMESTAMP column"),
        Case(
            partitioned("STRING", "DAY"), "timePartitioning.field: C is STRING, not DATE, TIMESTAMP or DATETIME"),
        Case(
            partitioned("DATE", "DAY", mode: "REPEATED"),
            "timePartitioning.field: C is ARRAY<DATE>, not DATE, TIMESTAMP or DATETIME"),
        Case(
            columns(#"{"name": "a", "type": "DATE"}"#, #", "timePartitioning": {"type": "DAY", "field": "b"}"#),
            "timePartitioning.field: no column b"),
        Case(
            columns(#"{"name": "a", "type": "DATE"}"#, #", "timePartitioning": {"type": "WEEK"}"#),
            "timePartitioning.type: \"WEEK\" is not HOUR, DAY, MONTH or YEAR"),
        Case(
            columns(
                #"{"name": "a", "type": "DATE"}"#,
                #", "timePartitioning": {"type": "DAY"}, "rangePartitioning": {"field": "a"}"#),
            "timePartitioning and rangePartitioning exclude each other"),
        Case(
            clustered("STRING", ["a", "b", "c", "d", "e"]), "clustering.fields: 5 columns; BigQuery takes 4"),
        Case(clustered("FLOAT", ["a"]), "clustering.fields: a is FLOAT64, which BigQuery does not cluster by"),
        Case(clustered("JSON", ["a"]), "clustering.fields: a is JSON, which BigQuery does not cluster by"),
        Case(
            clustered("STRING", ["a"], mode: "REPEATED"),
            "clustering.fields: a is ARRAY<STRING>, which BigQuery does not cluster by"),
        Case(
            columns(#"{"name": "a", "type": "DATE"}"#, #", "clustering": {"fields": ["a", "A", "b"]}"#),
            "clustering.fields: a column twice", "clustering.fields: no column b"),
        Case(
            columns(#"{"name": "a", "type": "DATE"}"#, #", "type": "VIEW""#), "type: a \"VIEW\" is not a table"),
    ])
    func names(_ item: Case) {
        #expect(problems(item.table) == item.problems.map { "t.json: \($0)" })
    }

    @Test func refusesAFileNameThatIsNoTableName() {
        let table = Self.columns(#"{"name": "a", "type": "DATE"}"#)

        #expect(
            problems(table, name: "a-b") == [
                "t.json: the file's name is no table name: use ASCII letters, digits and underscores"
            ])
    }

    @Test func refusesRecordsDeeperThanFifteenLevels() {
        func nested(_ levels: Int) -> String {
            let open = String(repeating: #"{"name": "a", "type": "RECORD", "fields": ["#, count: levels - 1)
            let leaf = #"{"name": "a", "type": "DATE"}"#
            return Self.columns(open + leaf + String(repeating: "]}", count: levels - 1))
        }

        #expect(problems(nested(15)) == [])
        #expect(problems(nested(16)).first?.hasSuffix("nested more than 15 levels deep") == true)
    }

    @Test(arguments: [
        "a", "_1", "Größe", "order id", "2nd", "価格", "e\u{301}", "a-b", "a&b", "a%b", "a=b", "a+b", "a:b", "it's",
        "a<b>c",
        "#1", "a|b", "٣", "‿", String(repeating: "ü", count: 300),
    ])
    func acceptsTheName(_ name: String) throws {
        #expect(problems(try field(name)) == [])
    }

    @Test(arguments: [
        ("", "a column needs a name"), (String(repeating: "a", count: 301), "a name has at most 300 characters"),
        ("a.b", "a name cannot have the character ."), ("a`b", "a name cannot have the character `"),
        (#"a\b"#, #"a name cannot have the character \"#), (#"a"b"#, #"a name cannot have the character ""#),
        ("a\tb", "a name cannot have the character U+9"), ("a/b", "a name cannot have the character /"),
        ("a$b", "a name cannot have the character $"), ("€", "a name cannot have the character U+20AC"),
        ("_Partition_x", "BigQuery keeps names with _partition for itself"),
        ("__ROOT__x", "BigQuery keeps names with __root__ for itself"),
        ("_CHANGE_TYPE", "BigQuery keeps names with _change_type for itself"),
    ])
    func refusesTheName(_ name: String, _ reason: String) throws {
        #expect(problems(try field(name)) == ["t.json: field \(name): \(reason)"])
    }

    private func field(_ name: String) throws -> String {
        String(decoding: try JSONEncoder().encode(["fields": [["name": name, "type": "STRING"]]]), as: UTF8.self)
    }
}
