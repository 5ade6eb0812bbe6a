import Foundation

/// A running localstripe, a third-party stateful Stripe server of an older API shape (plans instead of prices, the period in
/// the subscription), on a free port. It ends with the test process, however that ends.
package final class LocalStripeProcess: Sendable {
    package struct NotReady: Error, CustomStringConvertible {
        package let description = "localstripe ended before it was ready; its messages are above"
    }

    /// `http://127.0.0.1:PORT`, the value for `STRIPE_API_BASE`.
    package var url: String { "http://127.0.0.1:\(port)" }

    private let port: UInt16
    private let process: Process

    private init(port: UInt16, process: Process) {
        self.port = port
        self.process = process
    }

    package static func start() async throws -> LocalStripeProcess {
        let python = try ProjectPython()
        return try await onOwnThread {
            let process = python.process(
                "Tests/LocalStripe/localstripe_server.py",
                arguments: ["--exit-with", String(ProcessInfo.processInfo.processIdentifier)])
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            guard let port = readyPort(from: output.fileHandleForReading) else { throw NotReady() }
            return LocalStripeProcess(port: port, process: process)
        }
    }

    // Not terminate(): a child of a thread that blocks SIGTERM, as Dispatch's do, blocks it too.
    deinit { kill(process.processIdentifier, SIGKILL) }
}

/// The port in the line `ready PORT`, or nil when the output ends without one.
func readyPort(from output: FileHandle) -> UInt16? {
    var line = ""
    while !line.hasSuffix("\n") {
        let part = output.availableData
        if part.isEmpty { return nil }
        line += String(decoding: part, as: UTF8.self)
    }
    return line.split(whereSeparator: \.isWhitespace).last.flatMap { UInt16($0) }
}
