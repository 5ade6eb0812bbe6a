import EmbeddedWarehouse
import Foundation
import GRDB
import TestSupport
import Warehouse
import WarehouseKit

/// An embedded warehouse in a folder of its own.
struct SQLiteStage: Stage {
    let folder: TemporaryFolder
    private var path: String { folder.file("warehouse.db") }

    init() throws {
        folder = try TemporaryFolder()
    }

    /// A copy of another stage, which must not be in use at the moment.
    init(copyOf other: SQLiteStage) throws {
        try self.init()
        for name in try other.folder.names() {
            try FileManager.default.copyItem(atPath: other.folder.file(name), toPath: folder.file(name))
        }
    }

    var environment: [String: String] { ["WAREHOUSE_URL": "sqlite:\(path)", "ENVIRONMENT": "test"] }

    func warehouse() throws -> any Warehouse { try EmbeddedWarehouse(path: path) }

    func state() async throws -> [String] {
        try await database().read { database in
            let sources = [
                "SELECT * FROM _datasets ORDER BY id",
                """
                SELECT dataset, name, resource, version FROM _tables JOIN _definitions ON id = definition
                ORDER BY dataset, name
                """,
                // Which organization's tables are SQLite tables depends on the order in which they were created.
                """
                SELECT type, name, tbl_name, sql FROM sqlite_master
                WHERE tbl_name LIKE 'organizations.%' OR tbl_name LIKE 'scheduler_jobs.%' OR tbl_name LIKE '\\_%' ESCAPE '\\'
                ORDER BY name
                """,
                "SELECT * FROM pragma_user_version",
            ]
            return try sources.flatMap { sql in try GRDB.Row.fetchAll(database, sql: sql).map(\.description) }
        }
    }

    func progress() async throws -> Int {
        try await database().read { try Int.fetchOne($0, sql: "SELECT sum(version) FROM _tables") ?? 0 }
    }

    func database() throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// The bytes of all files of the folder, by name.
    func files() throws -> [String: Data] {
        try Dictionary(
            uniqueKeysWithValues: folder.names().map { name in
                (name, FileManager.default.contents(atPath: folder.file(name)) ?? Data())
            })
    }
}
