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
