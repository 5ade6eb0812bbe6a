package import Foundation
package import HTTPTransport

/// What a ``ScriptedServer`` does about one request: a whole response, or one of the ways not to give one.
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

    /// The request is read, then the connection is closed: the work was done and the answer got lost.
    package static var closeWithoutReply: Self { ending(.closed) }

    /// The request is read, then the connection is reset (RST).
    package static var reset: Self { ending(.reset) }

    /// Announces the whole body, sends its first bytes and closes.
    package static func truncated(_ body: Data, afterBytes: Int) -> Self {
        ending(.truncated(after: afterBytes), body: body)
    }

    /// Announces the whole body, sends its first bytes and keeps silent until the client leaves or the server stops.
    package static func stalled(_ body: Data, afterBytes: Int) -> Self {
        ending(.stalled(after: afterBytes), body: body)
    }

    /// These bytes and nothing else, then the connection is closed.
    package static func rawBytes(_ bytes: Data) -> Self { ending(.raw(bytes)) }

    /// The reply after some time; at once nothing when the client leaves or the server stops before.
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
