/// The members of `metadata` that have a meaning here. Stripe's values are texts; a number is read as its text.
struct StripeMetadata: Decodable, Sendable {
    enum Key: String, CodingKey, CaseIterable {
        case orgSlug = "org_slug"
        case pendingOrgSlug = "pending_org_slug"
        case planID = "plan_id"
        case teamMembers, providers, pipelinesPerDay, concurrentPipelines
    }

    private var values: [Key: String] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        // An object of the account without metadata may have null here.
        guard let container = try? decoder.container(keyedBy: Key.self) else { return }
        for key in Key.allCases {
            if let text = try? container.decode(String.self, forKey: key) {
                values[key] = text
            } else if let number = try? container.decode(Int64.self, forKey: key) {
                values[key] = String(number)
            }
        }
    }

    /// Empty counts as absent, as in Stripe, where setting an empty value removes the member.
    subscript(key: Key) -> String? { values[key].flatMap { $0.isEmpty ? nil : $0 } }
}
