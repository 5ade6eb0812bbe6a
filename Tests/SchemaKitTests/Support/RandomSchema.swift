import JobRuntime
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

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
