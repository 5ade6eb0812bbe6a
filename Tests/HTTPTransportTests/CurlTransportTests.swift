import Foundation
import HTTPTransport
import TestSupport
import Testing

@Suite struct CurlTransportTests {
    @Test(arguments: [HTTPRequest.Method.get, .post, .patch, .put, .delete])
    func sendsMethodQueryHeadersAndBody(method: HTTPRequest.Method) async throws {
        let server = try ScriptedServer(replies: [.json(#"{"ok":true}"#, status: 201, headers: ["X-Reply": "yes"])])
        let body = method == .get ? nil : Data(#"{"a":1}"#.utf8)
        let headers: HTTPHeaders = ["Content-Type": "application/json", "X-Empty": "", "Authorization": "Bearer abc"]

        let response = try await CurlTransport().send(
            HTTPRequest(method, server.url + "/v2/p%20q?a=1&b=x%26y", headers: headers, body: body))

        let request = try #require(server.requests.first)
        #expect(response.status == 201)
        #expect(response.headers["x-reply"] == "yes")
        #expect(response.body == Data(#"{"ok":true}"#.utf8))
        #expect(request.method == method.rawValue)
        #expect(request.target == "/v2/p%20q?a=1&b=x%26y")
        #expect(request.query == ["a": "1", "b": "x&y"])
        #expect(request.rawBody == body ?? Data())
        #expect(request.headers["Content-Type"] == "application/json")
        #expect(request.headers["X-Empty"] == "")
        #expect(request.headers["Authorization"] == "Bearer abc")
        #expect(request.headers["Accept-Encoding"] == "gzip")
        #expect(request.headers["User-Agent"] == "scheduler-jobs (gzip)")
        #expect(request.headers["Expect"] == nil)
        #expect(request.headers["Cookie"] == nil)
    }

    @Test(arguments: [HTTPRequest.Method.post, .put, .patch, .delete])
    func sendsNoBodyWhereThereIsNone(method: HTTPRequest.Method) async throws {
        let server = try ScriptedServer(replies: [.init(status: 204)])

        let response = try await CurlTransport().send(HTTPRequest(method, server.url))

        #expect(response.status == 204)
        #expect(response.body.isEmpty)
        #expect(server.requests.map(\.rawBody) == [Data()])
        #expect(server.requests[0].headers["Content-Length"] == (method == .delete ? nil : "0"))
        #expect(server.requests[0].headers["Content-Type"] == nil)
    }

    @Test(arguments: [400, 401, 404, 412, 429, 500, 503])
    func anyStatusIsAResponse(status: Int) async throws {
        let server = try ScriptedServer(replies: [.json("{}", status: status)])

        let response = try await CurlTransport().send(HTTPRequest(.get, server.url))

        #expect(response.status == status)
    }

    @Test func leavesInterimResponsesOut() async throws {
        let bytes =
            "HTTP/1.1 103 Early Hints\r\nX-A: early\r\n\r\nHTTP/1.1 200 OK\r\nX-A: final\r\nContent-Length: 2\r\n\r\nok"
        let server = try ScriptedServer(replies: [.rawBytes(Data(bytes.utf8))])

        let response = try await CurlTransport().send(HTTPRequest(.get, server.url))

        #expect(response.headers.fields.filter { $0.name == "X-A" }.map(\.value) == ["final"])
        #expect(response.body == Data("ok".utf8))
    }

    @Test func readsChunkedBodies() async throws {
        let bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        let server = try ScriptedServer(replies: [.rawBytes(Data(bytes.utf8))])

        let response = try await CurlTransport().send(HTTPRequest(.get, server.url))

        #expect(response.body == Data("abcde".utf8))
    }

    @Test func followsNoRedirect() async throws {
        let server = try ScriptedServer(replies: [.init(status: 302, headers: ["Location": "/elsewhere"])])

        let response = try await CurlTransport().send(HTTPRequest(.get, server.url))

        #expect(response.status == 302)
        #expect(response.headers["Location"] == "/elsewhere")
        #expect(server.requests.count == 1)
    }

    @Test func keepsNoCookies() async throws {
        let server = try ScriptedServer { _ in .text("ok", headers: ["Set-Cookie": "a=b; Path=/"]) }
        let transport = CurlTransport()

        for _ in 1...2 { _ = try await transport.send(HTTPRequest(.get, server.url)) }

        #expect(server.requests.allSatisfy { $0.headers["Cookie"] == nil })
    }
}

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
