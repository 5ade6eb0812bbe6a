import FoundationEssentials
package import JobRuntime
package import WarehouseKit

/// Stripe keeps two worlds apart: objects of test mode cost nobody anything, and objects of live mode are customers.
package enum StripeMode: String, Sendable {
    case test, live

    /// The environment `prod` works with live mode, every other one with test mode.
    package init(of environment: DeploymentEnvironment?) {
        self = environment == .prod ? .live : .test
    }

    /// The mode that a key names, as in `rk_live_...` and `sk_org_test_...`. `nil` for a key that names none.
    init?(ofKey key: String) {
        let words = key.split(separator: "_", maxSplits: 3).dropFirst().filter { $0 != "org" }
        guard let word = words.first, words.count > 1 else { return nil }
        self.init(rawValue: String(word))
    }
}

/// How Stripe is reached.
///
/// ```swift
/// stripe = StripeSettings(reading: &environment, for: warehouse.environment)
/// ```
package struct StripeSettings: Sendable {
    package let key: Secret
    package let baseURL: String
    /// The mode of the environment. A key that names the other mode is a problem of the configuration.
    package let mode: StripeMode
    package let ignore: StripeIgnore

    package init(reading environment: inout EnvironmentReader, for deployment: DeploymentEnvironment?) {
        let expected = "a restricted key (rk_...) or a secret key (sk_...) of the Stripe account"
        key = environment.requiredSecret(
            "STRIPE_SECRET_KEY", expected: expected,
            help: """
                A restricted key that may read customers, products, prices, subscriptions and events: one of live mode where \
                ENVIRONMENT is prod, otherwise one of test mode.
                """)
        mode = StripeMode(of: deployment)
        // An empty key is reported already, or is not needed to describe the job.
        if !key.value.isEmpty, !environment.hasProblem(with: ["STRIPE_SECRET_KEY"]) {
            Self.check(key, mode, expected, &environment)
        }
        let url = environment.string(
            "STRIPE_API_BASE", default: "https://api.stripe.com", expected: "https://api.stripe.com, or unset it",
            help: "For tests: another server's base URL.", check: problemOfSecureURL)
        baseURL = url.hasSuffix("/") ? String(url.dropLast()) : url
        let ignored = environment.optionalString(
            "STRIPE_IGNORE", expected: "products and metadata keys, such as prod_Q1support,shop_id",
            help: """
                Products (prod_...) and keys of metadata (key or key=value), with commas between them. Subscriptions to these \
                products, or with such a member in their or their customer's metadata, are not this service's.
                """
        ) { text in
            text.split(separator: ",", omittingEmptySubsequences: false).contains { $0.allSatisfy { $0 == " " } }
                ? "has an empty entry" : nil
        }
        ignore = StripeIgnore(ignored ?? "")
    }

    private static func check(
        _ key: Secret, _ mode: StripeMode, _ expected: String, _ environment: inout EnvironmentReader
    ) {
        guard isKey(key.value) else {
            return environment.note(
                "STRIPE_SECRET_KEY", problem: "is no secret or restricted key (it is not shown)", expected: expected)
        }
        // A wrong environment is a problem of its own.
        guard !environment.hasProblem(with: ["ENVIRONMENT"]), let other = StripeMode(ofKey: key.value), other != mode
        else { return }
        environment.note(
            "STRIPE_SECRET_KEY",
            problem:
                "is a key of \(other.rawValue) mode (it is not shown), and ENVIRONMENT needs one of \(mode.rawValue) mode",
            expected: "a key that begins with rk_\(mode.rawValue)_, or correct ENVIRONMENT: prod needs live mode")
    }

    private static func isKey(_ text: String) -> Bool {
        (text.hasPrefix("sk_") || text.hasPrefix("rk_")) && text.utf8.count > 5
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}

/// What of the account is not this service's: another business may use it too.
///
/// ```swift
/// StripeIgnore("shop_id,tier=legacy,prod_Q1support")
/// ```
package struct StripeIgnore: Hashable, Sendable {
    /// A member of a subscription's or its customer's metadata, with any value or with this one.
    struct Member: Hashable, Sendable {
        var key: String
        var value: String?
    }

    private(set) var products: Set<String> = []
    private(set) var members: [Member] = []

    package init() {}

    /// - Parameter text: Products (`prod_...`), keys of metadata, and `key=value`, with commas between them.
    package init(_ text: String) {
        for part in text.split(separator: ",") {
            let entry = part.trimmingPrefix { $0 == " " }
            let words = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = words.first, !key.isEmpty else { continue }
            if words.count == 1, key.hasPrefix("prod_") {
                products.insert(String(key))
            } else {
                members.append(Member(key: String(key), value: words.count > 1 ? String(words[1]) : nil))
            }
        }
    }

    /// Where a decoder of Stripe's objects finds it.
    static let userInfoKey = CodingUserInfoKey(rawValue: "StripeIgnore")!
}

extension StripeSubscription {
    /// It is for another business of the account: a member of its or its customer's metadata is ignored, or all of its products.
    ///
    /// - Parameter productOf: The product of a price, where it is known.
    func isForeign(by ignore: StripeIgnore, productOf: (_ price: String) -> String? = { _ in nil }) -> Bool {
        if metadata.isForeign || customerMetadata?.isForeign == true { return true }
        return !items.isEmpty && items.allSatisfy { $0.isForeign(by: ignore, productOf: productOf) }
    }
}

extension StripeSubscriptionItem {
    func isForeign(by ignore: StripeIgnore, productOf: (_ price: String) -> String?) -> Bool {
        (product ?? price.flatMap(productOf)).map(ignore.products.contains) ?? false
    }
}
