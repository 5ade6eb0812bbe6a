import Foundation
import HTTPTransport
import TestSupport
import Testing

@Suite struct RefusedRequestTests {
    @Test(arguments: [
        ("X-A", "one\r\nX-B: two"), ("X-A", "one\nX-B: two"), ("X-A", "one\rtwo"), ("X-A", "one\0two"),
        ("X-A\r\nX-B", "one"), ("X-A: one\nX-B", "two"), ("X A", "one"), ("X-A\0", "one"), ("", "one"), ("X-Ä", "one"),
        ("Content-Length", "5"), ("transfer-encoding", "chunked"),
    ])
    func headersThatWouldChangeTheRequest(name: String, value: String) async throws {
        let server = try ScriptedServer(replies: [])
        var headers: HTTPHeaders = [:]
        headers.append(value, for: name)

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await CurlTransport().send(HTTPRequest(.post, server.url + "/a", headers: headers))
        }

        #expect(error?.code == .invalidRequest)
        #expect(error?.isRetryable == false)
        #expect(error?.description.contains("two") == false)
        #expect(server.connections == 0)
    }

    @Test(arguments: [
        "", "/relative", "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "http://", "https:///path",
        "http://user:secret@127.0.0.1/", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/é",
        "http://127.0.0.1:port/", "http://127.0.0.1:99999/",
    ])
    func addressesThatAreNotHTTP(url: String) async throws {
        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await CurlTransport().send(HTTPRequest(.get, url))
        }

        #expect(error?.code == .invalidRequest)
        #expect(error?.description.contains("secret") == false)
        #expect(error?.description.contains("\n") == false)
    }
}
