import BigQueryWarehouse
import EmbeddedWarehouse
import JobRuntime
import Testing
import Warehouse

extension WarehouseContract {
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
