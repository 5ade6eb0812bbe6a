import CZlib
package import Foundation
package import HTTPTransport
import Synchronization

/// A real HTTP/1.1 server on a free port of 127.0.0.1. The test scripts its answers.
///
/// Each connection has a thread of its own and is kept alive. The server stops when it is released.
package final class ScriptedServer: Sendable {
    package typealias Handler = @Sendable (ScriptedRequest) -> ScriptedReply

    private let listener: ScriptedListener

    /// Calls the handler for each request, at the same time for different connections.
    package init(_ handler: @escaping Handler) throws {
        listener = try ScriptedListener(handler: handler)
    }

    /// Sends one reply after the other. A request beyond the last gets 599, and ``unexpected`` lists it.
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

    /// The faults of a test: requests beyond the script and requests that were not HTTP. Expect this to be empty.
    package var unexpected: [String] { listener.record.withLock { $0.unexpected } }

    /// How many connections were accepted so far.
    package var connections: Int { listener.record.withLock { $0.connections } }

    /// How many of them are open now.
    package var openConnections: Int { listener.record.withLock { $0.open.count } }

    /// Closes all connections and refuses new ones. May be called again.
    package func stop() { listener.stop() }
}

/// The reaction of a ``ScriptedServer`` to one request: a whole response, or one of the ways to fail.
package struct ScriptedReply: Sendable {
    enum Ending {
        case complete
        case closed
        case reset
        case truncated(after: Int)
        case stalled(after: Int)
        case raw(Data)
    }

    package var status: Int
    package var headers: HTTPHeaders
    package var body: Data
    var ending = Ending.complete
    var delay = Duration.zero

    package init(status: Int = 200, headers: HTTPHeaders = [:], body: Data = Data()) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package static func json(_ text: String, status: Int = 200, headers: HTTPHeaders = [:]) -> Self {
        typed("application/json; charset=UTF-8", text, status, headers)
    }

    package static func text(_ text: String, status: Int = 200, headers: HTTPHeaders = [:]) -> Self {
        typed("text/plain; charset=UTF-8", text, status, headers)
    }

    /// JSON with `Content-Encoding: gzip`.
    package static func gzip(_ json: String, status: Int = 200, headers: HTTPHeaders = [:]) -> Self {
        var reply = Self.json(json, status: status, headers: headers)
        reply.headers["Content-Encoding"] = "gzip"
        reply.body = GzipFixture.compressed(reply.body)
        return reply
    }

    /// Reads the request and closes the connection: the work was done and the answer was lost.
    package static var closeWithoutReply: Self { ending(.closed) }

    /// Reads the request and resets the connection (RST).
    package static var reset: Self { ending(.reset) }

    /// Announces the whole body, sends its first bytes and closes.
    package static func truncated(_ body: Data, afterBytes: Int) -> Self {
        ending(.truncated(after: afterBytes), body: body)
    }

    /// Announces the whole body, sends its first bytes and is silent until the client leaves or the server stops.
    package static func stalled(_ body: Data, afterBytes: Int) -> Self {
        ending(.stalled(after: afterBytes), body: body)
    }

    /// Sends these bytes and nothing else, and closes the connection.
    package static func rawBytes(_ bytes: Data) -> Self { ending(.raw(bytes)) }

    /// Sends the reply after some time, unless the client leaves or the server stops before.
    package static func delayed(_ delay: Duration, _ reply: ScriptedReply) -> Self {
        var reply = reply
        reply.delay += delay
        return reply
    }

    /// Status line, headers and the announced length.
    var head: Data {
        var headers = headers
        if headers["Content-Length"] == nil, headers["Transfer-Encoding"] == nil, status != 204 {
            headers["Content-Length"] = String(body.count)
        }
        let fields = headers.fields.map { "\($0.name): \($0.value)\r\n" }.joined()
        return Data("HTTP/1.1 \(status) Scripted\r\n\(fields)\r\n".utf8)
    }

    private static func typed(_ type: String, _ text: String, _ status: Int, _ headers: HTTPHeaders) -> Self {
        var reply = Self(status: status, headers: headers, body: Data(text.utf8))
        if reply.headers["Content-Type"] == nil { reply.headers["Content-Type"] = type }
        return reply
    }

    private static func ending(_ ending: Ending, body: Data = Data()) -> Self {
        var reply = Self(body: body)
        reply.ending = ending
        return reply
    }
}

/// A request as it arrived at a ``ScriptedServer``.
package struct ScriptedRequest: Sendable {
    package var method: String
    /// The target of the request line: a path, or a whole URL where the client believes that this is a proxy.
    package var target: String
    package var headers: HTTPHeaders
    /// The body as it came over the wire.
    package var rawBody: Data
    /// The body, inflated when it came with `Content-Encoding: gzip`.
    package var body: Data
    /// Counts the server's connections from 0; requests with the same number shared one.
    package var connection: Int
    /// Counts the server's requests from 0.
    package var index: Int

    /// A request of a client in this process, without a server.
    package init(_ request: HTTPRequest, index: Int) {
        method = request.method.rawValue
        target = request.url
        headers = request.headers
        rawBody = request.body ?? Data()
        body = rawBody
        connection = 0
        self.index = index
    }

    init(
        method: String, target: String, headers: HTTPHeaders, rawBody: Data, body: Data, connection: Int, index: Int
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.rawBody = rawBody
        self.body = body
        self.connection = connection
        self.index = index
    }

    /// The target without scheme, host and query, still percent-encoded.
    package var path: String {
        var rest = target.prefix { $0 != "?" }
        if let scheme = rest.range(of: "://") {
            rest = rest[scheme.upperBound...].drop { $0 != "/" }
        }
        return String(rest)
    }

    /// The query's values, decoded; of a repeated name, the last.
    package var query: [String: String] {
        var values: [String: String] = [:]
        for pair in target.drop(while: { $0 != "?" }).dropFirst().split(separator: "&") {
            let name = pair.prefix { $0 != "=" }
            values[Self.decoded(name)] = Self.decoded(pair.dropFirst(name.count + 1))
        }
        return values
    }

    /// The body as text.
    package var text: String { String(decoding: body, as: UTF8.self) }

    private static func decoded(_ text: Substring) -> String {
        let spaced = text.replacingOccurrences(of: "+", with: " ")
        return spaced.removingPercentEncoding ?? spaced
    }
}

/// Gzip for the other end of the wire, independent of the code under test.
package enum GzipFixture {
    package static func compressed(_ data: Data) -> Data {
        var stream = z_stream()
        precondition(gzip_deflate_init(&stream, Z_DEFAULT_COMPRESSION) == Z_OK)
        defer { deflateEnd(&stream) }
        let output = run(&stream, on: data) { deflate($0, Z_FINISH) }
        precondition(output.result == Z_STREAM_END)
        return output.data
    }

    /// `nil` when the data is not exactly one whole gzip member.
    package static func inflated(_ data: Data) -> Data? {
        var stream = z_stream()
        precondition(gzip_inflate_init(&stream) == Z_OK)
        defer { inflateEnd(&stream) }
        let output = run(&stream, on: data) { inflate($0, Z_NO_FLUSH) }
        return output.result == Z_STREAM_END && stream.avail_in == 0 ? output.data : nil
    }

    private static func run(
        _ stream: inout z_stream, on data: Data, step: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> (result: Int32, data: Data) {
        var input = [UInt8](data)
        var output = Data()
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let result = input.withUnsafeMutableBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            while true {
                let (result, count) = chunk.withUnsafeMutableBufferPointer { chunk in
                    stream.next_out = chunk.baseAddress
                    stream.avail_out = UInt32(chunk.count)
                    return (step(&stream), chunk.count - Int(stream.avail_out))
                }
                output += chunk[..<count]
                if result != Z_OK { return result }
            }
        }
        return (result, output)
    }
}
