import JobRuntime
import SchemaKit
import TestSupport
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

@Suite struct SchemaDiffPropertyTests {
    @Test(arguments: 0..<40 as Range<UInt64>)
    func losesNothingAndSettlesAtOnce(seed: UInt64) {
        var schemas = RandomSchema(seed: seed)
        for _ in 0..<50 {
            let expected = Table(fields: schemas.fields())
            let actual = Table(fields: schemas.fields())

            let diff = SchemaDiff(expected: expected, actual: actual)
            let again = SchemaDiff(expected: expected, actual: Table(fields: diff.merged))

            #expect(keeps(actual.schema.fields, in: diff.merged))
            #expect(leaves(diff.merged) - leaves(actual.schema.fields) == added(diff, expected))
            #expect(again.additions.isEmpty)
            #expect(again.conflicts == diff.conflicts)
            #expect(again.merged == diff.merged)
            #expect(Set(diff.relaxed).isSubset(of: diff.additions))
            #expect(diff.additions.isEmpty == (diff.merged == actual.schema.fields))
        }
    }

    @Test func isRepeatableForASeed() {
        var first = RandomSchema(seed: 7)
        var second = RandomSchema(seed: 7)

        #expect(first.fields() == second.fields())
    }

    /// Whether every field is still there, at its place and unchanged but for new fields within RECORDs.
    private func keeps(_ actual: [FieldSchema], in merged: [FieldSchema]) -> Bool {
        guard merged.count >= actual.count else { return false }
        return zip(actual, merged).allSatisfy { before, after in
            var shell = after
            shell.fields = before.fields
            return shell == before && keeps(before.fields, in: after.fields)
        } && merged.dropFirst(actual.count).allSatisfy { $0.mode != .required }
    }

    private func leaves(_ fields: [FieldSchema]) -> Int {
        fields.reduce(0) { $0 + 1 + leaves($1.fields) }
    }

    /// How many fields the additions consist of, those within new RECORDs too.
    private func added(_ diff: SchemaDiff, _ expected: Table) -> Int {
        diff.additions.reduce(0) { count, path in
            var fields = expected.schema.fields
            for name in path.split(separator: ".").dropLast() {
                fields = fields.first { $0.name.lowercased() == name.lowercased() }?.fields ?? []
            }
            let name = path.split(separator: ".").last ?? ""
            return count + leaves(fields.filter { $0.name.lowercased() == name.lowercased() })
        }
    }
}

/// Random schemas whose names, types and modes collide often.
struct RandomSchema {
    private var random: SplitMix64

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    mutating func fields(depth: Int = 3) -> [FieldSchema] {
        let names = (0..<6).map { "column_\($0)" }.shuffled(using: &random)
        return names.prefix(Int.random(in: 1...6, using: &random)).map { field($0, depth: depth) }
    }

    private mutating func field(_ name: String, depth: Int) -> FieldSchema {
        let types = ["INTEGER", "INT64", "STRING", "FLOAT", "BOOL", "NUMERIC", "JSON"]
        let isRecord = depth > 0 && Int.random(in: 0..<3, using: &random) == 0
        let type =
            isRecord ? ["RECORD", "STRUCT"].randomElement(using: &random)! : types.randomElement(using: &random)!
        let modes: [FieldSchema.Mode] = [.nullable, .nullable, .required, .repeated]
        return FieldSchema(
            Bool.random(using: &random) ? name : name.uppercased(), type, mode: modes.randomElement(using: &random)!,
            description: Bool.random(using: &random) ? "says \(random.next())" : nil,
            fields: isRecord ? fields(depth: depth - 1) : [],
            attributes: type == "STRING" && Bool.random(using: &random) ? ["maxLength": .string("20")] : [:])
    }
}
