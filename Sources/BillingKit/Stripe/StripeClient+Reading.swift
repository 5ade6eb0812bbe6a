import JobRuntime

extension StripeClient {
    /// `expand[]`: https://docs.stripe.com/api/expanding_objects
    private static let expand = "expand%5B%5D"

    /// Hands over every subscription of the account, or of one customer, canceled ones included, page by page as they come in,
    /// each with its customer: then no subscription needs a request of its own to tell whose it is.
    ///
    /// It returns when the list was read to its end, or `take` wants no more; whatever kept it from that is thrown. A
    /// subscription that is made meanwhile is missing, since the newest come first, and one may come twice when others move.
    func subscriptions(
        ofCustomer customer: String? = nil, _ take: (_ page: StripeReply<[StripeSubscription]>) async throws -> Bool
    ) async throws {
        var query = [(name: "status", value: "all"), (Self.expand, "data.customer")]
        if let customer { query.append(("customer", customer)) }
        try await pages(StripeSubscription.self, "/subscriptions", query, of: .subscriptions, take)
    }

    /// All products, archived ones included.
    func products() async throws -> StripeReply<[StripeProduct]> {
        try await all(StripeProduct.self, "/products", of: .products)
    }

    /// All prices, archived ones included.
    func prices() async throws -> StripeReply<[StripePrice]> {
        try await all(StripePrice.self, "/prices", of: .prices)
    }

    /// - Returns: `nil` if the account has no such subscription.
    func subscription(_ id: String) async throws -> StripeReply<StripeSubscription>? {
        do {
            return try await get(
                StripeSubscription.self, "/subscriptions/\(percentEncoded(id))", query: [(Self.expand, "customer")],
                of: .subscriptions, to: "read subscription \(printable(id))")
        } catch let error as StripeError where error.code == .notFound {
            return nil
        }
    }

    /// The subscription with all of its items, of which a list shows the first few only.
    func withAllItems(_ reply: StripeReply<StripeSubscription>) async throws -> StripeReply<StripeSubscription> {
        guard reply.value.hasMoreItems else { return reply }
        var whole = reply
        whole.value.items = []
        let query = [(name: "subscription", value: reply.value.id)]
        try await pages(StripeSubscriptionItem.self, "/subscription_items", query, of: .subscriptions) { page in
            whole.value.items += page.value
            whole.time = whole.time.joined(page.time)
            return true
        }
        whole.value.hasMoreItems = false
        return whole
    }

    private func all<Element: StripeObject>(
        _ type: Element.Type, _ path: String, of resource: StripeResource
    ) async throws -> StripeReply<[Element]> {
        var whole: StripeReply<[Element]>?
        try await pages(type, path, [], of: resource) { page in
            if let known = whole {
                let time = known.time.joined(page.time)
                whole = StripeReply(value: known.value + page.value, time: time, requestID: known.requestID)
            } else {
                whole = page
            }
            return true
        }
        return whole!
    }

    private func pages<Element: StripeObject>(
        _ type: Element.Type, _ path: String, _ query: [(name: String, value: String)], of resource: StripeResource,
        _ take: (StripeReply<[Element]>) async throws -> Bool
    ) async throws {
        let operation = "list \(resource.rawValue.lowercased())"
        var cursor: String?
        while true {
            try Task.checkCancellation()
            var items = query + [("limit", String(Self.pageSize))]
            if let cursor { items.append(("starting_after", cursor)) }
            let reply = try await get(StripePage<Element>.self, path, query: items, of: resource, to: operation)
            let page = StripeReply(value: reply.value.data, time: reply.time, requestID: reply.requestID)
            guard try await take(page), reply.value.hasMore else { return }
            // Without this a server that repeats itself would be asked for ever.
            guard let last = reply.value.data.last?.id, last != cursor else {
                var error = StripeError(
                    .unexpectedReply, operation: operation, message: "there is more, but no page of it")
                error.requestID = reply.requestID
                throw error
            }
            cursor = last
        }
    }
}
