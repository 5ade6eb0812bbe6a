import Foundation
import Glibc
import HTTPTransport
import TestSupport
import Testing

@Suite struct ProxyTests {
    /// In a process of its own, since the variables would reach every other test.
    @Test func variablesAreHonored() async {
        await #expect(processExitsWith: .success) {
            let proxy = try ScriptedServer { _ in .text("from the proxy") }
            setenv("http_proxy", proxy.url, 1)
            setenv("NO_PROXY", "excepted.invalid", 1)
            unsetenv("no_proxy")
            let transport = CurlTransport()

            let proxied = try await transport.send(HTTPRequest(.get, "http://somewhere.invalid/path?a=1"))
            let excepted = await #expect(throws: HTTPTransportError.self) {
                _ = try await transport.send(HTTPRequest(.get, "http://excepted.invalid/"))
            }

            try #require(proxied.body == Data("from the proxy".utf8))
            try #require(proxy.requests.map(\.target) == ["http://somewhere.invalid/path?a=1"])
            try #require(proxy.requests.map(\.path) == ["/path"])
            try #require(excepted?.code == .nameNotResolved)
        }
    }

    /// Plain text is allowed to this machine because it does not leave it, so it must not leave through a proxy either.
    @Test(arguments: ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
    func thisMachineIsNotAskedThroughAProxy(host: String) async {
        await #expect(processExitsWith: .success) { [host = host as String] in
            let proxy = try ScriptedServer { _ in .text("from the proxy") }
            let direct = try ScriptedServer { _ in .text("direct") }
            for name in ["http_proxy", "https_proxy", "all_proxy"] { setenv(name, proxy.url, 1) }
            unsetenv("no_proxy")
            unsetenv("NO_PROXY")
            let port = direct.url.split(separator: ":").last ?? ""

            let body = try? await CurlTransport().send(HTTPRequest(.get, "http://\(host):\(port)/")).body

            // The server listens only on IPv4. The proxy must hear nothing in any case.
            try #require(body == Data("direct".utf8) || host == "[::1]")
            try #require(proxy.requests.isEmpty)
        }
    }

    @Test func aProxyThatRefusesIsNotAskedAgain() async {
        await #expect(processExitsWith: .success) {
            let proxy = try ScriptedServer { _ in ScriptedReply(status: 407) }
            setenv("https_proxy", proxy.url, 1)
            unsetenv("no_proxy")
            unsetenv("NO_PROXY")

            let error = await #expect(throws: HTTPTransportError.self) {
                _ = try await CurlTransport().send(HTTPRequest(.get, "https://somewhere.invalid/"))
            }

            try #require(error?.code == .proxyRefused)
            try #require(error?.certainty == .notDone)
            try #require(error?.isRetryable == false)
            try #require(error?.message == "the proxy refused the connection with HTTP status 407")
        }
    }

    @Test(arguments: ["strange://user:secret@127.0.0.1:1", "http://user:secret@127.0.0.1:bad"])
    func thePasswordIsNotInTheError(proxy: String) async {
        await #expect(processExitsWith: .success) { [proxy = proxy as String] in
            setenv("http_proxy", proxy, 1)
            unsetenv("no_proxy")
            unsetenv("NO_PROXY")

            let error = await #expect(throws: HTTPTransportError.self) {
                _ = try await CurlTransport().send(HTTPRequest(.get, "http://somewhere.invalid/"))
            }

            try #require(error?.description.contains("secret") == false)
        }
    }
}
