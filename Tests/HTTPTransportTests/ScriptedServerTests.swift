import Foundation
import FoundationNetworking
import TestSupport
import Testing

@Suite struct ScriptedServerTests {
    @Test func answersInOrderAndListsWhatTheScriptDoesNotKnow() async throws {
        let server = try ScriptedServer(replies: [.json(#"{"a":1}"#), .gzip(#"{"b":2}"#, status: 404)])
        let url = URL(string: server.url + "/some/path?name=a%20b+c&x=")!

        var answers: [String] = []
        for _ in 1...3 {
            let (data, response) = try await URLSession.shared.data(from: url)
            answers.append("\((response as! HTTPURLResponse).statusCode) \(String(decoding: data, as: UTF8.self))")
        }

        #expect(answers.prefix(2) == [#"200 {"a":1}"#, #"404 {"b":2}"#])
        #expect(answers[2].hasPrefix("599"))
        #expect(server.unexpected.count == 1)
        #expect(server.requests.map(\.index) == [0, 1, 2])
        #expect(server.requests[0].path == "/some/path")
        #expect(server.requests[0].query == ["name": "a b c", "x": ""])
        #expect(server.requests[0].method == "GET")
    }

    @Test func showsBodiesInflated() async throws {
        let server = try ScriptedServer { request in .text(request.text) }
        var request = URLRequest(url: URL(string: server.url)!)
        request.httpMethod = "POST"
        request.setValue("gzip", forHTTPHeaderField: "Content-Encoding")
        request.httpBody = GzipFixture.compressed(Data("hello".utf8))

        let (data, _) = try await URLSession.shared.data(for: request)

        #expect(String(decoding: data, as: UTF8.self) == "hello")
        #expect(server.requests.first?.rawBody == request.httpBody)
        #expect(server.unexpected == [])
    }

    @Test(arguments: [ScriptedReply.closeWithoutReply, .reset, .rawBytes(Data("nonsense".utf8))])
    func failsAsTold(reply: ScriptedReply) async throws {
        let server = try ScriptedServer(replies: [reply])

        await #expect(throws: URLError.self) {
            _ = try await URLSession.shared.data(from: URL(string: server.url)!)
        }
    }

    @Test func stopEndsAnAnswerThatIsStillWaiting() async throws {
        let server = try ScriptedServer { _ in .delayed(.seconds(3600), .text("late")) }
        let url = URL(string: server.url)!
        let call = Task { try await URLSession.shared.data(from: url) }
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }

        server.stop()

        await #expect(throws: URLError.self) { _ = try await call.value }
    }
}
