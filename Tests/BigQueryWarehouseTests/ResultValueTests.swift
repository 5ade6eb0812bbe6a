import Foundation
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing
import Warehouse

@testable import BigQueryWarehouse

@Suite struct ResultValueTests {
    private func value(_ field: String, _ value: String) async throws -> SQLValue? {
        let fixture = try BigQueryFixture([
            .json(
                #"{"jobComplete": true, "schema": {"fields": [{"name": "v", \#(field)}]}, "rows": [{"f": [{"v": \#(value)}]}]}"#
            )
        ])
        return try await fixture.query().rows.first?["v"]
    }

    @Test(arguments: [
        (#""type": "STRING""#, #""ünï \"x\"""#, SQLValue.string("ünï \"x\"")),
        (#""type": "STRING""#, "null", .null(.string)),
        (#""type": "BYTES""#, #""AP8=""#, .bytes(Data([0, 255]))),
        (#""type": "INTEGER""#, #""-9223372036854775808""#, .int64(.min)),
        (#""type": "INT64""#, #""9223372036854775807""#, .int64(.max)),
        (#""type": "INTEGER""#, "null", .null(.int64)),
        (#""type": "FLOAT""#, #""1.5E9""#, .float64(1.5e9)),
        (#""type": "FLOAT64""#, #""-Infinity""#, .float64(-.infinity)),
        (
            #""type": "NUMERIC""#, #""99999999999999999999999999999.999999999""#,
            .numeric("99999999999999999999999999999.999999999")
        ),
        (
            #""type": "BIGNUMERIC""#, #""0.00000000000000000000000000000000000001""#,
            .numeric("0.00000000000000000000000000000000000001")
        ),
        (#""type": "BOOLEAN""#, #""true""#, .bool(true)),
        (#""type": "BOOL""#, #""false""#, .bool(false)),
        (#""type": "TIMESTAMP""#, #""-62135596800000000""#, .timestamp(Timestamp("0001-01-01T00:00:00Z")!)),
        (#""type": "TIMESTAMP""#, #""253402300799999999""#, .timestamp(Timestamp("9999-12-31T23:59:59.999999Z")!)),
        (#""type": "TIMESTAMP""#, #""-1""#, .timestamp(Timestamp("1969-12-31T23:59:59.999999Z")!)),
        (#""type": "DATE""#, #""0001-01-01""#, .date(CivilDate("0001-01-01")!)),
        (#""type": "DATE""#, #""9999-12-31""#, .date(CivilDate("9999-12-31")!)),
        (#""type": "DATETIME""#, #""2026-01-31T00:05:00.5""#, .string("2026-01-31T00:05:00.5")),
        (#""type": "TIME""#, #""23:59:59.999999""#, .string("23:59:59.999999")),
        (#""type": "JSON""#, #""{\"a\":[1,null]}""#, .json(#"{"a":[1,null]}"#)),
        (#""type": "GEOGRAPHY""#, #""POINT(1 2)""#, .string("POINT(1 2)")),
        (#""type": "TYPE_OF_TOMORROW""#, #""x""#, .string("x")),
        (#""type": "STRING", "mode": "REPEATED""#, "[]", .strings([])),
        (#""type": "STRING", "mode": "REPEATED""#, "null", .strings([])),
        (#""type": "STRING", "mode": "REPEATED""#, #"[{"v": "a"}, {"v": "b"}]"#, .strings(["a", "b"])),
        (
            #""type": "INTEGER", "mode": "REPEATED""#, #"[{"v": "1"}, {"v": null}]"#,
            .array(of: .int64, [.int64(1), .null(.int64)])
        ),
    ])
    func isRead(_ field: String, _ text: String, _ expected: SQLValue) async throws {
        #expect(try await value(field, text) == expected)
    }

    @Test func readsNaN() async throws {
        guard case .float64(let number) = try await value(#""type": "FLOAT""#, #""NaN""#) else {
            Issue.record("not a FLOAT64")
            return
        }
        #expect(number.isNaN)
    }

    @Test func readsRecordsWithinRecords() async throws {
        let field = """
            "type": "RECORD", "mode": "REPEATED", "fields": [
              {"name": "a", "type": "INTEGER"},
              {"name": "b", "type": "RECORD", "fields": [{"name": "c", "type": "DATE", "mode": "REPEATED"}]}]
            """
        let text = """
            [{"v": {"f": [{"v": "1"}, {"v": {"f": [{"v": [{"v": "2026-01-31"}]}]}}]}},
             {"v": {"f": [{"v": null}, {"v": null}]}}]
            """
        let inner = SQLType.structure([SQLType.Field("c", .array(.date))])

        let read = try await value(field, text)

        #expect(
            read
                == .array(
                    of: .structure([SQLType.Field("a", .int64), SQLType.Field("b", inner)]),
                    [
                        .structure([
                            SQLValue.Field("a", .int64(1)),
                            SQLValue.Field(
                                "b",
                                .structure([
                                    SQLValue.Field("c", .array(of: .date, [.date(CivilDate("2026-01-31")!)]))
                                ])),
                        ]),
                        .structure([SQLValue.Field("a", .null(.int64)), SQLValue.Field("b", .null(inner))]),
                    ]))
    }

    private static let rowOfText = #""schema": {"fields": [{"name": "v", "type": "STRING"}]}"#

    @Test(arguments: [
        "", "null", "[]", "{", "<html>", #"{"jobComplete": "yes"}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": {}}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [null]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": []}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": [{"v": "a"}, {"v": "b"}]}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": [{"v": 5}]}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": [{"v": [{"v": "a"}]}]}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": [{"v": {"f": []}}]}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"g": []}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": [{}]}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": [{"v": "a"}]} {"f": [{"v": "b"}]}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": [{"v": "\ud800"}]}]}"#,
        #"{"jobComplete": true, \#(rowOfText), "rows": [{"f": [{"v": "a"}]}], "rows": [{"f": [{"v": "b"}]}]}"#,
        #"{"jobComplete": true, "rows": [{"f": [{"v": "a"}]}]}"#,
        #"{"jobComplete": true, "schema": {"fields": [{"name": "v", "type": "RECORD", "fields": [{"name": "w", "type": "DATE"}]}]}, "rows": [{"f": [{"v": "a"}]}]}"#,
        #"{"jobComplete": true, "schema": {"fields": [{"name": "v", "type": "STRING", "mode": "REPEATED"}]}, "rows": [{"f": [{"v": "a"}]}]}"#,
    ])
    func isUnexpectedWhereTheReplyIsMalformed(_ body: String) async throws {
        let fixture = try BigQueryFixture([.text(body)])

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == .unexpectedResult)
        #expect(error?.isRetryable == false)
    }

    @Test(arguments: [
        ("INTEGER", "9223372036854775808"), ("INTEGER", "1.0"), ("INTEGER", ""), ("FLOAT", "much"),
        ("BOOLEAN", "maybe"),
        ("TIMESTAMP", "1.5E9"), ("TIMESTAMP", "99999999999999999999"), ("DATE", "2026-02-30"), ("DATE", "0000-00-00"),
        ("BYTES", "%%"),
    ])
    func isUnexpectedWhereItIsOutOfRange(_ type: String, _ text: String) async throws {
        let error = await #expect(throws: WarehouseError.self) {
            try await value(#""type": "\#(type)""#, #""\#(text)""#)
        }

        #expect(error?.code == .unexpectedResult)
        #expect(error?.description.contains("column v") == true)
        if !text.isEmpty { #expect(error?.description.contains(text) == false) }
    }

    // MARK: Many rows

    private static func page(_ numbers: Range<Int>) -> ScriptedReply {
        let rows = numbers.map { #"{"f": [{"v": "\#($0)"}]}"# }.joined(separator: ",")
        // The schema comes last, and a text has what ends a list elsewhere.
        return .json(
            #"{"jobComplete": true, "kind": "]}\"rows\": [", "rows": [\#(rows)], "#
                + #""schema": {"fields": [{"name": "v", "type": "INTEGER"}]}}"#)
    }

    @Test(arguments: [0, 1, 999, 1000, 1001, 2500])
    func areHandedOverInPartsOfAThousand(_ count: Int) async throws {
        let fixture = try BigQueryFixture([Self.page(0..<count)])
        var parts: [[Row]] = []

        _ = try await fixture.warehouse.query(Statement("read it", "SELECT 1"), eachPage: { parts.append($0) })

        #expect(try parts.joined().map { try $0.int64("v") } == (0..<count).map(Int64.init))
        #expect(parts.count == max(1, (count + 999) / 1000) && parts.allSatisfy { $0.count <= 1000 })
    }

    @Test func areKeptUpTo128MB() throws {
        let text = String(repeating: "x", count: 1 << 20)
        let row = Row([SQLValue.Field("v", .string(text))])
        var collected = CollectedRows(operation: "list everything")

        try collected.append(Array(repeating: row, count: 127))
        let error = #expect(throws: WarehouseError.self) { try collected.append([row]) }

        #expect(collected.rows.count == 127)
        #expect(error?.code == .resourcesExceeded && error?.certainty == .done)
        #expect(error?.description.contains("128 MB") == true)
    }

    /// A row of one short value takes 88 bytes, whatever its text.
    @Test func aMillionTinyRowsAreKept() throws {
        let row = Row([SQLValue.Field("v", .bool(true))])
        var collected = CollectedRows(operation: "list everything")

        try collected.append(Array(repeating: row, count: 1_500_000))

        #expect(throws: WarehouseError.self) { try collected.append(Array(repeating: row, count: 100_000)) }
    }
}
