import FoundationEssentials
import HTTPTransport
import JobRuntime
import Warehouse

/// Query parameters in the form of the REST API: `{"name", "parameterType", "parameterValue"}`. Every scalar is a text, and
/// NULL is a value without one (fact BQ-21). https://cloud.google.com/bigquery/docs/reference/rest/v2/QueryParameter
enum QueryParameter {
    static func json(_ parameter: SQLValue.Field) -> JSONValue {
        .object([
            "name": .string(parameter.name), "parameterType": json(parameter.value.type),
            "parameterValue": json(parameter.value),
        ])
    }

    private static func json(_ type: SQLType) -> JSONValue {
        switch type {
        case .array(let element): return .object(["type": .string("ARRAY"), "arrayType": json(element)])
        case .structure(let fields):
            let types = fields.map { JSONValue.object(["name": .string($0.name), "type": json($0.type)]) }
            return .object(["type": .string("STRUCT"), "structTypes": .array(types)])
        default: return .object(["type": .string(type.text)])
        }
    }

    private static func json(_ value: SQLValue) -> JSONValue {
        switch value {
        case .null: .object([:])
        case .string(let text), .numeric(let text), .json(let text): .object(["value": .string(text)])
        case .bytes(let data): .object(["value": .string(data.base64EncodedString())])
        case .int64(let number): .object(["value": .string(String(number))])
        case .float64(let number): .object(["value": .string(text(number))])
        case .bool(let flag): .object(["value": .string(flag ? "true" : "false")])
        case .timestamp(let instant): .object(["value": .string(instant.sqlText)])
        case .date(let date): .object(["value": .string(date.description)])
        case .array(_, let elements): .object(["arrayValues": .array(elements.map { json($0) })])
        case .structure(let fields):
            .object([
                "structValues": .object(JSONObject(fields.map { ($0.name, json($0.value)) }))
            ])
        }
    }

    private static func text(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return String(number)
    }
}
