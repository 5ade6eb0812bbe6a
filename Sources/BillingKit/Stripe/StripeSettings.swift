package import JobRuntime

/// How Stripe is reached.
package struct StripeSettings: JobSettings {
    package let key: Secret
    package let baseURL: String

    package static let environmentHelp: [(name: String, text: String)] = [
        ("STRIPE_SECRET_KEY", "A restricted key that may read customers, products, prices and subscriptions."),
        ("STRIPE_API_BASE", "For tests: another server's base URL. Default: https://api.stripe.com."),
    ]

    package init(reading environment: inout EnvironmentReader) {
        let expected = "a restricted key (rk_...) or a secret key (sk_...) of the Stripe account"
        key = environment.requiredSecret("STRIPE_SECRET_KEY", expected: expected)
        if !environment.hasProblem(with: ["STRIPE_SECRET_KEY"]), !Self.isKey(key.value) {
            environment.note(
                "STRIPE_SECRET_KEY", problem: "is no secret or restricted key (it is not shown)", expected: expected)
        }
        let url = environment.string(
            "STRIPE_API_BASE", default: "https://api.stripe.com", expected: "https://api.stripe.com, or unset it",
            check: problemOfSecureURL)
        baseURL = url.hasSuffix("/") ? String(url.dropLast()) : url
    }

    private static func isKey(_ text: String) -> Bool {
        (text.hasPrefix("sk_") || text.hasPrefix("rk_")) && text.utf8.count > 5
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}
