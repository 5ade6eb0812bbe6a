/// An object of a list: its id is where the next page starts.
protocol StripeObject: Decodable, Sendable {
    var id: String { get }
}

/// A page of a list: `{"data": [...], "has_more": true}`.
struct StripePage<Element: StripeObject>: Decodable, Sendable {
    var data: [Element]
    var hasMore: Bool

    private enum CodingKeys: String, CodingKey {
        case data
        case hasMore = "has_more"
    }
}
