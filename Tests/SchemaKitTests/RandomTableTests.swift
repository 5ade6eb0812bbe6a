import BigQueryWarehouse
import Foundation
import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import SchemaKit
@testable import Warehouse

/// A table that the rules accept is the same table, whether a script or `tables.insert` creates it.
@Suite struct RandomTableTests {
    @Test func areTheSameByScriptAndByInsert() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "random-table-tests")
        let (inserted, scripted) = (DatasetID("inserted")!, DatasetID("scripted")!)
        for id in [inserted, scripted] {
            _ = try await bigQuery.warehouse.createDataset(Dataset(id: id, location: "US"))
        }
        var random = RandomTable(seed: 20_261_130)
        let tables = (0..<60).map { NamedTable("t\($0)", random.table()) }

        for table in tables {
            #expect(TableRules.problems(of: table.table, named: table.name) == [])
            #expect(TableDDL.canExpress(table.table))
            _ = try await bigQuery.warehouse.createTable(TableReference(inserted, table.name)!, table.table)
        }
        try await bigQuery.warehouse.createTables(tables, in: scripted, at: "US")

        for table in tables {
            let found = try await [inserted, scripted].asyncMap { dataset in
                var table = try await bigQuery.warehouse.table(TableReference(dataset, table.name)!)
                table?.etag = nil
                return table
            }
            #expect(found[0] == found[1], "\(TableDDL.statement(TableReference(scripted, table.name)!, table.table))")
            let diff = SchemaDiff(expected: table.table, actual: try #require(found[1]))
            #expect(diff.isConforming, "\(diff.conflicts) \(diff.additions)")
        }
    }
}

extension Array {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}

/// Random tables of everything that a statement can express.
struct RandomTable {
    private var random: SplitMix64

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    mutating func table() -> Table {
        let fields = self.fields(depth: 3)
        var table = Table(description: text(), fields: fields)
        if chance(2) { table.labels = ["team": "finops", "größe": ""] }
        let simple = fields.filter { $0.mode != .repeated }
        let clustering = simple.filter { ["STRING", "INT64", "DATE", "BOOL", "NUMERIC"].contains($0.canonicalType) }
        if chance(2) && !clustering.isEmpty {
            table.clustering = Table.Clustering(fields: clustering.shuffled(using: &random).prefix(4).map(\.name))
        }
        if let column = simple.first(where: { ["DATE", "TIMESTAMP", "DATETIME"].contains($0.canonicalType) }), chance(2)
        {
            let units = column.canonicalType == "DATE" ? ["DAY", "MONTH", "YEAR"] : ["HOUR", "DAY", "MONTH", "YEAR"]
            table.timePartitioning = Table.TimePartitioning(
                type: units.randomElement(using: &random)!, field: column.name)
            if chance(2) { table.requirePartitionFilter = true }
        }
        return table
    }

    private mutating func fields(depth: Int) -> [FieldSchema] {
        let names = ["a", "_b1", "order id", "Größe", "2nd", "it's", "a&b", "select", "x-y", "価格"]
        return names.shuffled(using: &random).prefix(Int.random(in: 1...6, using: &random)).map { field($0, depth) }
    }

    private mutating func field(_ name: String, _ depth: Int) -> FieldSchema {
        let modes: [FieldSchema.Mode] = [.nullable, .nullable, .required, .repeated]
        var field = FieldSchema(
            name, "RECORD", mode: modes.randomElement(using: &random)!, description: chance(3) ? text() : nil)
        if depth > 0 && chance(4) {
            field.fields = fields(depth: depth - 1)
            return field
        }
        field.type = [
            "STRING", "BYTES", "INTEGER", "FLOAT", "NUMERIC", "BIGNUMERIC", "BOOLEAN", "TIMESTAMP", "DATE", "DATETIME",
            "TIME", "JSON", "RANGE",
        ].randomElement(using: &random)!
        switch field.type {
        case "STRING", "BYTES": if chance(2) { field.attributes["maxLength"] = .string("20") }
        case "NUMERIC":
            if chance(2) { field.attributes = ["precision": .string("10"), "scale": .string("2")] }
        case "RANGE": field.attributes["rangeElementType"] = .object(["type": .string("DATE")])
        default: break
        }
        return field
    }

    private mutating func text() -> String { "says \"\(random.next())\"\n`it`" }

    private mutating func chance(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }
}
