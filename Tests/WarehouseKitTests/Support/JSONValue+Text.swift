import Foundation
import TestSupport
import WarehouseKit

extension JSONValue {
    /// The value that the text holds.
    static func text(_ text: String) throws -> JSONValue {
        try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    subscript(key: String) -> JSONValue? { object?[key] }
    subscript(index: Int) -> JSONValue? { array.flatMap { $0.indices.contains(index) ? $0[index] : nil } }
}

extension ScriptedRequest {
    /// The body; `null` where there is none.
    var jsonBody: JSONValue { (try? JSONDecoder().decode(JSONValue.self, from: body)) ?? .null }
}
