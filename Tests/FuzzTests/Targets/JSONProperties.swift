import Foundation
import JobRuntime

/// A value that was read can be written in both ways and read again, and is the same.
enum JSONProperties {
    static func check(_ input: Data) throws {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: input) else { return }
        let printed = value.description
        try hold(
            try JSONDecoder().decode(JSONValue.self, from: Data(printed.utf8)) == value, "\(printed) reads differently")
        let encoded = try JSONEncoder().encode(value)
        try hold(
            try JSONDecoder().decode(JSONValue.self, from: encoded) == value,
            "\(printed) is encoded as \(String(decoding: encoded, as: UTF8.self))")
        try hold((JSONValue.members(of: input) != nil) == (value.object != nil), "the members of \(printed)")
    }
}
