import Testing

@testable import EmbeddedWarehouse
@testable import Warehouse

@Suite struct SQLiteScriptTests {
    @Test(arguments: [
        ("SELECT 'UNNEST(@l); IF(' AS a", "SELECT 'UNNEST(@l); IF(' AS a"),
        ("SELECT `IF(a;b` FROM t", "SELECT `IF(a;b` FROM t"),
        ("SELECT 1 -- UNNEST(@l); x\n, 2 # ; y\n, /* ; ' */ 3", "SELECT 1 , 2 , 3"),
        ("SELECT \"it's\" AS a", "SELECT 'it''s' AS a"),
        ("SELECT a FROM t WHERE a IN UNNEST(@l)", "SELECT a FROM t WHERE a IN (SELECT value FROM json_each(@l))"),
        ("SELECT x FROM unnest(@l) AS x", "SELECT x FROM (SELECT value AS x FROM json_each(@l) LIMIT -1) AS x"),
        (
            "SELECT r.a FROM UNNEST(@r) AS r",
            "SELECT r.a FROM (SELECT json_extract(value, '$.\"a\"') AS `a` FROM json_each(@r) LIMIT -1) AS r"
        ),
        (
            "SELECT s.a FROM UNNEST(@s) AS s",
            "SELECT s.a FROM (SELECT CAST(json_extract(value, '$.\"a\"') AS TEXT) AS `a` FROM json_each(@s) LIMIT -1) AS s"
        ),
        ("SELECT IF(GREATEST(a, 1) > least(b, 2), 1, 0)", "SELECT iif(max(a, 1) > min(b, 2), 1, 0)"),
        ("SELECT greatest FROM t", "SELECT greatest FROM t"),
        ("SELECT CAST(IF(a, b, c) AS STRING) AS string", "SELECT CAST(iif(a, b, c) AS TEXT) AS string"),
        ("SELECT CAST(@l AS TIMESTAMP), CAST(NULL AS DATE)", "SELECT CAST(@l AS TEXT), CAST(NULL AS TEXT)"),
        ("SELECT CAST((SELECT a AS string FROM t) AS BOOL)", "SELECT CAST((SELECT a AS string FROM t) AS INTEGER)"),
        ("SELECT 1.5e3, 7 / 2", "SELECT 1.5e3, 7 * 1.0 / 2"),
        ("SELECT a FROM `t` FOR SYSTEM_TIME AS OF @l WHERE b", "SELECT a FROM `t` WHERE b"),
        ("SELECT a FROM (SELECT b FROM `t` for system_time as of @l)", "SELECT a FROM (SELECT b FROM `t`)"),
    ])
    func writesForSQLite(text: String, expected: String) throws {
        #expect(try script(text).parts.map(\.sql) == [expected])
    }

    @Test func splitsStatementsAndLeavesTransactionControlOut() throws {
        let script = try script(
            """
            BEGIN TRANSACTION; INSERT INTO t (a) VALUES (';'); -- ; one
            SELECT 1; ; COMMIT TRANSACTION;
            """)

        #expect(script.parts.map(\.sql) == ["INSERT INTO t (a) VALUES (';')", "SELECT 1"])
        #expect(script.parts.map(\.isChange) == [true, false])
        #expect(!script.isReadOnly)
        #expect(try self.script("WITH a AS (SELECT 1 AS n) SELECT n FROM a").isReadOnly)
    }

    @Test(arguments: [
        ("SELECT 'a\\n'", WarehouseError.Code.invalid), ("SELECT 'a", .invalid), ("SELECT `a", .invalid),
        ("SELECT 1 /* x", .invalid), ("", .invalid), ("-- nothing", .invalid), ("BEGIN; COMMIT;", .invalid),
        ("SELECT a FROM t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", .notImplemented),
        ("SELECT a FROM `region-us`.INFORMATION_SCHEMA.TABLES", .notImplemented),
        ("SELEC 1", .invalid), ("SELECT 1; DROP TABLE t", .notImplemented),
        ("ROLLBACK TRANSACTION", .notImplemented),
        ("MERGE t USING s ON a = b WHEN MATCHED THEN DELETE", .notImplemented),
        ("PRAGMA user_version = 9", .invalid),
        ("ATTACH 'x' AS y", .invalid), ("SELECT a FROM UNNEST(t.tags) AS a", .notImplemented),
        ("SELECT a IN UNNEST(@n)", .invalid), ("SELECT a IN UNNEST(@missing)", .invalid),
        ("SELECT CAST(at AS DATE) FROM t", .notImplemented), ("SELECT a IN UNNEST(@b)", .notImplemented),
    ])
    func refusesWhatWouldMeanAnotherThing(text: String, code: WarehouseError.Code) {
        let error = #expect(throws: WarehouseError.self) { try script(text) }

        #expect(error?.code == code)
    }

    private func script(_ text: String) throws -> SQLiteScript {
        try SQLiteScript(
            Statement(
                "test", text,
                parameters: [
                    "l": .strings(["x"]), "n": .int64(1), "b": .array(of: .bytes, []),
                    "r": .array(of: .structure([.init("a", .int64)]), []),
                    "s": .array(of: .structure([.init("a", .date)]), []),
                ]))
    }
}
