import BigQueryWarehouse
import EmbeddedWarehouse
import JobRuntime
import Testing
import Warehouse

extension WarehouseContract {
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
