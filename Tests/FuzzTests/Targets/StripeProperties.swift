import Foundation
import JobRuntime

@testable import BillingKit

/// A page is read completely or not at all, and a subscription that is kept as bytes is the same afterward.
enum StripeProperties {
    static func check(_ input: Data) throws {
        if let page = try? StripeProperties.decode(StripePage<StripeSubscription>.self, input) { try kept(page.data) }
        if let subscription = try? StripeProperties.decode(StripeSubscription.self, input) {
            try kept([subscription])
            try described(subscription)
        }
        if let product = try? StripeProperties.decode(StripeProduct.self, input) { try described(product) }
        if let price = try? StripeProperties.decode(StripePrice.self, input) { try described(price) }
        _ = try? StripeProperties.decode(StripePage<StripeProduct>.self, input)
    }

    private static let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.userInfo[StripeIgnore.userInfoKey] = StripeIgnore("shop_id,tier=legacy,prod_Q1support")
        return decoder
    }()

    static func decode<Value: Decodable>(_ type: Value.Type, _ input: Data) throws -> Value {
        try JSONReader.decode(type, from: input, with: decoder)
    }

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
        if let event = try? StripeProperties.decode(StripeEvent.self, input) { try known(event) }
        if let page = try? StripeProperties.decode(StripePage<StripeEvent>.self, input) {
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
