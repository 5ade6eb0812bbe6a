import FoundationEssentials

/// The body of an `application/x-www-form-urlencoded` request.
struct FormBody {
    let data: Data

    init(_ fields: [(name: String, value: String)]) {
        data = Data(fields.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(separator: "&").utf8)
    }
}
