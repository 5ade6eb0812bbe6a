import BigQueryWarehouse
import EmbeddedWarehouse
import Testing
import Warehouse

extension WarehouseContract {
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
}
