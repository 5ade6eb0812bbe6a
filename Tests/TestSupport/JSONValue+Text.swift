import Foundation
package import JobRuntime

extension JSONValue {
    /// The value that the text holds.
    package static func text(_ text: String) throws -> JSONValue {
        try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    package subscript(key: String) -> JSONValue? { object?[key] }
    package subscript(index: Int) -> JSONValue? { array.flatMap { $0.indices.contains(index) ? $0[index] : nil } }
}

extension ScriptedRequest {
    /// The body; `null` where there is none.
    package var jsonBody: JSONValue { (try? JSONDecoder().decode(JSONValue.self, from: body)) ?? .null }
}
