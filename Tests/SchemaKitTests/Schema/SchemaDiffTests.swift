import JobRuntime
import SchemaKit
import Testing
import Warehouse
import WarehouseKit

@Suite struct SchemaDiffTests {
    private func diff(_ expected: [FieldSchema], _ actual: [FieldSchema]) -> SchemaDiff {
        SchemaDiff(expected: Table(fields: expected), actual: Table(fields: actual))
    }

    @Test func appendsAMissingColumn() {
        let diff = diff(
            [FieldSchema("a", "STRING"), FieldSchema("b", "INT64", description: "new")], [FieldSchema("a", "STRING")])

        #expect(diff.additions == ["b"])
        #expect(diff.merged == [FieldSchema("a", "STRING"), FieldSchema("b", "INT64", description: "new")])
        #expect(diff.conflicts.isEmpty)
        #expect(!diff.isConforming)
    }

    @Test(arguments: [FieldSchema.Mode.nullable, .required, .repeated])
    func appendsAMissingFieldOfARecord(_ mode: FieldSchema.Mode) {
        let inner = [FieldSchema("street", "STRING")]
        let more = inner + [FieldSchema("city", "STRING", mode: .required)]

        let diff = diff(
            [FieldSchema("address", "RECORD", mode: mode, fields: more)],
            [FieldSchema("address", "STRUCT", mode: mode, fields: inner)])

        #expect(diff.additions == ["address.city"])
        #expect(diff.relaxed == ["address.city"])
        #expect(
            diff.merged == [
                FieldSchema("address", "STRUCT", mode: mode, fields: inner + [FieldSchema("city", "STRING")])
            ])
    }

    @Test func findsFieldsTwoRecordsDeep() {
        func table(_ leaves: [FieldSchema]) -> [FieldSchema] {
            [
                FieldSchema(
                    "a", "RECORD", mode: .repeated, fields: [FieldSchema("b", "RECORD", fields: leaves)])
            ]
        }

        let diff = diff(
            table([FieldSchema("c", "STRING"), FieldSchema("d", "DATE")]), table([FieldSchema("c", "STRING")]))

        #expect(diff.additions == ["a.b.d"])
        #expect(diff.merged == table([FieldSchema("c", "STRING"), FieldSchema("d", "DATE")]))
    }

    @Test(arguments: [
        ("INT64", "INTEGER"), ("INTEGER", "BIGINT"), ("INT", "int64"), ("FLOAT", "FLOAT64"), ("BOOLEAN", "BOOL"),
        ("DECIMAL", "NUMERIC"), ("BIGDECIMAL", "BIGNUMERIC"), ("string", "STRING"),
    ])
    func takesAliasesForTheSameType(_ expected: String, _ actual: String) {
        #expect(diff([FieldSchema("a", expected)], [FieldSchema("a", actual)]).isConforming)
    }

    @Test func matchesNamesWithoutCase() {
        let actual = [FieldSchema("Org_Slug", "STRING", fields: [])]

        let diff = diff([FieldSchema("org_slug", "STRING")], actual)

        #expect(diff.isConforming)
        #expect(diff.merged == actual)
    }

    @Test func leavesColumnsAloneThatOnlyTheTableHas() {
        let actual = [
            FieldSchema("own", "GEOGRAPHY", attributes: ["policyTags": .object(["names": .array([])])]),
            FieldSchema("a", "STRING", description: "theirs"),
        ]

        let diff = diff([FieldSchema("a", "STRING", description: "ours"), FieldSchema("b", "DATE")], actual)

        #expect(diff.merged == actual + [FieldSchema("b", "DATE")])
        #expect(diff.conflicts.isEmpty)
    }

    @Test func addsARequiredColumnAsNullableAndSaysSo() {
        let diff = diff([FieldSchema("a", "STRING"), FieldSchema("b", "DATE", mode: .required)], [])

        #expect(diff.additions == ["a", "b"])
        #expect(diff.relaxed == ["b"])
        #expect(diff.merged[1] == FieldSchema("b", "DATE"))
    }

    @Test func keepsRequiredFieldsOfANewRecord() {
        let record = FieldSchema(
            "period", "RECORD", mode: .repeated, fields: [FieldSchema("start", "DATE", mode: .required)])

        let diff = diff([record], [])

        #expect(diff.additions == ["period"])
        #expect(diff.relaxed.isEmpty)
        #expect(diff.merged == [record])
    }

    @Test func agreesWithARequiredColumnThatWasAddedAsNullable() {
        #expect(diff([FieldSchema("a", "STRING", mode: .required)], [FieldSchema("a", "STRING")]).isConforming)
    }

    @Test func agreesWithTheSameTable() {
        let fields = [
            FieldSchema("a", "STRING", mode: .required), FieldSchema("b", "STRING", mode: .repeated),
            FieldSchema("c", "NUMERIC", attributes: ["precision": .string("10"), "scale": .integer(2)]),
        ]

        let diff = diff(fields, fields)

        #expect(diff.isConforming)
        #expect(diff.merged == fields)
    }
}
