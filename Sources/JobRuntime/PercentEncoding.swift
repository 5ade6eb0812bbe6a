/// Everything but RFC 3986's unreserved characters as `%XX`.
package func percentEncoded(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
        if byte.isWordCharacter || [UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "~")].contains(byte) {
            result.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            let digits = String(byte, radix: 16, uppercase: true)
            result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
        }
    }
    return result
}

extension UTF8.CodeUnit {
    /// `[A-Za-z0-9_]`
    package var isWordCharacter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }

    package var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }
}
