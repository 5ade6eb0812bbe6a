import Foundation
import JobRuntime

/// What happened in a world, as the lines of a file: one JSON object for each event, by time.
struct Story {
    private var entries: [(at: Timestamp, line: JSONValue, text: String)] = []
    /// A long run keeps the last days only.
    var keepsAll = false

    mutating func add(_ kind: String, at: Timestamp, _ members: [(key: String, value: JSONValue)], text: String) {
        let all: [(key: String, value: JSONValue)] =
            [("at", .string(Self.stamp(at))), ("kind", .string(kind))] + members
        entries.append((at, .object(JSONObject(all)), text))
        if !keepsAll, entries.count > 4000 { entries.removeFirst(2000) }
    }

    private var sorted: [(at: Timestamp, line: JSONValue, text: String)] {
        entries.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }

    var lines: String { sorted.map { $0.line.description + "\n" }.joined() }

    /// The story for a person, from a time on.
    func text(since: Timestamp) -> String {
        sorted.filter { $0.at >= since && !$0.text.isEmpty }.map { "\(Self.stamp($0.at))  \($0.text)\n" }.joined()
    }

    static func stamp(_ time: Timestamp) -> String { String(time.description.prefix(19)) + "Z" }
}
