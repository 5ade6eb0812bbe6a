/// A price, or a plan of the older shape: what product it is for.
struct StripePrice: StripeObject {
    var id: String
    var product: String?

    private enum CodingKeys: String, CodingKey {
        case id, product
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(String.self, forKey: .id)
        product = StripeReference.id(in: container, .product)
    }
}
