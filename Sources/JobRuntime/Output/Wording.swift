/// `340 ms`, `1.2 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
package func spoken(_ duration: Duration) -> String {
    let milliseconds = duration.wholeMilliseconds
    let seconds = milliseconds / 1000
    return switch milliseconds {
    case ..<1000: "\(milliseconds) ms"
    case ..<10_000: "\(seconds).\(milliseconds % 1000 / 100) s"
    case ..<60_000: "\(seconds) s"
    case ..<3_600_000: "\(seconds / 60) min \(seconds % 60) s"
    default: "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }
}

/// `3 columns added`, `1 column added`: a count by its key, which is a plural noun, `_` for spaces.
///
/// In a dry run, a count of changes says what would be done: `3 columns would be added`. Other counts are the same.
package func spoken(_ count: Int, _ key: String, isDryRun: Bool = false) -> String {
    var words = key.split(separator: "_").map(String.init)
    if count == 1, let noun = words.first {
        words[0] =
            noun.hasSuffix("ies")
            ? noun.dropLast(3) + "y" : String(noun.dropLast(noun.hasSuffix("ches") ? 2 : noun.hasSuffix("s") ? 1 : 0))
    }
    if isDryRun, let change = words.firstIndex(where: changes.contains) {
        words.insert("would be", at: change)
    }
    return ([String(count)] + words).joined(separator: " ")
}

/// The words for changes in the keys of counts.
private let changes: Set = [
    "added", "changed", "claimed", "completed", "created", "deleted", "marked", "postponed", "requeued", "reset",
    "synced",
    "updated",
]

extension Duration {
    package var wholeMilliseconds: Int {
        Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}

/// A value for a message: in quotes, on one line, control and invisible characters escaped, at most 60 characters of it.
package func quoted(_ value: String) -> String {
    let cut = value.count > 60 ? value.prefix(60) + "…" : value[...]
    return "\"" + printable(cut, escapingQuotes: true) + "\""
}

/// The text on one line: control characters and those that hide or reorder others are escaped as `\n` or `\u{202E}`.
package func printable(_ text: some StringProtocol, escapingQuotes: Bool = false) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\"" where escapingQuotes: result += "\\\""
        case _ where isControl(scalar): result += "\\u{" + String(scalar.value, radix: 16, uppercase: true) + "}"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

func containsControlCharacters(_ text: String) -> Bool {
    text.unicodeScalars.contains(where: isControl)
}

private func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x2069, 0xFEFF: true
    default: false
    }
}

/// Rows under a header in aligned columns; a column of numbers is aligned to the right.
struct TextTable {
    let header: [String]
    let rows: [[String]]

    var lines: [String] {
        let cells = ([header] + rows).map { row in header.indices.map { $0 < row.count ? printable(row[$0]) : "" } }
        let widths = header.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        let isNumeric = header.indices.map { column in
            !rows.isEmpty
                && cells.dropFirst().allSatisfy { !$0[column].isEmpty && $0[column].utf8.allSatisfy { 48...57 ~= $0 } }
        }
        return cells.map { row in
            var line = row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return isNumeric[column] ? padding + row[column] : row[column] + padding
            }.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
