import Foundation
import HTTPTransport
import JobRuntime
import Warehouse

@testable import BigQueryWarehouse

/// A page of rows gives the values that a decoder of the whole tree finds, or is an error where the tree is not one of rows.
enum RowProperties {
    static func check(_ input: Data) throws {
        guard let page = try? QueryResponse(reply: input) else { return }
        let schema = page.schema?.fields ?? []
        let reader = ResultReader(operation: "read", schema: schema)
        var rows: [Row] = []
        let isRead: Bool
        do {
            try reader.read(page.rows) { rows += $0 }
            isRead = true
        } catch let error as WarehouseError {
            try hold(error.certainty == .done && error.code == .unexpectedResult, error.description)
            isRead = false
        }
        let tree = try? JSONDecoder().decode(Tree.self, from: input)
        try hold(!isRead || tree != nil, "rows were read that Foundation refuses")
        guard let tree else { return }
        let expected = (tree.rows ?? []).map { values($0, schema) }
        try hold(isRead == expected.allSatisfy { $0 != nil }, "isRead \(isRead): \(expected)")
        if isRead { try hold(rows.map { texts($0.fields) } == expected.map { $0! }, "\(rows) is not \(expected)") }
        for row in rows { for field in schema { _ = try? row.optionalTimestamp(field.name) } }
    }

    private struct Tree: Decodable {
        struct Row: Decodable { var f: [Cell] }
        struct Cell: Decodable { var v: Value }

        indirect enum Value: Decodable {
            case null, scalar(String), repeated([Cell]), record(Row)

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if container.decodeNil() {
                    self = .null
                } else if let text = try? container.decode(String.self) {
                    self = .scalar(text)
                } else if let cells = try? container.decode([Cell].self) {
                    self = .repeated(cells)
                } else {
                    self = .record(try container.decode(Row.self))
                }
            }
        }

        var rows: [Row]?
    }

    /// The values as texts; `nil` if they do not fit the schema.
    private static func values(_ row: Tree.Row, _ schema: [FieldSchema]) -> [String]? {
        guard row.f.count == schema.count else { return nil }
        var texts: [String] = []
        for (cell, field) in zip(row.f, schema) {
            guard let text = text(cell.v, field) else { return nil }
            texts.append("\(field.name)=\(text)")
        }
        return texts
    }

    private static func text(_ value: Tree.Value, _ field: FieldSchema) -> String? {
        guard field.mode == .repeated else { return element(value, field) }
        switch value {
        case .null: return "[]"
        case .repeated(let cells):
            let elements = cells.map { element($0.v, field) }
            return elements.contains(nil) ? nil : "[\(elements.map { $0! }.joined(separator: ","))]"
        default: return nil
        }
    }

    private static func element(_ value: Tree.Value, _ field: FieldSchema) -> String? {
        switch value {
        case .null: "NULL"
        case .record(let row) where field.canonicalType == "STRUCT": values(row, field.fields).map { "\($0)" }
        case .scalar(let text) where field.canonicalType != "STRUCT": scalar(text, field.canonicalType)
        default: nil
        }
    }

    private static func scalar(_ text: String, _ type: String) -> String? {
        switch type {
        case "INT64", "TIMESTAMP": Int64(text).map { "\($0)" }
        case "FLOAT64": Double(text).map { "\($0)" }
        case "BOOL": ["true", "false"].contains(text.lowercased()) ? text.lowercased() : nil
        case "BYTES": Data(base64Encoded: text)?.base64EncodedString()
        case "DATE": CivilDate(text).map { "\($0)" }
        default: text
        }
    }

    private static func texts(_ fields: [SQLValue.Field]) -> [String] { fields.map { "\($0.name)=\(text($0.value))" } }

    private static func text(_ value: SQLValue) -> String {
        switch value {
        case .null: "NULL"
        case .string(let text), .numeric(let text), .json(let text): text
        case .bytes(let data): data.base64EncodedString()
        case .int64(let number): "\(number)"
        case .float64(let number): "\(number)"
        case .bool(let value): "\(value)"
        case .timestamp(let time): "\(time.microseconds)"
        case .date(let date): "\(date)"
        case .array(_, let elements): "[\(elements.map(text).joined(separator: ","))]"
        case .structure(let fields): "\(texts(fields))"
        }
    }
}
