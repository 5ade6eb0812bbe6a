/// Something that is wrong in a file, and where.
package struct Problem: Error, Hashable, Comparable, CustomStringConvertible, Sendable {
    package var file: String
    /// Counted from 1.
    package var line: Int
    package var message: String

    package init(file: String = "jobs.yaml", line: Int, message: String) {
        self.file = file
        self.line = line
        self.message = message
    }

    package var description: String { "\(file):\(line): \(message)" }

    package static func < (left: Problem, right: Problem) -> Bool {
        (left.file, left.line, left.message) < (right.file, right.line, right.message)
    }
}

/// All problems of one reading, in the order of their lines.
package struct Problems: Error, CustomStringConvertible, Equatable, Sendable {
    package var all: [Problem]

    package init(_ problems: some Sequence<Problem>) { all = Set(problems).sorted() }

    package var description: String { all.map(\.description).joined(separator: "\n") }
}

/// Collects the problems of one reading, so that reading can go on after the first.
final class ProblemLog {
    private(set) var problems: [Problem] = []

    func add(_ line: Int, _ message: String) { add(Problem(line: line, message: message)) }

    func add(_ problem: Problem) { problems.append(problem) }
}

/// A value and the line that it was read from.
struct Located<Value> {
    var value: Value
    var line: Int

    init(_ value: Value, line: Int) {
        self.value = value
        self.line = line
    }
}

extension Located: Sendable where Value: Sendable {}

/// The word that was probably meant: at most two edits away, and fewer than half of its letters.
func nearest(_ word: String, in words: some Sequence<String>) -> String? {
    let close = words.map { (word: $0, edits: edits(Array(word.utf8), Array($0.utf8))) }
    let best = close.min { ($0.edits, $0.word) < ($1.edits, $1.word) }
    return best.flatMap { $0.edits <= 2 && $0.edits * 2 < $0.word.utf8.count ? $0.word : nil }
}

/// Continues a message with the word that was probably meant, if there is one.
func suggestion(for word: String, in words: some Sequence<String>) -> String {
    nearest(word, in: words).map { "; did you mean \($0)?" } ?? ""
}

/// Insertions, deletions and substitutions that turn one word into the other.
private func edits(_ from: [UInt8], _ to: [UInt8]) -> Int {
    var row = Array(0...to.count)
    for (i, letter) in from.enumerated() {
        var previous = row[0]
        row[0] = i + 1
        for (j, other) in to.enumerated() {
            let substituted = previous + (letter == other ? 0 : 1)
            previous = row[j + 1]
            row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[to.count]
}
