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
func spoken(_ count: Int, _ key: String) -> String {
    var words = key.split(separator: "_").map(String.init)
    if count == 1, let noun = words.first {
        words[0] =
            noun.hasSuffix("ies")
            ? noun.dropLast(3) + "y" : String(noun.dropLast(noun.hasSuffix("ches") ? 2 : noun.hasSuffix("s") ? 1 : 0))
    }
    return ([String(count)] + words).joined(separator: " ")
}

extension Duration {
    package var wholeMilliseconds: Int {
        Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}
