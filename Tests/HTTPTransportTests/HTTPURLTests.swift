import HTTPTransport
import Testing

@Suite struct HTTPURLTests {
    @Test func dividesAURLIntoItsParts() throws {
        let url = try HTTPURL("https://API.example.com:8443/v1/a%20b@c?x=1&y=/?#part?")

        #expect(url.scheme == .https)
        #expect(url.host == "api.example.com")
        #expect(url.port == 8443)
        #expect(url.path == "/v1/a%20b@c")
        #expect(url.query == "x=1&y=/?")
        #expect(url.origin == "https://api.example.com:8443")
        #expect(url.shown == "https://api.example.com:8443/v1/a%20b@c")
        #expect(url.text == "https://API.example.com:8443/v1/a%20b@c?x=1&y=/?#part?")
    }

    @Test(
        arguments: [
            ("http://a", "a", nil, "", nil), ("http://a/", "a", nil, "/", nil), ("http://a?", "a", nil, "", ""),
            ("http://a#?", "a", nil, "", nil), ("http://[::1]", "[::1]", nil, "", nil),
            ("http://[2001:DB8::1]:65535/x", "[2001:db8::1]", 65535, "/x", nil),
            ("http://my_host:1", "my_host", 1, "", nil),
        ] as [(String, String, UInt16?, String, String?)])
    func absentPartsAreAbsent(text: String, host: String, port: UInt16?, path: String, query: String?) throws {
        let url = try HTTPURL(text)

        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.path == path)
        #expect(url.query == query)
    }

    @Test(
        arguments: [
            ("", .scheme), ("a.example/x", .scheme), ("ftp://a.example/", .scheme), ("HTTPS://a.example/", .scheme),
            ("https:/a.example", .scheme), ("file:///etc/passwd", .scheme), ("https://", .host), ("https:///x", .host),
            ("https://?x", .host), ("https://:80/", .host), ("http://[::1/", .host), ("http://[::1]x/", .port),
            ("http://[]/", .host), ("http://[x]/", .host), ("http://%6cocalhost/", .host), ("http://a,b/", .host),
            ("https://a.example:0/", .port), ("https://a.example:/", .port), ("https://a.example:x/", .port),
            ("https://a.example:+80/", .port), ("https://a.example:65536/", .port),
            ("https://a@evil.example/", .userInfo),
            ("http://localhost:1@evil.example/", .userInfo), ("http://@a/", .userInfo),
            ("http://127.0.0.1\\@evil.example/", .characters), ("https://a.example/ b", .characters),
            ("https://a.example/\r\nHost: b", .characters), ("https://a.example/\0", .characters),
            ("https://bücher.example/", .characters), ("https://a.example/{x}", .characters),
            ("https://a\u{7F}/", .characters),
        ] as [(String, HTTPURL.Problem)])
    func refusesTextInWhichAnotherReaderMightFindAnotherHost(text: String, problem: HTTPURL.Problem) {
        #expect(throws: problem) { try HTTPURL(text) }
    }

    @Test(
        arguments: [
            ("https://a/x", .path, .path), ("https://a/", .path, .path),
            ("https://a?x", .query, .query), ("https://a/x?", .query, .query), ("https://a#x", .fragment, .fragment),
            ("https://a/x#?", [.query, .fragment], .fragment),
        ] as [(String, HTTPURL.Part, HTTPURL.Problem)])
    func refusesPartsOnRequest(text: String, parts: HTTPURL.Part, problem: HTTPURL.Problem) throws {
        #expect(throws: problem) { try HTTPURL(text, refusing: parts) }
        #expect(throws: Never.self) { try HTTPURL(text) }
    }

    @Test(arguments: [
        ("http://localhost", true), ("http://LOCALHOST:1/x", true), ("http://127.0.0.1:80", true),
        ("http://[::1]:9/", true),
        ("http://127.0.0.2/", false), ("http://localhost.evil.example/", false),
        ("http://evil.example/localhost", false),
        ("http://[::2]/", false), ("http://0.0.0.0/", false), ("http://127.1/", false), ("http://localhost./", false),
    ])
    func recognizesThisMachine(text: String, isThisMachine: Bool) throws {
        #expect(try HTTPURL(text).isThisMachine == isThisMachine)
    }

    @Test(arguments: [
        ("", ""), ("aZ09-._~", "aZ09-._~"), ("a b&c=d/e?f", "a%20b%26c%3Dd%2Fe%3Ff"), ("é%\0\n", "%C3%A9%25%00%0A"),
        ("+'\"`", "%2B%27%22%60"),
    ])
    func encodesEverythingButUnreservedCharacters(text: String, encoded: String) {
        #expect(percentEncoded(text) == encoded)
    }

    @Test func leavesAllowedCharactersAsTheyAre() {
        #expect(percentEncoded("a/b:c d", allowing: "/:") == "a/b:c%20d")
    }
}
