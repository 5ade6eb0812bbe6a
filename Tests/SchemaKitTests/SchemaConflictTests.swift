import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct SchemaConflictTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var expected: FieldSchema
        var actual: FieldSchema
        var text: String

        init(_ expected: FieldSchema, _ actual: FieldSchema, _ text: String) {
            self.expected = expected
            self.actual = actual
            self.text = text
        }

        var testDescription: String { text }
    }

    private static let text = FieldSchema("a", "STRING")
    private static let texts = FieldSchema("a", "STRING", mode: .repeated)
    private static let record = FieldSchema("a", "RECORD", fields: [FieldSchema("b", "DATE")])
    private static let records = FieldSchema("a", "RECORD", mode: .repeated, fields: [FieldSchema("b", "DATE")])

    private static func sized(_ type: String, _ attributes: [String: JSONValue]) -> FieldSchema {
        FieldSchema("a", type, attributes: attributes)
    }

    @Test(arguments: [
        Case(FieldSchema("a", "INT64"), text, "a is STRING, the catalog says INT64"),
        Case(FieldSchema("a", "INTEGER"), FieldSchema("A", "FLOAT"), "A is FLOAT64, the catalog says INT64"),
        Case(text, FieldSchema("a", "STRING", mode: .required), "a is REQUIRED, the catalog says NULLABLE"),
        Case(texts, text, "a is STRING, the catalog says ARRAY<STRING>"),
        Case(text, texts, "a is ARRAY<STRING>, the catalog says STRING"),
        Case(record, text, "a is STRING, the catalog says STRUCT"),
        Case(records, record, "a is STRUCT, the catalog says ARRAY<STRUCT>"),
        Case(
            record, FieldSchema("a", "RECORD", fields: [FieldSchema("b", "TIME")]),
            "a.b is TIME, the catalog says DATE"),
        Case(
            records, FieldSchema("a", "RECORD", mode: .repeated, fields: [FieldSchema("b", "DATE", mode: .repeated)]),
            "a.b is ARRAY<DATE>, the catalog says DATE"),
        Case(text, sized("STRING", ["maxLength": .string("20")]), "a is STRING(20), the catalog says STRING"),
        Case(
            sized("STRING", ["maxLength": .string("40")]), sized("STRING", ["maxLength": .string("20")]),
            "a is STRING(20), the catalog says STRING(40)"),
        Case(
            sized("NUMERIC", ["precision": .string("10"), "scale": .string("2")]),
            sized("NUMERIC", ["precision": .string("10")]), "a is NUMERIC(10), the catalog says NUMERIC(10, 2)"),
    ])
    func isReportedAndLeftAlone(_ item: Case) {
        let diff = SchemaDiff(expected: Table(fields: [item.expected]), actual: Table(fields: [item.actual]))

        #expect(diff.conflicts.map(\.description) == [item.text])
        #expect(diff.merged == [item.actual])
        #expect(diff.additions.isEmpty)
        #expect(!diff.isConforming)
    }

    @Test func doesNotKeepOtherColumnsFromBeingAdded() {
        let diff = SchemaDiff(
            expected: Table(fields: [FieldSchema("a", "INT64"), FieldSchema("b", "DATE")]),
            actual: Table(fields: [FieldSchema("a", "STRING")]))

        #expect(diff.additions == ["b"])
        #expect(diff.conflicts.count == 1)
        #expect(diff.merged == [FieldSchema("a", "STRING"), FieldSchema("b", "DATE")])
    }

    @Test(arguments: [
        (Table.TimePartitioning(type: "DAY", field: "d"), Table.TimePartitioning?.none, "partitioning is none"),
        (
            Table.TimePartitioning(type: "DAY", field: "d"), Table.TimePartitioning(type: "MONTH", field: "d"),
            "partitioning is MONTH of d"
        ),
        (
            Table.TimePartitioning(type: "DAY", field: "d"), Table.TimePartitioning(type: "DAY", field: nil),
            "partitioning is DAY of ingestion time"
        ),
    ])
    func namesPartitioning(_ expected: Table.TimePartitioning, _ actual: Table.TimePartitioning?, _ text: String) {
        let fields = [FieldSchema("d", "DATE")]

        let diff = SchemaDiff(
            expected: Table(fields: fields, timePartitioning: expected),
            actual: Table(fields: fields, timePartitioning: actual))

        #expect(diff.conflicts.map(\.description) == ["\(text), the catalog says DAY of d"])
    }

    @Test func namesARangeOfIntegers() throws {
        var actual = Table(fields: [FieldSchema("n", "INT64")])
        actual.rangePartitioning = Table.RangePartitioning(field: "n", start: 0, end: 10, interval: 1)

        let diff = SchemaDiff(expected: Table(fields: actual.schema.fields), actual: actual)

        #expect(
            diff.conflicts.map(\.description) == ["partitioning is by a range of integers, the catalog says none"])
    }

    @Test(arguments: [nil, ["b", "a"], ["a"]] as [[String]?])
    func namesClustering(_ actual: [String]?) {
        let fields = [FieldSchema("a", "STRING"), FieldSchema("b", "STRING")]

        let diff = SchemaDiff(
            expected: Table(fields: fields, clustering: Table.Clustering(fields: ["a", "b"])),
            actual: Table(fields: fields, clustering: actual.map { Table.Clustering(fields: $0) }))

        let has = actual?.joined(separator: ", ") ?? "none"
        #expect(diff.conflicts.map(\.description) == ["clustering is \(has), the catalog says a, b"])
    }

    @Test func comparesNoExpirationAndNoFilter() {
        let fields = [FieldSchema("d", "DATE")]
        var actual = Table(
            fields: fields, timePartitioning: Table.TimePartitioning(type: "DAY", field: "D", expirationMs: "1"))
        actual.requirePartitionFilter = true

        let diff = SchemaDiff(
            expected: Table(
                fields: fields, timePartitioning: Table.TimePartitioning(type: "DAY", field: "d"),
                clustering: Table.Clustering(fields: [])), actual: actual)

        #expect(diff.isConforming)
    }

    @Test(arguments: ["VIEW", "EXTERNAL", "MATERIALIZED_VIEW", "SNAPSHOT"])
    func isAnObjectThatIsNoTable(_ type: String) {
        var actual = Table(fields: [FieldSchema("own", "STRING")])
        actual.type = type

        let diff = SchemaDiff(expected: Table(fields: [FieldSchema("a", "STRING")]), actual: actual)

        #expect(diff.conflicts.map(\.description) == ["table is \(type), the catalog says TABLE"])
        #expect(diff.additions.isEmpty)
        #expect(diff.merged == actual.schema.fields)
    }
}
