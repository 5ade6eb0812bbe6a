import Foundation
import Glibc
import Synchronization

/// A process that a test started; it is killed when nobody holds it any more.
package final class RunningJob: Sendable {
    private struct State {
        var ending: JobOutcome.Ending?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let process: pid_t
    private let output: OutputFile
    private let error: OutputFile
    /// Shared with the thread that waits, which must not keep this value alive.
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

    /// What it wrote to standard output so far.
    package var outputSoFar: String { output.text }

    /// What it wrote to standard error so far.
    package var errorSoFar: String { error.text }

    /// Waits until the process is over.
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
