/// The resources that are read, by the names that Stripe's dashboard gives to a restricted key's permissions.
package enum StripeResource: String, Sendable, CaseIterable {
    case subscriptions = "Subscriptions"
    case products = "Products"
    case prices = "Prices"
    case customers = "Customers"
}
