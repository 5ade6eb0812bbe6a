import FoundationEssentials

/// The body of an `application/x-www-form-urlencoded` request.
struct FormBody {
    private static let digits = Array("0123456789ABCDEF".utf8)

    private(set) var data = Data()

    init(_ fields: [(name: String, value: String)]) {
        for field in fields {
            if !data.isEmpty { data.append(UInt8(ascii: "&")) }
            append(field.name)
            data.append(UInt8(ascii: "="))
            append(field.value)
        }
    }

    private mutating func append(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                data.append(byte)
            default:
                data.append(contentsOf: [UInt8(ascii: "%"), Self.digits[Int(byte >> 4)], Self.digits[Int(byte & 15)]])
            }
        }
    }
}
