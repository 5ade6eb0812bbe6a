import Foundation
import Glibc
import HTTPTransport
import Synchronization

/// One accepted connection: reads requests and answers them until either side ends it.
struct ScriptedConnection {
    let descriptor: Int32
    let number: Int
    let listener: ScriptedListener
    private var buffer = Data()

    init(descriptor: Int32, number: Int, listener: ScriptedListener) {
        self.descriptor = descriptor
        self.number = number
        self.listener = listener
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    consuming func serve() {
        while let request = nextRequest() {
            let reply = listener.reply(to: request)
            guard waited(reply.delay), sent(reply), request.headers["Connection"] != "close" else { return }
        }
    }

    private mutating func nextRequest() -> ScriptedRequest? {
        let separator = Data("\r\n\r\n".utf8)
        while buffer.range(of: separator) == nil {
            guard receive() else {
                return buffer.isEmpty ? nil : note("a request ended within its head")
            }
        }
        let end = buffer.range(of: separator)!
        let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        buffer = Data(buffer[end.upperBound...])
        let words = lines[0].components(separatedBy: " ")
        guard words.count == 3, words[2] == "HTTP/1.1" else { return note("not an HTTP/1.1 request: \(lines[0])") }
        var headers = HTTPHeaders()
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return note("not a header field: \(line)") }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers.append(value, for: String(line[..<colon]))
        }
        guard headers["Transfer-Encoding"] == nil, let length = Int(headers["Content-Length"] ?? "0") else {
            return note("a body without a length: \(lines[0])")
        }
        while buffer.count < length {
            guard receive() else { return note("a request ended within its body: \(lines[0])") }
        }
        let body = Data(buffer.prefix(length))
        buffer = Data(buffer.dropFirst(length))
        var inflated = body
        if headers["Content-Encoding"]?.lowercased() == "gzip" {
            guard let plain = GzipFixture.inflated(body) else { return note("a bad gzip body: \(lines[0])") }
            inflated = plain
        }
        return ScriptedRequest(
            method: words[0], target: words[1], headers: headers, rawBody: body, body: inflated, connection: number,
            index: 0)
    }

    /// Whether the connection may be used again.
    private func sent(_ reply: ScriptedReply) -> Bool {
        switch reply.ending {
        case .complete:
            return send(reply.head + reply.body) && reply.headers["Connection"] != "close"
        case .closed:
            return false
        case .reset:
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
            return false
        case .truncated(let count):
            _ = send(reply.head + reply.body.prefix(count))
            return false
        case .stalled(let count):
            return send(reply.head + reply.body.prefix(count)) && waited(.seconds(3600)) && false
        case .raw(let bytes):
            _ = send(bytes)
            return false
        }
    }

    /// Waits so long; `false` as soon as the client leaves or the server stops.
    private func waited(_ delay: Duration) -> Bool {
        if delay == .zero { return true }
        let milliseconds = Int32(clamping: Int64(delay / .milliseconds(1)))
        let leaves: Int16 = 0x2000  // POLLRDHUP, which Glibc's module leaves out.
        var entry = pollfd(fd: descriptor, events: leaves, revents: 0)
        return poll(&entry, 1, milliseconds) == 0
    }

    private mutating func receive() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count > 0 { buffer += chunk[..<count] }
        return count > 0
    }

    private func send(_ data: Data) -> Bool {
        data.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                let count = Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                if count <= 0 { return false }
                offset += count
            }
            return true
        }
    }

    private func note(_ problem: String) -> ScriptedRequest? {
        listener.record.withLock { $0.unexpected.append(problem) }
        return nil
    }
}
