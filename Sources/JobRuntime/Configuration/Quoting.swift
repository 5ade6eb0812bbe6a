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
