#if canImport(Glibc)
    import Glibc
#endif

/// A check for `EnvironmentReader.string`: what is wrong with the path of a file to read, or `nil`.
package func problemOfFile(_ path: String) -> String? {
    var status = stat()
    let isFile = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFDIR
    return isFile && access(path, R_OK) == 0 ? nil : "is no file that can be read"
}

extension EnvironmentReader {
    /// A whole number in decimal digits.
    package mutating func integer(_ name: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        optionalInteger(name, in: range) ?? fallback
    }

    /// `nil` where the variable is not set or wrong.
    package mutating func optionalInteger(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = text(of: name) else { return nil }
        if let number = Int(value), range.contains(number) { return number }
        note(
            name, problem: "is \(quoted(value))",
            expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        return nil
    }

    /// `true`, `false`, `yes`, `no`, `1` or `0`, in any case.
    package mutating func boolean(_ name: String, default fallback: Bool) -> Bool {
        guard let value = text(of: name) else { return fallback }
        switch value.lowercased() {
        case "true", "yes", "1": return true
        case "false", "no", "0": return false
        default:
            note(name, problem: "is \(quoted(value))", expected: "true or false")
            return fallback
        }
    }

    /// One of a few words, written exactly so. Without a default the variable must be set.
    package mutating func choice(_ name: String, of words: [String], default fallback: String? = nil) -> String {
        let expected = words.dropLast().joined(separator: ", ") + (words.count > 1 ? " or " : "") + (words.last ?? "")
        return string(name, default: fallback, expected: expected) { words.contains($0) ? nil : "is not known" }
    }
}
