import FoundationEssentials
import GRDB
import Glibc
import HTTPTransport
import Warehouse

/// Opens the SQLite file of an embedded warehouse, or creates it.
///
/// Other processes may use the file at the same time: it is in WAL mode, and a process waits up to ten seconds for the lock. A
/// database that is not a warehouse is refused and stays unchanged.
enum EmbeddedDatabase {
    private static let operation = "open the embedded warehouse"
    private static let busyTimeout: Duration = .seconds(10)
    /// The version of the layout of `_datasets`, `_definitions` and `_tables`, stored in SQLite's `user_version`.
    private static let layout = 2

    static func open(_ path: String, isDryRun: Bool = false) throws -> DatabaseQueue {
        try validate(path)
        let path = isDryRun && !hasContent(path) ? ":memory:" : path
        let deadline = ContinuousClock.now + busyTimeout
        while true {
            do {
                return try attempt(path)
            } catch let error as DatabaseError {
                // The change to WAL mode does not wait for the lock: https://www.sqlite.org/wal.html#sometimes_queries_return_sqlite_busy_in_wal_mode
                guard error.resultCode == .SQLITE_BUSY, ContinuousClock.now < deadline else {
                    throw WarehouseError(error, operation: "\(operation) \(path)")
                }
                usleep(20_000)
            }
        }
    }

    private static func attempt(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(Double(busyTimeout.components.seconds))
        configuration.prepareDatabase { database in
            SQLFunctions.install(in: database)
            try database.execute(sql: "PRAGMA case_sensitive_like = ON; PRAGMA cache_size = -8000")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.inDatabase { database in
            let isNew = try checkedIsNew(database)
            try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
            // A process that only reads must not change the file.
            if isNew {
                try database.inTransaction {
                    try createMetadata(in: database)
                    return .commit
                }
            }
        }
        return queue
    }

    /// Refuses paths that SQLite interprets differently: an empty path is a temporary database, and `file:` begins a URI.
    private static func validate(_ path: String) throws {
        if path == ":memory:" { return }
        var isFolder = false
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let folderPath = path.hasPrefix("/") && folder.isEmpty ? "/" : folder.isEmpty ? "." : folder
        if path.isEmpty || path.hasPrefix("file:") || path.hasPrefix(":") || path.utf8.contains(0) {
            throw problem(.invalid, "\"\(path)\" is not the path of a file")
        }
        guard FileManager.default.fileExists(atPath: folderPath, isDirectory: &isFolder), isFolder else {
            throw problem(.notFound, "there is no folder \(folderPath)")
        }
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder {
            throw problem(.invalid, "\(path) is a folder")
        }
    }

    private static func hasContent(_ path: String) -> Bool {
        (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0 > 0
    }

    /// Whether the database is empty. Throws if it is not a warehouse.
    private static func checkedIsNew(_ database: Database) throws -> Bool {
        // A single statement sees either all or none of the tables that another process creates at the same time.
        let state = try GRDB.Row.fetchOne(
            database, sql: "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version")
        let version: Int = state?[0] ?? 0
        let isEmpty = state?[1] == 0
        guard version == layout || (version == 0 && isEmpty) else {
            throw problem(
                .invalid,
                version == 1
                    ? "an earlier version of these programs wrote the file; choose another file, or remove it and run bootstrap again"
                    : "the file is a SQLite database, but not a warehouse of this version")
        }
        return version != layout
    }

    private static func createMetadata(in database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS _datasets (
                    id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, location TEXT NOT NULL, description TEXT,
                    labels TEXT NOT NULL);
                CREATE TABLE IF NOT EXISTS _definitions (id INTEGER PRIMARY KEY, resource TEXT NOT NULL UNIQUE);
                CREATE TABLE IF NOT EXISTS _tables (
                    dataset TEXT NOT NULL COLLATE NOCASE REFERENCES _datasets (id), name TEXT NOT NULL COLLATE NOCASE,
                    definition INTEGER NOT NULL REFERENCES _definitions (id), version INTEGER NOT NULL,
                    PRIMARY KEY (dataset, name)) WITHOUT ROWID;
                PRAGMA user_version = \(layout)
                """)
    }

    private static func problem(_ code: WarehouseError.Code, _ message: String) -> WarehouseError {
        WarehouseError(code, operation: operation, message: message, endsRun: true)
    }
}

extension WarehouseError {
    /// Translates an SQLite error into BigQuery's terms. The result does not contain the statement or its arguments.
    init(_ error: DatabaseError, operation: String) {
        let message = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self.init(.rateLimited, operation: operation, message: "the database file is busy", retry: .same)
        case .SQLITE_CONSTRAINT:
            self.init(.invalid, operation: operation, message: Self.constraintText(error, message))
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
            self.init(.accessDenied, operation: operation, message: message, endsRun: true)
        case .SQLITE_CANTOPEN:
            self.init(.notFound, operation: operation, message: message, endsRun: true)
        case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_NOMEM:
            // Such an error may occur while the transaction is being committed.
            self.init(.backendError, operation: operation, message: message, certainty: .unknown, endsRun: true)
        case .SQLITE_NOTADB, .SQLITE_CORRUPT:
            self.init(.invalid, operation: operation, message: message, endsRun: true)
        default:
            if let table = error.missingTable {
                self.init(.notFound, operation: operation, message: "Not found: Table \(table)")
            } else {
                self.init(.invalid, operation: operation, message: message)
            }
        }
    }

    // Only the text of SQLite's error names the column of a failed constraint: https://www.sqlite.org/rescode.html
    private static func constraintText(_ error: DatabaseError, _ message: String) -> String {
        if let column = message.suffix(after: "NOT NULL constraint failed: ") {
            return "Required field \(column.split(separator: ".").last.map(String.init) ?? column) cannot be null"
        }
        return message.suffix(after: "CHECK constraint failed: ").map {
            "A value is not of its column's type: \($0)"
        } ?? message
    }
}

extension DatabaseError {
    /// The table that a statement names and that SQLite does not have. Only the text of SQLite's error names it.
    var missingTable: String? { resultCode == .SQLITE_ERROR ? message?.suffix(after: "no such table: ") : nil }
}

extension String {
    fileprivate func suffix(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
