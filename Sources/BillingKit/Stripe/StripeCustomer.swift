/// The customer of a subscription, where it is shown: its metadata may say which organization it is.
struct StripeCustomer: Decodable, Sendable {
    var id: String
    var metadata: StripeMetadata
    var isDeleted: Bool

    private enum CodingKeys: String, CodingKey {
        case id, metadata, deleted
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(String.self, forKey: .id)
        metadata = (try? container.decode(StripeMetadata.self, forKey: .metadata)) ?? StripeMetadata()
        isDeleted = (try? container.decode(Bool.self, forKey: .deleted)) ?? false
    }
}
