import JobRuntime

/// A change that Stripe lists for thirty days: https://docs.stripe.com/api/events
///
/// Its object has the shape of the API version in which the account made it, so only ids and metadata are read. An event says
/// which organization to look at, never what to write.
struct StripeEvent: StripeObject {
    /// At most 20 types fit into one request (facts ST-07 and ST-10). Creating a price changes nothing before a subscription has it, and inline prices
    /// create one each.
    static let types =
        ["created", "updated", "deleted", "paused", "resumed", "pending_update_applied", "pending_update_expired"].map {
            "customer.subscription.\($0)"
        } + ["product.created", "product.updated", "product.deleted", "price.updated", "price.deleted"]

    /// The object of the event, as far as it could be read.
    enum Object: Hashable, Sendable {
        case subscription(StripeSubscription, formerOwner: String?)
        /// A product that is or was a plan.
        case plan(product: String)
        /// A product that is no plan.
        case otherProduct
        case price(product: String?)
        case unreadable
    }

    var id: String
    /// Seconds since 1970 (fact ST-24).
    var created: Int64?
    var object: Object
    var isLive: Bool?
    var malformed: [MalformedField]

    init(from decoder: any Decoder) throws {
        var fields = StripeFields(decoder)
        id = fields.id()
        let type = fields.text("type") ?? ""
        created = fields.integer("created")
        isLive = fields.flag("livemode")
        malformed = fields.malformed
        object =
            if type.hasPrefix("customer.subscription.") {
                Self.subscription(fields.part("data", Data<StripeSubscription>.self))
            } else if type.hasPrefix("product.") {
                Self.product(fields.part("data", Data<StripeProduct>.self))
            } else if type.hasPrefix("price.") {
                fields.part("data", Data<StripePrice>.self)?.object.map { .price(product: $0.product) } ?? .unreadable
            } else {
                .unreadable
            }
    }

    private static func subscription(_ data: Data<StripeSubscription>?) -> Object {
        guard let data, let subscription = data.object, !subscription.id.isEmpty else { return .unreadable }
        let former = data.previous?.metadata
        return .subscription(subscription, formerOwner: former?[.orgSlug] ?? former?[.pendingOrgSlug])
    }

    private static func product(_ data: Data<StripeProduct>?) -> Object {
        guard let data, let product = data.object, !product.id.isEmpty else { return .unreadable }
        let isPlan = [product.metadata, data.previous?.metadata].contains { $0?[.planID] != nil }
        // Metadata that is no object may hide a plan.
        return isPlan || !product.metadata.malformed.isEmpty ? .plan(product: product.id) : .otherProduct
    }

    /// The members `object` and `previous_attributes`, of which the latter has only what changed (fact ST-08).
    private struct Data<Object: StripeObject>: StripePart {
        struct Previous: StripePart {
            var metadata: StripeMetadata?
            var malformed: [MalformedField]

            init(from decoder: any Decoder) throws {
                var fields = StripeFields(decoder)
                metadata = fields.part("metadata", StripeMetadata.self)
                malformed = fields.malformed
            }
        }

        var object: Object?
        var previous: Previous?
        var malformed: [MalformedField]

        init(from decoder: any Decoder) throws {
            var fields = StripeFields(decoder)
            object = fields.part("object", StripeReference<Object>.self)?.object
            previous = fields.part("previous_attributes", Previous.self)
            malformed = fields.malformed
        }
    }
}
