import Foundation

/// A server in a Python process of its own, which prints a line that ends in its port when it is ready. It is killed when
/// its last owner releases it.
package final class PythonServer: Sendable {
    package struct NotReady: Error, CustomStringConvertible {
        package let description: String
    }

    package let port: UInt16
    private let process: RunningJob

    /// - Parameter arguments: The arguments of `python`: a script of the repository or `-c` and a program, and their arguments.
    package init(_ arguments: [String]) async throws {
        process = try ProjectPython.start(arguments)
        while !process.outputSoFar.contains("\n") {
            guard process.isRunning else {
                throw NotReady(description: "the server ended before it was ready: \(process.errorSoFar)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        let line = process.outputSoFar.prefix { $0 != "\n" }
        guard let port = line.split(separator: " ").last.flatMap({ UInt16($0) }) else {
            throw NotReady(description: "the server names no port: \(line)")
        }
        self.port = port
    }

    /// Ends the server and waits for it.
    package func stop() async throws {
        process.send(SIGKILL)
        _ = try await process.outcome()
    }
}

/// A running localstripe, a third-party stateful Stripe server of an older API shape (plans instead of prices, the period in
/// the subscription), on a free port. It ends with the test process, however that ends.
package final class LocalStripeProcess: Sendable {
    /// `http://127.0.0.1:PORT`, the value for `STRIPE_API_BASE`.
    package var url: String { "http://127.0.0.1:\(server.port)" }

    private let server: PythonServer

    private init(_ server: PythonServer) {
        self.server = server
    }

    package static func start() async throws -> LocalStripeProcess {
        LocalStripeProcess(
            try await PythonServer([
                Repository.path("Tests/LocalStripe/localstripe_server.py"), "--exit-with",
                String(ProcessInfo.processInfo.processIdentifier),
            ]))
    }
}

/// The project's own Python, which runs the emulator, the analyzer and servers for tests.
///
/// `scripts/test.sh` creates it. Tests that need it fail without it; they are never skipped.
///
/// ``Spawn`` starts the processes. Foundation's `Process` crashes now and then when several threads start one at the same
/// time.
package enum ProjectPython {
    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter arguments: The arguments of `python`: a script of the repository or `-c` and a program, and their arguments.
    package static func start(_ arguments: [String], reading input: String? = nil) throws -> RunningJob {
        let python = Repository.path(".venv/bin/python")
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw Missing(description: "no \(python): run ./scripts/test.sh once")
        }
        let environment = ProcessInfo.processInfo.environment
        guard let input else {
            return try RunningJob(python, arguments: arguments, environment: environment, folder: "/")
        }
        return try RunningJob(
            "/bin/sh", arguments: ["-c", "input=$1; shift; exec \"$0\" \"$@\" <\"$input\"", python, input] + arguments,
            environment: environment, folder: "/")
    }
}

/// Runs blocking work on a thread of its own, since tests share few cooperative ones.
func onOwnThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result(catching: work)) }.start()
    }
}

/// One HTTP exchange with a server on this machine, independent of the code under test.
enum LoopbackExchange {
    struct Failure: Error {
        let operation: String
        let code = errno
    }

    /// Returns the body of the reply and blocks the thread until then. A status other than 200 is an error.
    static func body(_ method: String, _ path: String, port: UInt16, sending content: Data = Data()) throws -> Data {
        let socket = try connected(to: port)
        defer { close(socket) }
        let head = "\(method) \(path) HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: \(content.count)\r\n\r\n"
        let request = Array(head.utf8) + content
        guard send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
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
