import Foundation
import JobRuntime

@testable import BillingKit

/// A page is read completely or not at all, and a subscription that is kept as bytes is the same afterward.
enum StripeProperties {
    static func check(_ input: Data) throws {
        if let page = try? decoder.decode(StripePage<StripeSubscription>.self, from: input) { try kept(page.data) }
        if let subscription = try? decoder.decode(StripeSubscription.self, from: input) {
            try kept([subscription])
            try described(subscription)
        }
        if let product = try? decoder.decode(StripeProduct.self, from: input) { try described(product) }
        if let price = try? decoder.decode(StripePrice.self, from: input) { try described(price) }
        _ = try? decoder.decode(StripePage<StripeProduct>.self, from: input)
    }

    static let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.userInfo[StripeIgnore.userInfoKey] = StripeIgnore("shop_id,tier=legacy,prod_Q1support")
        return decoder
    }()

    private static func kept(_ subscriptions: [StripeSubscription]) throws {
        var list = CompactList<StripeSubscription>()
        for subscription in subscriptions { list.append(subscription) }
        try hold(list.count == subscriptions.count && zip(list, subscriptions).allSatisfy(==), "\(subscriptions)")
        for (index, subscription) in subscriptions.enumerated() {
            try hold(list.read(String.self, at: index) == subscription.id, subscription.id)
        }
    }

    /// An object without an id is malformed, and says so.
    static func described(_ object: some StripeObject) throws {
        try hold(!object.id.isEmpty || !object.malformed.isEmpty, "an object without an id is well formed")
        for field in object.malformed { try hold(!field.problem.isEmpty, "\(field)") }
        try hold(object.malformed.summary.isEmpty == object.malformed.isEmpty, object.malformed.summary)
    }
}

/// An event that was read names its object, or says that the object cannot be read.
enum EventProperties {
    static func check(_ input: Data) throws {
        if let event = try? StripeProperties.decoder.decode(StripeEvent.self, from: input) { try known(event) }
        if let page = try? StripeProperties.decoder.decode(StripePage<StripeEvent>.self, from: input) {
            for event in page.data { try known(event) }
        }
    }

    private static func known(_ event: StripeEvent) throws {
        try StripeProperties.described(event)
        switch event.object {
        case .subscription(let subscription, let formerOwner):
            try hold(!subscription.id.isEmpty, "an event of a subscription without an id")
            try hold(formerOwner != "", "an empty former owner")
        case .plan(let product): try hold(!product.isEmpty, "an event of a product without an id")
        case .otherProduct, .price, .unreadable: break
        }
    }
}
