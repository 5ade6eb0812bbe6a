import Foundation
import Glibc

/// Starts a process with `posix_spawn`.
///
/// Not Foundation's `Process`: that passes on the signal mask of the thread that starts it, and Dispatch's threads block
/// SIGTERM.
struct Spawn {
    private let path: String
    private let arguments: [String]
    private let environment: [String: String]
    private let folder: String
    private let output: Int32
    private let error: Int32

    init(
        _ path: String, _ arguments: [String], _ environment: [String: String], _ folder: String, _ output: Int32,
        _ error: Int32
    ) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
        self.output = output
        self.error = error
    }

    func run() throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var process: pid_t = 0
        // env changes the folder and then becomes the program: the process stays the same.
        let env = "/usr/bin/env"
        let code = Self.withPointers(to: [env, "-C", folder, path] + arguments) { arguments in
            Self.withPointers(to: environment.map { "\($0)=\($1)" }) { environment in
                posix_spawn(&process, env, &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO) }
        return process
    }

    private static func withPointers<Value>(
        to strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
    ) -> Value {
        let copies = strings.map { strdup($0) } + [nil]
        defer { copies.forEach { free($0) } }
        return copies.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}
