import JobRuntime

extension StripeClient {
    /// Hands over every subscription of the account, or of one customer, canceled ones included, page by page as they come in.
    ///
    /// It returns when the list was read to its end; whatever kept it from that is thrown. A subscription that is made
    /// meanwhile is missing, since the newest come first, and one may come twice when others move.
    func subscriptions(
        ofCustomer customer: String? = nil, _ take: (_ page: StripeReply<[StripeSubscription]>) async throws -> Void
    ) async throws {
        var query = [(name: "status", value: "all")]
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
                StripeSubscription.self, "/subscriptions/\(percentEncoded(id))", of: .subscriptions,
                to: "read subscription \(printable(id))")
        } catch let error as StripeError where error.code == .notFound {
            return nil
        }
    }

    /// - Returns: `nil` if the account has no such customer, or deleted it.
    func customer(_ id: String) async throws -> StripeCustomer? {
        do {
            let reply = try await get(
                StripeCustomer.self, "/customers/\(percentEncoded(id))", of: .customers,
                to: "read customer \(printable(id))")
            return reply.value.isDeleted ? nil : reply.value
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
        }
        whole.value.hasMoreItems = false
        return whole
    }

    private func all<Element: StripeObject>(
        _ type: Element.Type, _ path: String, of resource: StripeResource
    ) async throws -> StripeReply<[Element]> {
        var whole: StripeReply<[Element]>?
        try await pages(type, path, [], of: resource) { page in
            guard var known = whole else { return whole = page }
            known.value += page.value
            known.time = known.time.joined(page.time)
            whole = known
        }
        return whole!
    }

    private func pages<Element: StripeObject>(
        _ type: Element.Type, _ path: String, _ query: [(name: String, value: String)], of resource: StripeResource,
        _ take: (StripeReply<[Element]>) async throws -> Void
    ) async throws {
        let operation = "list \(resource.rawValue.lowercased())"
        var cursor: String?
        while true {
            try Task.checkCancellation()
            var items = query + [("limit", String(Self.pageSize))]
            if let cursor { items.append(("starting_after", cursor)) }
            let reply = try await get(StripePage<Element>.self, path, query: items, of: resource, to: operation)
            try await take(StripeReply(value: reply.value.data, time: reply.time, requestID: reply.requestID))
            guard reply.value.hasMore else { return }
            // Without this a server that repeats itself would be asked for ever.
            guard let last = reply.value.data.last?.id, last != cursor else {
                throw StripeError(.unexpectedReply, operation: operation, message: "there is more, but no page of it")
            }
            cursor = last
        }
    }
}
