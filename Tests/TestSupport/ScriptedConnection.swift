import Foundation
import Glibc
import HTTPTransport
import Synchronization

/// The listening socket and the record of its requests. Its threads keep it alive, the ``ScriptedServer`` does not.
final class ScriptedListener: Sendable {
    struct Record {
        var requests: [ScriptedRequest] = []
        var unexpected: [String] = []
        var connections = 0
        var open: Set<Int32> = []
        var isStopped = false
    }

    let record = Mutex(Record())
    let port: UInt16
    private let socket: Int32
    private let handler: @Sendable (ScriptedRequest) -> ScriptedReply?

    /// A handler returns `nil` for a request that the script does not answer.
    init(handler: @escaping @Sendable (ScriptedRequest) -> ScriptedReply?) throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, size) == 0 && listen(socket, 512) == 0 ? getsockname(socket, address, &size) : -1
            }
        }
        guard result == 0 else {
            let code = POSIXErrorCode(rawValue: errno) ?? .EIO
            close(socket)
            throw POSIXError(code)
        }
        self.socket = socket
        self.handler = handler
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { self.acceptConnections() }
    }

    func stop() {
        record.withLock { record in
            if record.isStopped { return }
            record.isStopped = true
            // Wakes the threads that wait in accept, recv or poll; each closes its own descriptor.
            shutdown(socket, Int32(SHUT_RDWR))
            for descriptor in record.open { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    func reply(to request: ScriptedRequest) -> ScriptedReply {
        var request = request
        request.index = record.withLock { record in
            request.index = record.requests.count
            record.requests.append(request)
            return request.index
        }
        if let reply = handler(request) { return reply }
        let problem = "request \(request.index) has no reply: \(request.method) \(request.target)"
        record.withLock { $0.unexpected.append(problem) }
        return .text(problem, status: 599)
    }

    private func acceptConnections() {
        while true {
            let descriptor = accept(socket, nil, nil)
            if descriptor < 0, errno == EINTR || errno == ECONNABORTED { continue }
            // A process that a test starts would otherwise keep the connection open.
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            let number = record.withLock { record -> Int? in
                if descriptor < 0 || record.isStopped { return nil }
                record.open.insert(descriptor)
                record.connections += 1
                return record.connections - 1
            }
            guard let number else {
                if descriptor >= 0 { close(descriptor) }
                break
            }
            Thread.detachNewThread {
                ScriptedConnection(descriptor: descriptor, number: number, listener: self).serve()
                self.end(descriptor)
            }
        }
        stop()
        close(socket)
    }

    private func end(_ descriptor: Int32) {
        // Under the lock, so that stop() never meets a number that was given out again.
        _ = record.withLock { record in
            record.open.remove(descriptor)
            return close(descriptor)
        }
    }
}

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

    /// Waits that long, and returns `false` as soon as the client leaves or the server stops.
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
