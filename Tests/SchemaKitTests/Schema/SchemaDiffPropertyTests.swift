import SchemaKit
import Testing
import Warehouse
import WarehouseKit

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
