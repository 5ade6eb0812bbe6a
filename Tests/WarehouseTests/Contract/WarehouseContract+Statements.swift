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
}
