import Foundation
import Glibc
import Synchronization

/// The listening socket and what came in so far; its threads keep it alive, not the ``ScriptedServer``.
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

    /// A handler's `nil` is a request that the script has no answer for.
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
            // A process that a test starts must not keep the connection open.
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
