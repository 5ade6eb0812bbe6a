import CCurl
import Glibc
import Synchronization

/// The thread that drives libcurl's multi interface, and the box in which it is told what to do.
final class TransferLoop: Sendable {
    private struct Inbox {
        var submitted: [Transfer] = []
        var cancelled: [Transfer] = []
        var isStopped = false
    }

    private let inbox = Mutex(Inbox())
    private let configuration: CurlTransport.Configuration
    // libcurl allows curl_multi_wakeup from any thread; all else is done by the loop's own.
    private nonisolated(unsafe) let multi: UnsafeMutableRawPointer

    init(_ configuration: CurlTransport.Configuration) {
        precondition(Self.isReady)
        self.configuration = configuration
        multi = curl_multi_init()!
        curl_multi_set_long(multi, CURLMOPT_PIPELINING, curl_multiplex)
        curl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, configuration.maxConnections)
        curl_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, configuration.maxConnections)
        curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, configuration.maxConnections)
        startThread()
    }

    deinit { curl_multi_cleanup(multi) }

    /// Once per process, before anything else of libcurl's.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    func response(to request: OutgoingRequest) async throws -> HTTPResponse {
        let transfer = Transfer(request, maxResponseBytes: configuration.maxResponseBytes)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                transfer.wait(with: continuation)
                tell { inbox in
                    // The thread is gone and would not answer.
                    if inbox.isStopped { return transfer.end(with: .failure(CancellationError())) }
                    inbox.submitted.append(transfer)
                }
            }
        } onCancel: {
            // The flag is for the case that this comes before the transfer was handed over.
            transfer.isCancelled.store(true, ordering: .releasing)
            tell { $0.cancelled.append(transfer) }
        }
    }

    /// Ends the thread; whatever is still on its way ends as cancelled.
    func stop() {
        tell { $0.isStopped = true }
    }

    private func tell(_ change: (inout Inbox) -> Void) {
        inbox.withLock { change(&$0) }
        curl_multi_wakeup(multi)
    }

    private func startThread() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let result = pthread_create(&thread, nil, { TransferLoop.enter($0) }, context)
        precondition(result == 0, "no thread for HTTP")
        pthread_detach(thread)
    }

    private static func enter(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        // Signals are for the program's other threads. SIGPIPE comes from writing to a connection that the peer closed.
        var signals = sigset_t()
        sigfillset(&signals)
        for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP] { sigdelset(&signals, fault) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        Unmanaged<TransferLoop>.fromOpaque(context!).takeRetainedValue().run()
        return nil
    }

    private func run() {
        var board = TransferBoard(multi: multi, configuration: configuration)
        while true {
            let mail = inbox.withLock { inbox in
                defer { inbox = Inbox(isStopped: inbox.isStopped) }
                return inbox
            }
            if mail.isStopped {
                mail.submitted.forEach { $0.end(with: .failure(CancellationError())) }
                return board.cancelAll()
            }
            board.add(mail.submitted)
            board.cancel(mail.cancelled)
            board.advance()
            // Returns early for bytes, for libcurl's own timers and for a wake-up.
            curl_multi_poll(multi, nil, 0, 60_000, nil)
        }
    }
}
