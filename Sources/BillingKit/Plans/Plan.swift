import JobRuntime

/// What a product allows, as its metadata says.
package struct Plan: Hashable, Sendable {
    package var name: String
    package var daily: Int64
    package var monthly: Int64
    package var concurrent: Int64
    package var seats: Int64
    package var providers: Int64

    static let daysPerMonth: Int64 = 30
    static let usualConcurrency: Int64 = 2
    /// Far above every real limit, and 30 times it is still a number that every reader can hold.
    static let largestLimit: Int64 = 1_000_000_000

    init(_ product: StripeProduct) throws(BillingProblem) {
        name = try Self.name(product)
        daily = try Self.limit(.pipelinesPerDay, product)
        monthly = daily * Self.daysPerMonth
        concurrent = try Self.limit(.concurrentPipelines, product, default: Self.usualConcurrency)
        seats = try Self.limit(.teamMembers, product)
        providers = try Self.limit(.providers, product)
    }

    private static func name(_ product: StripeProduct) throws(BillingProblem) -> String {
        guard let id = product.metadata[.planID] else { throw missing(.planID, product) }
        let isName = id.utf8.count <= 64 && id.utf8.allSatisfy { isWordCharacter($0) || $0 == UInt8(ascii: "-") }
        guard isName else {
            throw BillingProblem(
                "product \(printable(product.id)): metadata plan_id \(quoted(id)) is not 1 to 64 letters, digits, _ and -"
            )
        }
        return id.uppercased()
    }

    private static func limit(
        _ key: StripeMetadata.Key, _ product: StripeProduct, default fallback: Int64? = nil
    ) throws(BillingProblem) -> Int64 {
        guard let text = product.metadata[key] else {
            if let fallback { return fallback }
            throw missing(key, product)
        }
        // Int64(text) would also take "+5" and "-0".
        guard text.utf8.allSatisfy({ 48...57 ~= $0 }), let number = Int64(text), number <= largestLimit else {
            throw BillingProblem(
                "product \(printable(product.id)): metadata \(key.rawValue) \(quoted(text)) is not a whole number from 0 to \(largestLimit)"
            )
        }
        return number
    }

    private static func missing(_ key: StripeMetadata.Key, _ product: StripeProduct) -> BillingProblem {
        BillingProblem("product \(printable(product.id)) has no metadata \(key.rawValue)")
    }
}

func isWordCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
    default: false
    }
}
