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
            diff.conflicts.map(\.description) == [
                "partitioning is ranges of n from 0 to 10 by 1, the catalog says none"
            ])
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

    @Test func namesEachPartOfARange() {
        var (expected, actual) = (
            Table(fields: [FieldSchema("n", "INT64")]), Table(fields: [FieldSchema("n", "INT64")])
        )
        expected.rangePartitioning = Table.RangePartitioning(field: "n", start: 0, end: 100, interval: 10)
        for range in [("m", 0, 100, 10), ("n", 1, 100, 10), ("n", 0, 99, 10), ("n", 0, 100, 1)]
            as [(String, Int64, Int64, Int64)]
        {
            actual.rangePartitioning = Table.RangePartitioning(
                field: range.0, start: range.1, end: range.2, interval: range.3)

            #expect(SchemaDiff(expected: expected, actual: actual).conflicts.count == 1)
        }
        actual.rangePartitioning?.field = "N"
        actual.rangePartitioning?.interval = 10

        #expect(SchemaDiff(expected: expected, actual: actual).differences.isEmpty)
    }

    @Test(arguments: ["VIEW", "EXTERNAL", "MATERIALIZED_VIEW", "SNAPSHOT"])
    func isAnObjectThatIsNoTable(_ type: String) {
        var actual = Table(fields: [FieldSchema("own", "STRING")])
        actual.type = type

        let diff = SchemaDiff(expected: Table(fields: [FieldSchema("a", "STRING")]), actual: actual)

        #expect(diff.conflicts.map(\.description) == ["it is \(type), not a table"])
        #expect(diff.additions.isEmpty)
        #expect(diff.merged == actual.schema.fields)
    }
}

/// Differences that do not make statements fail are notices, and none is silent.
@Suite struct SchemaNoticeTests {
    private static let fields = [FieldSchema("day", "DATE"), FieldSchema("amount", "NUMERIC")]
    private static let table = Table(
        fields: fields, timePartitioning: Table.TimePartitioning(type: "DAY", field: "day"))

    private static func tags(_ names: String...) -> JSONValue {
        .object(["names": .array(names.map { .string($0) })])
    }

    private typealias Edit = @Sendable (inout Table) -> Void

    private static let notices: [(edit: Edit, text: String)] = [
        ({ $0.timePartitioning?.expirationMs = "3600000" }, "the expiration of partitions is 0.0416"),
        ({ $0.requirePartitionFilter = true }, "the partition filter is required, the catalog says not required"),
        ({ $0.attributes["expirationTime"] = .string("1") }, "the table's expiration is set, the catalog says none"),
        (
            { $0.schema.fields[0].attributes["defaultValueExpression"] = .string("CURRENT_DATE()") },
            "the default of day is CURRENT_DATE(), the catalog says none"
        ),
        (
            { $0.schema.fields[1].attributes["policyTags"] = tags("a", "b") },
            "the policy tag of amount is a, b, the catalog says none"
        ),
        (
            { $0.schema.fields[0].attributes["collation"] = .string("und:ci") },
            "the collation of day is und:ci, the catalog says none"
        ),
        (
            { $0.schema.fields[1].attributes["roundingMode"] = .string("ROUND_HALF_EVEN") },
            "the rounding mode of amount is ROUND_HALF_EVEN, the catalog says none"
        ),
    ]

    @Test(arguments: notices.indices)
    func isNamedWhicheverSideHasIt(_ index: Int) {
        let (edit, text) = Self.notices[index]
        var changed = Self.table
        edit(&changed)

        let diff = SchemaDiff(expected: Self.table, actual: changed)
        let reversed = SchemaDiff(expected: changed, actual: Self.table)

        #expect(diff.isConforming && reversed.isConforming)
        #expect(diff.differences.map(\.description).map { $0.hasPrefix(text) } == [true])
        #expect(reversed.differences.count == 1)
    }

    /// The catalog says what a table must have, not everything that it may have.
    @Test func countsWhereTheCatalogSaysSo() {
        var described = Self.table
        described.description = "Costs"
        described.schema.fields[0].description = "The day"
        described.labels = ["team": "data"]
        described.attributes["friendlyName"] = .string("Costs")
        described.attributes["encryptionConfiguration"] = .object(["kmsKeyName": .string("key")])

        let missing = SchemaDiff(expected: described, actual: Self.table)

        #expect(SchemaDiff(expected: Self.table, actual: described).differences.isEmpty)
        #expect(
            Set(missing.differences.map(\.description)) == [
                "the description differs from the catalog's", "the description of day differs from the catalog's",
                #"the label team is none, the catalog says "data""#,
                "the friendly name is none, the catalog says Costs",
                #"encryption is none, the catalog says {"kmsKeyName":"key"}"#,
            ])
    }

    @Test func aRequiredColumnThatCouldOnlyBeAddedAsNullableIsNamed() {
        let required = Table(fields: [FieldSchema("a", "STRING", mode: .required)])

        let diff = SchemaDiff(expected: required, actual: Table(fields: [FieldSchema("a", "STRING")]))

        #expect(diff.isConforming)
        #expect(diff.differences.map(\.description) == ["a is NULLABLE, the catalog says REQUIRED"])
    }

    @Test func modesWithinARecordAreCompared() {
        func table(_ mode: FieldSchema.Mode) -> Table {
            Table(fields: [FieldSchema("s", "RECORD", fields: [FieldSchema("a", "STRING", mode: mode)])])
        }

        #expect(SchemaDiff(expected: table(.nullable), actual: table(.required)).conflicts.map(\.path) == ["s.a"])
        #expect(SchemaDiff(expected: table(.required), actual: table(.nullable)).differences.map(\.path) == ["s.a"])
    }
}
