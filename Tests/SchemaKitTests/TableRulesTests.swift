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

    private static func clustered(_ type: String, _ names: [String], mode: String = "NULLABLE") -> String {
        columns(
            names.map { #"{"name": "\#($0)", "type": "\#(type)", "mode": "\#(mode)"}"# }.joined(separator: ","),
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
    ])
    func accepts(_ table: String) {
        #expect(problems(table) == [])
    }

    @Test(arguments: [
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
}
