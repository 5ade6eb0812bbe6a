/// The resources that are read, by the names that Stripe's dashboard gives to a restricted key's permissions.
package enum StripeResource: String, Sendable {
    case subscriptions = "Subscriptions"
    case products = "Products"
    case prices = "Prices"

    /// What a key must be allowed: subscriptions are read with their customers.
    var permissions: String {
        self == .subscriptions ? "\"\(rawValue): Read\" or \"Customers: Read\"" : "\"\(rawValue): Read\""
    }
}
