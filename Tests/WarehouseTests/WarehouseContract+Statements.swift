import BigQueryWarehouse
import EmbeddedWarehouse
import JobRuntime
import Testing
import Warehouse

extension WarehouseContract {
    static let statementClauses = [
        Clause("a change counts the rows it touched") { contract in
            let table = try await contract.newTable("counts", keyed).sql

            #expect(
                try await contract.run("INSERT INTO \(table) (id, n) VALUES ('a', 1), ('b', 2), ('c', 2)").affectedRows
                    == 3)
            #expect(try await contract.run("UPDATE \(table) SET n = n + 1 WHERE n = 2").affectedRows == 2)
            #expect(try await contract.run("UPDATE \(table) SET n = 0 WHERE id = 'z'").affectedRows == 0)
            #expect(try await contract.run("SELECT id FROM \(table) WHERE n = 3").affectedRows == nil)
            #expect(try await contract.run("DELETE FROM \(table) WHERE id = 'z'").affectedRows == 0)
            #expect(try await contract.run("DELETE FROM \(table) WHERE true").affectedRows == 3)
        },
        Clause("a query that is read by pages hands over each row once, in order") { contract in
            let table = try await contract.newTable("pages", keyed).sql
            try await contract.run(
                "INSERT INTO \(table) (id, n) VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5)")
            var statement = Statement("read by pages", "SELECT n FROM \(table) ORDER BY n")
            statement.rowsPerPage = 2
            var numbers: [Int64] = []

            let result = try await contract.warehouse.query(statement) { rows in
                numbers += try rows.map { try $0.int64("n") }
            }

            #expect(numbers == [1, 2, 3, 4, 5])
            #expect(result.rows.isEmpty)
        },
        Clause("a row is inserted only where there is none") { contract in
            let table = try await contract.newTable("once", keyed).sql
            let sql = """
                INSERT INTO \(table) (id, n) SELECT @id, @n FROM (SELECT 1 AS one)
                WHERE NOT EXISTS (SELECT id FROM \(table) WHERE id = @id)
                """

            #expect(try await contract.run(sql, ["id": .string("a"), "n": .int64(1)]).affectedRows == 1)
            #expect(try await contract.run(sql, ["id": .string("a"), "n": .int64(2)]).affectedRows == 0)

            let rows = try await contract.run("SELECT n FROM \(table)").rows
            #expect(try rows.map { try $0.int64("n") } == [1])
        },
        Clause("a REQUIRED column never holds NULL") { contract in
            let table = try await contract.newTable("required_null", keyed).sql
            try await contract.run("INSERT INTO \(table) (id, n) VALUES ('a', 1)")

            await contract.expect(.invalid) { try await contract.run("INSERT INTO \(table) (n) VALUES (2)") }
            await contract.expect(.invalid) {
                try await contract.run("INSERT INTO \(table) (id, n) VALUES ('b', 2), (@id, 3)", ["id": .null(.string)])
            }
            await contract.expect(.invalid) { try await contract.run("UPDATE \(table) SET id = NULL WHERE true") }

            let rows = try await contract.run("SELECT id FROM \(table)").rows
            #expect(try rows.map { try $0.string("id") } == ["a"])
        },
        Clause("a value of another type is refused") { contract in
            let table = try await contract.newTable("mistyped", keyed).sql

            await contract.expect(.invalid) {
                try await contract.run("INSERT INTO \(table) (id, n) VALUES ('a', @n)", ["n": .string("many")])
            }

            #expect(try await contract.run("SELECT id FROM \(table)").rows.isEmpty)
        },
        Clause("a statement that is wrong is invalid") { contract in
            let table = try await contract.newTable("wrong", keyed).sql

            await contract.expect(.invalid) { try await contract.run("SELEC id FROM \(table)") }
            await contract.expect(.invalid) { try await contract.run("SELECT id FROM \(table) WHERE") }
            await contract.expect(.invalid) { try await contract.run("SELECT nothing FROM \(table)") }
            await contract.expect(.invalid) { try await contract.run("SELECT id FROM \(table) WHERE id = @id") }
        },
        Clause("a statement over a missing table or dataset is not found") { contract in
            let id = try await contract.newDataset("absent")
            let missing = try contract.datasetID("absent_dataset")

            await contract.expect(.notFound) { try await contract.run("SELECT 1 AS n FROM `\(id).rows`") }
            await contract.expect(.notFound) { try await contract.run("DELETE FROM `\(id).rows` WHERE true") }
            await contract.expect(.notFound) { try await contract.run("SELECT 1 AS n FROM `\(missing).rows`") }
        },
        Clause("result columns have the names of the statement") { contract in
            let row = try #require(try await contract.run("SELECT 1 AS First, 'x' AS second").rows.first)

            #expect(row.fields.map(\.name) == ["First", "second"])
            #expect(try row.int64("FIRST") == 1)
        },
        Clause("functions mean the same") { contract in
            let row = try #require(
                try await contract.run(
                    """
                    SELECT IF(@n > 1, 'many', 'one') AS word, GREATEST(@n, 3) AS greatest, LEAST(@n, 3) AS least,
                        GREATEST(@n, CAST(NULL AS INT64)) AS unknown, CAST(@n AS STRING) AS text,
                        CAST('12' AS INT64) AS number, COALESCE(@nothing, 'none') AS fallback,
                        LENGTH(GENERATE_UUID()) AS uuid_length, GENERATE_UUID() = GENERATE_UUID() AS same_uuid
                    """, ["n": .int64(5), "nothing": .null(.string)]
                ).rows.first)
            let calculated = try #require(
                try await contract.run(
                    """
                    SELECT @n / 2 AS half, 1 - @n / 2 AS rest, 'Abc' LIKE 'A%' AS alike, 'Abc' LIKE 'a%' AS alike_without_case,
                        DATE(@instant) AS day, UNIX_MICROS(@instant) AS micros, DIV(-@n, 2) AS quotient,
                        UNIX_MICROS(@never) AS unknown
                    """,
                    ["n": .int64(5), "instant": .timestamp(Timestamp(microseconds: -1)), "never": .null(.timestamp)]
                ).rows.first)
            let counted = try await contract.run(
                "SELECT COUNTIF(x > 1) AS many, COUNTIF(x > 9) AS none, COUNT(*) AS everything FROM UNNEST(@list) AS x",
                ["list": .array(of: .int64, [.int64(1), .int64(2), .int64(3)])])

            #expect(try row.string("word") == "many")
            #expect(try row.int64("greatest") == 5)
            #expect(try row.int64("least") == 3)
            #expect(try row.optionalInt64("unknown") == nil)
            #expect(try row.string("text") == "5")
            #expect(try row.int64("number") == 12)
            #expect(try row.string("fallback") == "none")
            #expect(try row.int64("uuid_length") == 36)
            #expect(try row.bool("same_uuid") == false)
            #expect(calculated["half"] == .float64(2.5))
            #expect(calculated["rest"] == .float64(-1.5))
            #expect(try calculated.bool("alike"))
            #expect(try calculated.bool("alike_without_case") == false)
            #expect(try calculated.date("day") == CivilDate("1969-12-31"))
            #expect(try calculated.int64("micros") == -1)
            #expect(try calculated.int64("quotient") == -2)
            #expect(try calculated.optionalInt64("unknown") == nil)
            #expect(try counted.rows.first?.int64("many") == 2)
            #expect(try counted.rows.first?.int64("none") == 0)
            #expect(try counted.rows.first?.int64("everything") == 3)
        },
    ]

    static let keyed = [FieldSchema("id", "STRING", mode: .required), FieldSchema("n", "INT64")]

    static let scriptClauses = [
        Clause("the statements of a transaction take effect together") { contract in
            let table = try await contract.newTable("script", keyed).sql
            try await contract.run(
                """
                BEGIN TRANSACTION;
                -- a comment; with a semicolon
                INSERT INTO \(table) (id, n) VALUES ('a', 1);
                INSERT INTO \(table) (id, n) VALUES ('b;', 2);
                UPDATE \(table) SET n = n + 1 WHERE true;
                COMMIT TRANSACTION;
                """)

            let rows = try await contract.run("SELECT id, n FROM \(table) ORDER BY id").rows

            #expect(try rows.map { try $0.string("id") } == ["a", "b;"])
            #expect(try rows.map { try $0.int64("n") } == [2, 3])
        },
        Clause("a transaction that fails leaves nothing behind") { contract in
            let table = try await contract.newTable("failed_script", keyed).sql

            await contract.expect(.invalid) {
                try await contract.run(
                    """
                    BEGIN TRANSACTION;
                    INSERT INTO \(table) (id, n) VALUES ('a', 1);
                    INSERT INTO \(table) (id, n) VALUES (NULL, 2);
                    COMMIT TRANSACTION;
                    """)
            }

            #expect(try await contract.run("SELECT id FROM \(table)").rows.isEmpty)
        },
    ]

    static let mergeClauses = [
        Clause("a merge changes what differs, inserts what is missing and leaves the rest") { contract in
            let reference = try await contract.counters(
                "merge", [("a", 1, 1), ("b", 1, 5), ("c", 1, nil), ("a", 2, 9), ("d", 1, 1)])
            let merge = contract.merge(
                into: reference, [("a", 1, 1), ("b", 1, 6), ("c", 1, nil), ("e", 1, 7)], day: 1)

            let preview = try #require(try await contract.warehouse.query(merge.preview).rows.first)
            let result = try await contract.warehouse.merge(merge)

            #expect(try preview.int64("missing") == 1)
            #expect(try preview.int64("differing") == 1)
            #expect(result.inserted == 1)
            #expect(result.updated == 1)
            #expect(
                try await contract.rows(reference) == [
                    "a 1 1 old", "a 2 9 old", "b 1 6 new", "c 1 - old", "d 1 1 old", "e 1 7 new",
                ])
        },
        Clause("a second merge changes nothing") { contract in
            let reference = try await contract.counters("merge_again", [("a", 1, nil)])
            let merge = contract.merge(into: reference, [("a", 1, 2), ("b", 1, nil)], day: 1)
            _ = try await contract.warehouse.merge(merge)
            let rows = try await contract.rows(reference)

            let result = try await contract.warehouse.merge(merge)

            #expect(result.inserted == 0)
            #expect(result.updated == 0)
            #expect(rows == ["a 1 2 new", "b 1 - new"])
            #expect(try await contract.rows(reference) == rows)
        },
        Clause("a merge changes all rows that match") { contract in
            let reference = try await contract.counters("merge_duplicates", [("a", 1, 1), ("a", 1, 2), ("a", 1, 3)])

            let result = try await contract.warehouse.merge(contract.merge(into: reference, [("a", 1, 3)], day: 1))

            #expect(result.inserted == 0)
            #expect(result.updated == 2)
            #expect(try await contract.rows(reference) == ["a 1 3 old", "a 1 3 new", "a 1 3 new"])
        },
        Clause("a merge that finds two values for a row fails and changes nothing") { contract in
            let reference = try await contract.counters("merge_ambiguous", [("a", 1, 1), ("b", 1, 1)])

            await contract.expect(.invalid) {
                _ = try await contract.warehouse.merge(
                    contract.merge(into: reference, [("a", 1, 2), ("b", 1, 2), ("b", 1, 3)], day: 1))
            }

            #expect(try await contract.rows(reference) == ["a 1 1 old", "b 1 1 old"])
        },
        Clause("a merge without columns to insert inserts nothing") { contract in
            let reference = try await contract.counters("merge_only_changes", [("a", 1, 1)])
            var merge = contract.merge(into: reference, [("a", 1, 2), ("b", 1, 2)], day: 1)
            merge.inserted = []

            let result = try await contract.warehouse.merge(merge)

            #expect(result.inserted == 0)
            #expect(result.updated == 1)
            #expect(try await contract.rows(reference) == ["a 1 2 new"])
        },
        Clause("a merge that only inserts changes nothing") { contract in
            let reference = try await contract.counters("merge_only_inserts", [("a", 1, 1)])
            let merge = contract.merge(into: reference, [("a", 1, 2), ("b", 1, 2)], day: 1).insertingOnly

            let result = try await contract.warehouse.merge(merge)

            #expect(result.inserted == 1)
            #expect(result.updated == 0)
            #expect(try await contract.rows(reference) == ["a 1 1 old", "b 1 2 new"])
        },
        Clause("a merge raises and never lowers") { contract in
            let reference = try await contract.counters(
                "merge_raises", [("a", 1, 1), ("b", 1, 5), ("c", 1, nil), ("d", 1, nil), ("e", 1, 3)])
            var merge = contract.merge(
                into: reference, [("a", 1, 2), ("b", 1, 4), ("c", 1, 1), ("d", 1, 0), ("e", 1, 3)], day: 1)
            (merge.compared, merge.raised) = ([], ["n"])

            let preview = try #require(try await contract.warehouse.query(merge.preview).rows.first)
            let result = try await contract.warehouse.merge(merge)

            #expect(try preview.int64("differing") == 2)
            #expect(result.updated == 2)
            #expect(
                try await contract.rows(reference) == ["a 1 2 new", "b 1 5 old", "c 1 1 new", "d 1 - old", "e 1 3 old"])
        },
        Clause("a merge that changes a row for another reason does not lower it") { contract in
            let reference = try await contract.counters("merge_keeps", [("a", 1, 5)])
            var merge = contract.merge(into: reference, [("a", 1, 2)], day: 1)
            (merge.compared, merge.raised, merge.stamped) = (["mark"], ["n"], [])

            _ = try await contract.warehouse.merge(merge)

            #expect(try await contract.rows(reference) == ["a 1 5 new"])
        },
        Clause("a merge reads its table as it was before") { contract in
            let reference = try await contract.counters("merge_itself", [("a", 1, 1), ("b", 1, 2)])
            var merge = contract.merge(into: reference, [], day: 1)
            merge.source = """
                SELECT r.id AS id, r.day AS day, (SELECT SUM(x.n) FROM \(reference.sql) AS x) AS n, 'new' AS mark
                FROM \(reference.sql) AS r
                """

            let result = try await contract.warehouse.merge(merge)

            #expect(result.updated == 2)
            #expect(try await contract.rows(reference) == ["a 1 3 new", "b 1 3 new"])
        },
        Clause("a merge that leaves a REQUIRED column NULL changes nothing") { contract in
            let reference = try await contract.counters("merge_null", [("a", 1, 1)])
            var merge = contract.merge(into: reference, [("a", 1, 2), ("b", 1, 2)], day: 1)
            merge.inserted = ["day", "n", "mark"]

            await contract.expect(.invalid) { _ = try await contract.warehouse.merge(merge) }

            #expect(try await contract.rows(reference) == ["a 1 1 old"])
        },
        Clause("a merge into a missing table is not found") { contract in
            let reference = try await contract.reference(contract.newDataset("merge_nowhere"), "rows")

            await contract.expect(.notFound) {
                _ = try await contract.warehouse.merge(contract.merge(into: reference, [("a", 1, 2)], day: 1))
            }
        },
    ]

    private typealias Counter = (id: String, day: Int, n: Int?)

    private static let start = CivilDate("2026-01-30")!

    private func values(_ counters: [Counter], _ mark: String) -> SQLValue {
        let rows = counters.map { counter in
            SQLValue.structure([
                SQLValue.Field("id", .string(counter.id)),
                SQLValue.Field("day", .date(Self.start.adding(days: counter.day))),
                SQLValue.Field("n", counter.n.map { .int64(Int64($0)) } ?? .null(.int64)),
                SQLValue.Field("mark", .string(mark)),
            ])
        }
        let type = SQLType.structure([
            SQLType.Field("id", .string), SQLType.Field("day", .date), SQLType.Field("n", .int64),
            SQLType.Field("mark", .string),
        ])
        return .array(of: type, rows)
    }

    private func counters(_ name: String, _ counters: [Counter]) async throws -> TableReference {
        let reference = try await newTable(
            name,
            [
                FieldSchema("id", "STRING", mode: .required), FieldSchema("day", "DATE", mode: .required),
                FieldSchema("n", "INT64"), FieldSchema("mark", "STRING"),
            ])
        try await run(
            """
            INSERT INTO \(reference.sql) (id, day, n, mark)
            SELECT r.id, r.day, r.n, r.mark FROM UNNEST(@rows) AS r
            """, ["rows": values(counters, "old")])
        return reference
    }

    private func merge(into reference: TableReference, _ counters: [Counter], day: Int) -> MergeStatement {
        MergeStatement(
            "merge counters", into: reference,
            from: "SELECT r.id AS id, r.day AS day, r.n AS n, r.mark AS mark FROM UNNEST(@rows) AS r",
            keys: ["id", "day"], scope: "t.day = @day", compared: ["n"], stamped: ["mark"],
            inserted: ["id", "day", "n", "mark"],
            parameters: [
                SQLValue.Field("rows", values(counters, "new")),
                SQLValue.Field("day", .date(Self.start.adding(days: day))),
            ])
    }

    private func rows(_ reference: TableReference) async throws -> [String] {
        try await run("SELECT id, day, n, mark FROM \(reference.sql) ORDER BY id, day, n, mark DESC").rows.map { row in
            let day = try row.date("day").daysSinceEpoch - Self.start.daysSinceEpoch
            let n = try row.optionalInt64("n").map(String.init) ?? "-"
            return "\(try row.string("id")) \(day) \(n) \(try row.string("mark"))"
        }
    }
}
