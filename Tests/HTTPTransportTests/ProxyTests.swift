import Foundation
import Glibc
import HTTPTransport
import TestSupport
import Testing

@Suite struct ProxyTests {
    /// In a process of its own, since the variables would reach every other test.
    @Test func variablesAreHonoured() async {
        await #expect(processExitsWith: .success) {
            let proxy = try ScriptedServer { _ in .text("from the proxy") }
            let direct = try ScriptedServer { _ in .text("direct") }
            setenv("http_proxy", proxy.url, 1)
            setenv("NO_PROXY", "127.0.0.1", 1)
            unsetenv("no_proxy")
            let transport = CurlTransport()

            let proxied = try await transport.send(HTTPRequest(.get, "http://somewhere.invalid/path?a=1"))
            let excepted = try await transport.send(HTTPRequest(.get, direct.url))

            try #require(proxied.body == Data("from the proxy".utf8))
            try #require(proxy.requests.map(\.target) == ["http://somewhere.invalid/path?a=1"])
            try #require(proxy.requests.map(\.path) == ["/path"])
            try #require(excepted.body == Data("direct".utf8))
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
