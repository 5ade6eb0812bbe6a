import Foundation

/// The project's own Python, which runs the emulator, the analyzer and servers for tests.
///
/// `scripts/test.sh` makes it; without it tests that need it fail, they are never skipped.
///
/// Processes are started by ``Spawn`` and never by Foundation's `Process`, which crashes now and then when several threads start one at
/// the same time.
enum ProjectPython {
    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter arguments: Those of `python`: a script of the repository, or `-c` and a program, with what it takes.
    static func start(_ arguments: [String], reading input: String? = nil) throws -> RunningJob {
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
