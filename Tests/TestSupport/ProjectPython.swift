import Foundation

/// The project's own Python, which runs the emulator and the analyzer.
///
/// `scripts/test.sh` makes it; without it tests that need it fail, they are never skipped.
package struct ProjectPython: Sendable {
    package struct Missing: Error, CustomStringConvertible {
        package let description: String
    }

    private let executable: URL
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

    package init() throws {
        executable = Self.root.appending(path: ".venv/bin/python")
        guard FileManager.default.isExecutableFile(atPath: executable.path) else {
            throw Missing(description: "no \(executable.path): run ./scripts/test.sh once")
        }
    }

    /// A process, not yet started, for a script of the repository such as `Tests/Emulator/emulator.py`.
    func process(_ script: String, arguments: [String] = []) -> Process {
        let process = Process()
        process.executableURL = executable
        process.arguments = [Self.root.appending(path: script).path] + arguments
        return process
    }
}

/// Runs blocking work on a thread of its own, since tests share few cooperative ones.
func onOwnThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result(catching: work)) }.start()
    }
}
