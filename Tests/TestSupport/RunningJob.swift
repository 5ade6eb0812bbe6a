import Foundation
import Glibc
import Synchronization

/// A process that a test started. It is killed when its last owner releases it.
package final class RunningJob: Sendable {
    private struct State {
        var ending: JobOutcome.Ending?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let process: pid_t
    private let output: OutputFile
    private let error: OutputFile
    /// The waiting thread shares this, because it must not keep the job itself alive.
    private let state: SharedState

    private final class SharedState: Sendable {
        let mutex = Mutex(State())
    }

    package init(_ path: String, arguments: [String], environment: [String: String], folder: String) throws {
        output = try OutputFile()
        error = try OutputFile()
        process = try Spawn(path, arguments, environment, folder, output.descriptor, error.descriptor).run()
        state = SharedState()
        let (process, state) = (process, state)
        Thread.detachNewThread { Self.wait(for: process, state) }
    }

    deinit { send(SIGKILL) }

    /// Sends a signal, unless the process is over.
    package func send(_ signal: Int32) {
        state.mutex.withLock { state in
            // Under the lock the number still belongs to our process, even if that is over.
            if state.ending == nil { kill(process, signal) }
        }
    }

    package var isRunning: Bool { state.mutex.withLock { $0.ending == nil } }

    /// The text that the process wrote to standard output so far.
    package var outputSoFar: String { output.text }

    /// The text that the process wrote to standard error so far.
    package var errorSoFar: String { error.text }

    /// Waits until the process has ended.
    package func outcome() async throws -> JobOutcome {
        await withCheckedContinuation { continuation in
            let isOver = state.mutex.withLock { state in
                if state.ending == nil { state.waiting.append(continuation) }
                return state.ending != nil
            }
            if isOver { continuation.resume() }
        }
        guard let ending = state.mutex.withLock({ $0.ending }) else { throw CocoaError(.featureUnsupported) }
        return JobOutcome(ending: ending, output: output.text, error: error.text)
    }

    private static func wait(for process: pid_t, _ shared: SharedState) {
        var info = siginfo_t()
        // Leaves the process a zombie, so that its number is not given out before the lock is taken.
        while waitid(P_PID, id_t(process), &info, WEXITED | WNOWAIT) == -1, errno == EINTR {}
        let waiting = shared.mutex.withLock { state in
            var status: Int32 = 0
            while waitpid(process, &status, 0) == -1, errno == EINTR {}
            let signal = status & 0x7f
            state.ending = signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal)
            defer { state.waiting = [] }
            return state.waiting
        }
        waiting.forEach { $0.resume() }
    }
}

/// A file without a name that a process writes to. Unlike a pipe it never fills up, and it can be read at any time.
private final class OutputFile: Sendable {
    let descriptor: Int32

    init() throws {
        var template = Array("\(NSTemporaryDirectory())/output-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_APPEND)
        unlink(template)
    }

    deinit { close(descriptor) }

    var text: String {
        var data = Data()
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = pread(descriptor, &chunk, chunk.count, off_t(data.count))
            if count <= 0 { return String(decoding: data, as: UTF8.self) }
            data += chunk[..<count]
        }
    }
}

/// Starts a process with `posix_spawn`.
///
/// Foundation's `Process` does not fit: it passes on the signal mask of the thread that starts it, and Dispatch's threads
/// block SIGTERM.
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
