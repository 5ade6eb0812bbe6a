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

    static let nestedValueClauses = [
        Clause("RECORD and REPEATED values are read as they were written") { contract in
            let reference = try await contract.newTable("nested_values", nestedFields)
            try await contract.run(
                "INSERT INTO \(reference.sql) (id, tags, project) VALUES ('a', @tags, @project)",
                ["tags": .strings(["x", "it's", ""]), "project": project])

            let row = try #require(
                try await contract.run("SELECT id, tags, project FROM \(reference.sql)").rows.first)

            #expect(row["tags"] == .strings(["x", "it's", ""]))
            #expect(row["project"] == project)
        },
        Clause("a REPEATED field that was not written is empty, a RECORD is NULL") { contract in
            let reference = try await contract.newTable("unwritten", nestedFields)
            try await contract.run("INSERT INTO \(reference.sql) (id) VALUES ('a')")

            let row = try #require(
                try await contract.run("SELECT id, tags, project FROM \(reference.sql)").rows.first)

            #expect(row["tags"] == .strings([]))
            #expect(row["project"]?.isNull == true)
        },
        Clause("a list is a parameter of IN") { contract in
            let reference = try await contract.newTable(
                "lists", [FieldSchema("id", "INT64"), FieldSchema("s", "STRING")])
            try await contract.run(
                "INSERT INTO \(reference.sql) (id, s) VALUES (1, 'a'), (2, 'b-c'), (3, 'd'), (4, NULL)")
            let ids = "SELECT id FROM \(reference.sql) WHERE"

            let some = try await contract.run(
                "\(ids) s IN UNNEST(@list) ORDER BY id", ["list": .strings(["d", "b-c", "nothing"])])
            let none = try await contract.run("\(ids) s IN UNNEST(@list)", ["list": .strings([])])
            let others = try await contract.run(
                "\(ids) id NOT IN UNNEST(@list) ORDER BY id", ["list": .array(of: .int64, [.int64(1), .int64(4)])])

            #expect(try some.rows.map { try $0.int64("id") } == [2, 3])
            #expect(none.rows.isEmpty)
            #expect(try others.rows.map { try $0.int64("id") } == [2, 3])
        },
        Clause("rows are a parameter") { contract in
            let fields = [
                FieldSchema("id", "INT64"), FieldSchema("name", "STRING"), FieldSchema("seen_at", "TIMESTAMP"),
                FieldSchema("is_new", "BOOL"), FieldSchema("rate", "FLOAT64"), FieldSchema("day", "DATE"),
            ]
            let reference = try await contract.newTable("row_parameter", fields)
            let rows: [[SQLValue.Field]] = [
                example(1, .string("it's \"one\"\n"), .timestamp(.example)),
                example(.max, .null(.string), .null(.timestamp)),
            ]

            let inserted = try await contract.run(
                """
                INSERT INTO \(reference.sql) (id, name, seen_at, is_new, rate, day)
                SELECT r.id, r.name, r.seen_at, r.is_new, r.rate, r.day FROM UNNEST(@records) AS r
                """,
                ["records": .array(of: SQLValue.structure(rows[0]).type, rows.map { .structure($0) })])

            #expect(inserted.affectedRows == 2)
            let found = try await contract.run(
                "SELECT id, name, seen_at, is_new, rate, day FROM \(reference.sql) ORDER BY id")
            #expect(found.rows.map(\.fields) == rows)
        },
        Clause("every row of a large result is read") { contract in
            let result = try await contract.run(
                "SELECT a * 50 + b AS n FROM UNNEST(@tens) AS a CROSS JOIN UNNEST(@ones) AS b ORDER BY n",
                [
                    "tens": .array(of: .int64, (0..<50).map { .int64($0) }),
                    "ones": .array(of: .int64, (0..<50).map { .int64($0) }),
                ])

            #expect(try result.rows.map { try $0.int64("n") } == Array(0..<2500))
        },
    ]

    private static let nestedFields = [
        FieldSchema("id", "STRING"), FieldSchema("tags", "STRING", mode: .repeated),
        FieldSchema(
            "project", "RECORD",
            fields: [
                FieldSchema("id", "STRING"), FieldSchema("number", "INT64"), FieldSchema("seen_at", "TIMESTAMP"),
                FieldSchema("rate", "FLOAT64"), FieldSchema("is_new", "BOOL"), FieldSchema("day", "DATE"),
                FieldSchema("labels", "STRING", mode: .repeated),
            ]),
    ]

    private static let project = SQLValue.structure([
        .init("id", .string("p-1")), .init("number", .int64(.max)), .init("seen_at", .timestamp(.example)),
        .init("rate", .float64(2)), .init("is_new", .bool(true)), .init("day", .date(Timestamp.example.date)),
        .init("labels", .strings(["a", "b"])),
    ])

    private static func example(_ id: Int64, _ name: SQLValue, _ at: SQLValue) -> [SQLValue.Field] {
        [
            .init("id", .int64(id)), .init("name", name), .init("seen_at", at), .init("is_new", .bool(true)),
            .init("rate", .float64(3)), .init("day", .date(Timestamp.example.date)),
        ]
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
            "{\(object.members.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.sorted)" }.joined(separator: ", "))}"
        case .array(let array): "[\(array.map(\.sorted).joined(separator: ", "))]"
        default: "\(self)"
        }
    }
}
