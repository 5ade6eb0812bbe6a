import Synchronization

/// A real HTTP/1.1 server on a free port of 127.0.0.1 whose answers a test scripts.
///
/// Each connection has a thread of its own and is kept alive. The server stops when it is released.
package final class ScriptedServer: Sendable {
    package typealias Handler = @Sendable (ScriptedRequest) -> ScriptedReply

    private let listener: ScriptedListener

    /// Calls the handler for each request, at the same time for different connections.
    package init(_ handler: @escaping Handler) throws {
        listener = try ScriptedListener(handler: handler)
    }

    /// Gives one reply after the other; a request beyond the last gets 599 and is listed in ``unexpected``.
    package init(replies: [ScriptedReply]) throws {
        listener = try ScriptedListener { request in
            request.index < replies.count ? replies[request.index] : nil
        }
    }

    deinit { stop() }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    package var url: String { "http://127.0.0.1:\(listener.port)" }

    package var port: Int { Int(listener.port) }

    /// All requests so far, in the order in which their last byte arrived.
    package var requests: [ScriptedRequest] { listener.record.withLock { $0.requests } }

    /// What no test should see: requests beyond the script and requests that were not HTTP. Expect it to be empty.
    package var unexpected: [String] { listener.record.withLock { $0.unexpected } }

    /// How many connections were accepted so far.
    package var connections: Int { listener.record.withLock { $0.connections } }

    /// How many of them are open now.
    package var openConnections: Int { listener.record.withLock { $0.open.count } }

    /// Closes all connections and refuses new ones. May be called again.
    package func stop() { listener.stop() }
}
