/// Another object, which is its id, or the whole object where it was expanded.
enum StripeReference {
    private struct Expanded: Decodable {
        var id: String
    }

    static func id<Key: CodingKey>(in container: KeyedDecodingContainer<Key>, _ key: Key) -> String? {
        (try? container.decode(String.self, forKey: key)) ?? (try? container.decode(Expanded.self, forKey: key))?.id
    }
}
