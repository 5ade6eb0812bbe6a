/// A product: its metadata says what the plan allows.
struct StripeProduct: StripeObject {
    var id: String
    var metadata: StripeMetadata

    private enum CodingKeys: String, CodingKey {
        case id, metadata
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(String.self, forKey: .id)
        metadata = (try? container.decode(StripeMetadata.self, forKey: .metadata)) ?? StripeMetadata()
    }
}
