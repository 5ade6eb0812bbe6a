import BigQueryWarehouse
import EmbeddedWarehouse
import Foundation
import JobRuntime
import Testing
import Warehouse

extension WarehouseContract {
    static let valueClauses =
        scalars.map { type, values in
            Clause("\(type) values are read as they were written") { contract in
                let reference = try await contract.newTable(
                    "value_\(type.lowercased())", [FieldSchema("id", "INT64"), FieldSchema("value", type)])
                for (index, value) in values.enumerated() {
                    let written = try await contract.run(
                        "INSERT INTO \(reference.sql) (id, value) VALUES (@id, @value)",
                        ["id": .int64(Int64(index)), "value": value])
                    #expect(written.affectedRows == 1)
                }

                let rows = try await contract.run("SELECT id, value FROM \(reference.sql) ORDER BY id").rows

                #expect(rows.count == values.count)
                for (row, value) in zip(rows, values) { #expect(row["value"].map(exact) == exact(value)) }
            }
        } + [
            Clause("a parameter finds the row that holds its value") { contract in
                let fields = [
                    FieldSchema("name", "STRING"), FieldSchema("seen_at", "TIMESTAMP"), FieldSchema("day", "DATE"),
                ]
                let reference = try await contract.newTable("found", fields)
                let parameters: KeyValuePairs<String, SQLValue> = [
                    "name": .string("it's \"x\"; -- \\"), "instant": .timestamp(.example),
                    "day": .date(Timestamp.example.date),
                ]
                try await contract.run(
                    "INSERT INTO \(reference.sql) (name, seen_at, day) VALUES (@name, @instant, @day)", parameters)

                let found = try await contract.run(
                    "SELECT COUNT(*) AS n FROM \(reference.sql) WHERE name = @name AND seen_at = @instant AND day = @day",
                    parameters)

                #expect(try found.rows.first?.int64("n") == 1)
            },
            Clause("times compare and sort as times, also out of an aggregate") { contract in
                let reference = try await contract.newTable("times", [FieldSchema("seen_at", "TIMESTAMP")])
                let instants = [Int64(-62_135_596_800_000_000), -1, 0, 999_999, 1_000_000, 253_402_300_799_999_999]
                for microseconds in instants.reversed() {
                    try await contract.run(
                        "INSERT INTO \(reference.sql) (seen_at) VALUES (@instant)",
                        ["instant": .timestamp(Timestamp(microseconds: microseconds))])
                }

                let sorted = try await contract.run("SELECT seen_at FROM \(reference.sql) ORDER BY seen_at")
                let summary = try await contract.run(
                    """
                    SELECT MIN(seen_at) AS first, MAX(seen_at) AS last, COUNTIF(seen_at > @epoch) AS later, MAX(seen_at) > @epoch AS is_later,
                        DATE(MAX(seen_at)) AS last_day
                    FROM \(reference.sql)
                    """, ["epoch": .timestamp(Timestamp(microseconds: 0))])

                #expect(try sorted.rows.map { try $0.timestamp("seen_at").microseconds } == instants)
                let row = try #require(summary.rows.first)
                #expect(try row.timestamp("first").microseconds == instants.first)
                #expect(try row.timestamp("last").microseconds == instants.last)
                #expect(try row.int64("later") == 3)
                #expect(try row.bool("is_later"))
                #expect(try row.date("last_day") == CivilDate("9999-12-31"))
            },
        ]

    private static let scalars: KeyValuePairs<String, [SQLValue]> = [
        "STRING": [
            .null(.string), .string(""), .string(" "), .string("it's \"quoted\" `so`"), .string("back\\slash \\n"),
            .string("line\nbreak\r\n\ttab"), .string("Zürich 日本語 🚀 e\u{301}"), .string("@id ? ; -- /* # '' %s"),
            .string("NULL"), .string("0012"), .string(String(repeating: "x", count: 100_000)),
        ],
        "BYTES": [.null(.bytes), .bytes(Data()), .bytes(Data(0...255))],
        "INT64": [.null(.int64), .int64(0), .int64(-1), .int64(.max), .int64(.min), .int64(9_007_199_254_740_993)],
        "FLOAT64": [
            .null(.float64), .float64(0), .float64(3), .float64(0.1), .float64(-1.5e300), .float64(1 / 3),
            .float64(.greatestFiniteMagnitude), .float64(.leastNormalMagnitude),
        ],
        "NUMERIC": [
            .null(.numeric), .numeric("0"), .numeric("-0.000000001"), .numeric("1.5"), .numeric("12345678901234567890"),
            .numeric("99999999999999999999999999999.999999999"),
            .numeric("-99999999999999999999999999999.999999999"),
        ],
        "BOOL": [.null(.bool), .bool(true), .bool(false)],
        "TIMESTAMP": [
            .null(.timestamp), .timestamp(.example), .timestamp(Timestamp(microseconds: 0)),
            .timestamp(Timestamp(microseconds: -1)), .timestamp(Timestamp(microseconds: -62_135_596_800_000_000)),
            .timestamp(Timestamp(microseconds: 253_402_300_799_999_999)),
        ],
        "DATE": ["0001-01-01", "1969-12-31", "2024-02-29", "9999-12-31"].map { .date(CivilDate($0)!) } + [.null(.date)],
        "JSON": [
            .null(.json), .json("{}"), .json("[]"), .json("12"), .json("\"text\""), .json("true"),
            .json(#"{"b":[1,2.5,null,true],"a":"x \"quoted\" é","c":{"d":"it's"}}"#),
        ],
    ]

    /// A form in which equal means the same bytes: Swift's strings compare by canonical equivalence, and a server may write JSON
    /// with other spaces and order of keys, and `1.500` for 1.5.
    private static func exact(_ value: SQLValue) -> [String] {
        switch value {
        case .string(let text): ["STRING"] + text.unicodeScalars.map { String($0.value) }
        case .json(let text):
            ["JSON", (try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))).map { "\($0.sorted)" } ?? text]
        case .numeric(let text): ["NUMERIC", Decimal(string: text).map { "\($0)" } ?? text]
        default: ["\(value)"]
        }
    }
}

extension Timestamp {
    static let example = Timestamp(microseconds: 1_769_904_300_123_456)
}

extension JSONValue {
    /// A description that does not depend on the order of keys.
    fileprivate var sorted: String {
        switch self {
        case .object(let object):
            "{\(object.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.sorted)" }.joined(separator: ", "))}"
        case .array(let array): "[\(array.map(\.sorted).joined(separator: ", "))]"
        default: "\(self)"
        }
    }
}
