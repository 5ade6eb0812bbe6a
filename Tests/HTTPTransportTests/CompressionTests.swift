import Foundation
import HTTPTransport
import TestSupport
import Testing

@Suite struct CompressionTests {
    private static let json = #"{"rows":[\#(String(repeating: #"{"a":"abcdef"},"#, count: 2_000))null]}"#

    @Test func inflatesResponses() async throws {
        let server = try ScriptedServer(replies: [.gzip(Self.json)])

        let response = try await CurlTransport().send(HTTPRequest(.get, server.url))

        #expect(response.body == Data(Self.json.utf8))
        #expect(response.headers["Content-Encoding"] == nil)
        #expect(response.headers["Content-Length"] == nil)
        #expect(response.headers["Content-Type"] == "application/json; charset=UTF-8")
    }

    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 131_072])
    func inflatesWhatWasCompressed(count: Int) throws {
        let data = Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) })

        #expect(try Gzip.inflate(Gzip.compress(data), limit: count) == data)
        #expect(GzipFixture.inflated(Gzip.compress(data)) == data)
    }

    @Test(arguments: [
        Data("garbage that is no gzip stream".utf8),
        GzipFixture.compressed(Data(json.utf8)).dropLast(1),
        GzipFixture.compressed(Data(json.utf8)).prefix(40),
        GzipFixture.compressed(Data(json.utf8)).prefix(5),
        GzipFixture.compressed(Data(json.utf8)) + [0],
        wrongChecksum(),
    ])
    func refusesWhatIsNotOneWholeGzipStream(body: Data) async throws {
        let server = try ScriptedServer(replies: [.init(headers: ["Content-Encoding": "gzip"], body: Data(body))])

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await CurlTransport().send(HTTPRequest(.get, server.url))
        }

        #expect(error?.code == .invalidCompressedBody)
        #expect(error?.isRetryable == true)
    }

    @Test func refusesAStreamOfNoBytesOnlyWhereABodyWasMeant() async throws {
        let cut = Data("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n".utf8)
        let server = try ScriptedServer(replies: [
            .init(status: 304, headers: ["Content-Encoding": "gzip"]), .init(headers: ["Content-Encoding": "gzip"]),
            .rawBytes(cut),
        ])
        let transport = CurlTransport()

        #expect(try await transport.send(HTTPRequest(.get, server.url)).body.isEmpty)
        #expect(try await transport.send(HTTPRequest(.get, server.url)).body.isEmpty)
        await #expect(throws: HTTPTransportError.self) { _ = try await transport.send(HTTPRequest(.get, server.url)) }
    }

    @Test func leavesFormsAsTheyAre() async throws {
        let server = try ScriptedServer(replies: [.json("{}")])
        let form = Data("subject_token=\(String(repeating: "x", count: 8_000))".utf8)

        _ = try await CurlTransport().send(
            HTTPRequest(
                .post, server.url, headers: ["Content-Type": "application/x-www-form-urlencoded"], body: form))

        #expect(server.requests.first?.rawBody == form)
    }

    @Test func refusesEncodingsThatItDidNotAskFor() async throws {
        let server = try ScriptedServer(replies: [.text("abc", headers: ["Content-Encoding": "br"])])

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await CurlTransport().send(HTTPRequest(.get, server.url))
        }

        #expect(error?.code == .invalidCompressedBody)
    }

    @Test func boundsTheInflatedSize() async throws {
        let bomb = GzipFixture.compressed(Data(count: 50 << 20))
        let server = try ScriptedServer(replies: [.init(headers: ["Content-Encoding": "gzip"], body: bomb)])
        var configuration = CurlTransport.Configuration()
        configuration.maxResponseBytes = 1 << 20
        let transport = CurlTransport(configuration)

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await transport.send(HTTPRequest(.get, server.url))
        }

        #expect(bomb.count < configuration.maxResponseBytes)
        #expect(error?.code == .bodyTooLarge)
    }

    @Test func theBoundItselfIsAllowed() throws {
        let packed = Gzip.compress(Data(count: 100_000))

        #expect(try Gzip.inflate(packed, limit: 100_000).count == 100_000)
        #expect(throws: Gzip.Failure.self) { try Gzip.inflate(packed, limit: 99_999) }
    }

    @Test(arguments: [(4096, false), (4097, true)])
    func compressesLargeRequestBodies(count: Int, isCompressed: Bool) async throws {
        let server = try ScriptedServer(replies: [.text("ok")])
        let body = Data(Self.json.utf8).prefix(count)

        _ = try await CurlTransport().send(HTTPRequest(.post, server.url, body: body))

        let request = try #require(server.requests.first)
        #expect(request.headers["Content-Encoding"] == (isCompressed ? "gzip" : nil))
        #expect((request.rawBody.count < count) == isCompressed)
        #expect(request.body == body)
        #expect(server.unexpected == [])
    }

    @Test func compressesNothingThatIsEncodedOrWhenToldNotTo() async throws {
        let server = try ScriptedServer { _ in .text("ok") }
        let body = Data(Self.json.utf8)
        var configuration = CurlTransport.Configuration()
        configuration.compressBodiesOver = nil

        _ = try await CurlTransport().send(
            HTTPRequest(.post, server.url, headers: ["content-encoding": "identity"], body: body))
        _ = try await CurlTransport(configuration).send(HTTPRequest(.post, server.url, body: body))

        #expect(server.requests.map(\.rawBody) == [body, body])
    }

    private static func wrongChecksum() -> Data {
        var packed = GzipFixture.compressed(Data(json.utf8))
        packed[packed.count - 8] ^= 1
        return packed
    }
}
