import Foundation

/// One HTTP exchange with a server on this machine, without any of the code under test.
enum LoopbackExchange {
    struct Failure: Error {
        let operation: String
        let code = errno
    }

    /// The body of the reply; anything but 200 is an error. Blocks the thread.
    static func body(_ method: String, _ path: String, port: UInt16) throws -> Data {
        let socket = try connected(to: port)
        defer { close(socket) }
        let request = "\(method) \(path) HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
        guard send(socket, request, request.utf8.count, Int32(MSG_NOSIGNAL)) == request.utf8.count else {
            throw Failure(operation: "send")
        }
        let reply = try FileHandle(fileDescriptor: socket, closeOnDealloc: false).readToEnd() ?? Data()
        guard let head = reply.range(of: Data("\r\n\r\n".utf8)),
            String(decoding: reply[..<head.lowerBound], as: UTF8.self).split(separator: " ").dropFirst().first == "200"
        else { throw Failure(operation: "\(method) \(path)") }
        return Data(reply[head.upperBound...])
    }

    private static func connected(to port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(operation: "socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let failure = Failure(operation: "connect")
            close(descriptor)
            throw failure
        }
        return descriptor
    }
}
