import Foundation
import GRDB
import TestSupport
import Testing

@testable import EmbeddedWarehouse
@testable import Warehouse

@Suite struct EmbeddedFileTests {
    @Test func keepsWhatWasWritten() async throws {
        let folder = try TemporaryFolder()
        let id = try #require(DatasetID("acme"))
        let reference = try #require(TableReference(id, "rows"))
        let table = Table(fields: [FieldSchema("n", "INT64")])

        do {
            let first = try EmbeddedWarehouse(path: folder.file("a.db"))
            #expect(try await first.createDataset(Dataset(id: id, location: "EU")))
            #expect(try await first.createTable(reference, table))
            try await insert(7, into: first)
        }

        let second = try EmbeddedWarehouse(path: folder.file("a.db"))
        #expect(try await second.createDataset(Dataset(id: id, location: "US")) == false)
        #expect(try await second.dataset(id)?.location == "EU")
        let rows = try await second.query(Statement("read", "SELECT n FROM \(reference.sql)")).rows
        #expect(try rows.map { try $0.int64("n") } == [7])
    }

    @Test func aDryRunMakesNoFile() async throws {
        let folder = try TemporaryFolder()
        try Data().write(to: URL(filePath: folder.file("empty.db")))
        let id = try #require(DatasetID("acme"))
        _ = try await EmbeddedWarehouse(path: folder.file("full.db")).createDataset(Dataset(id: id, location: "US"))
        let before = try folder.names()

        for name in ["missing.db", "empty.db"] {
            #expect(try await EmbeddedWarehouse(path: folder.file(name), isDryRun: true).dataset(id) == nil)
        }
        #expect(try await EmbeddedWarehouse(path: folder.file("full.db"), isDryRun: true).dataset(id) != nil)

        #expect(try folder.names() == before)
        #expect(FileManager.default.contents(atPath: folder.file("empty.db"))?.isEmpty == true)
    }

    @Test(arguments: ["", "file:x.db", "file::memory:", ":temporary:", "missing/a.db", "folder", "text.db"])
    func refusesWhatIsNoFileOfItsOwn(name: String) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.file("folder"), withIntermediateDirectories: false)
        let text = Data(String(repeating: "not a database\n", count: 100).utf8)
        try text.write(to: URL(fileURLWithPath: folder.file("text.db")))
        let isBare = name.isEmpty || name.contains(":")

        let error = #expect(throws: WarehouseError.self) {
            try EmbeddedWarehouse(path: isBare ? name : folder.file(name))
        }

        #expect(error?.endsRun == true)
        #expect(error?.isRetryable == false)
        #expect(try folder.names() == ["folder", "text.db"])
        #expect(FileManager.default.contents(atPath: folder.file("text.db")) == text)
        #expect(!FileManager.default.fileExists(atPath: name) || name.isEmpty)
    }

    @Test func leavesAnotherProgramsDatabaseAsItIs() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("other.db")
        try DatabaseQueue(path: path).write { try $0.execute(sql: "CREATE TABLE notes (text TEXT)") }
        let before = FileManager.default.contents(atPath: path)

        let error = #expect(throws: WarehouseError.self) { try EmbeddedWarehouse(path: path) }

        #expect(error?.code == .invalid)
        #expect(FileManager.default.contents(atPath: path) == before)
        #expect(try folder.names() == ["other.db"])
    }

    @Test func isOpenedAndWrittenByManyAtOnce() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file("shared.db")
        let id = try #require(DatasetID("acme"))
        let reference = try #require(TableReference(id, "rows"))
        let table = Table(fields: [FieldSchema("n", "INT64")])

        let created = try await withThrowingTaskGroup(of: [Bool].self) { group in
            for writer in 0..<8 {
                group.addTask {
                    let warehouse = try EmbeddedWarehouse(path: path)
                    let first = try await warehouse.createDataset(Dataset(id: id, location: "US"))
                    let second = try await warehouse.createTable(reference, table)
                    for n in 0..<20 { try await insert(writer * 20 + n, into: warehouse) }
                    return [first, second]
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }

        #expect(created.filter { $0[0] }.count == 1)
        #expect(created.filter { $0[1] }.count == 1)
        let reader = try EmbeddedWarehouse(path: path)
        let rows = try await reader.query(Statement("read", "SELECT n FROM \(reference.sql) ORDER BY n")).rows
        #expect(try rows.map { try $0.int64("n") } == Array(0..<160))
    }

    @Test func saysThatABusyFileIsWorthAnotherTry() {
        let error = WarehouseError(DatabaseError(resultCode: .SQLITE_BUSY), operation: "write")

        #expect(error.code == .rateLimited)
        #expect(error.retry == .same)
    }
}

private func insert(_ n: Int, into warehouse: EmbeddedWarehouse) async throws {
    let sql = "INSERT INTO `acme.rows` (n) VALUES (@n)"
    let result = try await warehouse.query(Statement("insert", sql, parameters: ["n": .int64(Int64(n))]))
    #expect(result.affectedRows == 1)
}
