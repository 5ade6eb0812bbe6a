import CCurl
import Glibc
import Synchronization

/// The thread that drives libcurl's multi interface, and the inbox through which other threads reach it.
final class TransferLoop: Sendable {
    private struct Inbox {
        var submitted: [Transfer] = []
        var cancelled: [Transfer] = []
        var isStopped = false
    }

    private let inbox = Mutex(Inbox())
    private let configuration: CurlTransport.Configuration
    // libcurl allows curl_multi_wakeup from any thread. Only the loop's own thread calls the rest.
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

    /// libcurl requires this call once per process, before any other call.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    func response(to request: OutgoingRequest) async throws -> HTTPResponse {
        let transfer = Transfer(request, maxResponseBytes: configuration.maxResponseBytes)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                transfer.wait(with: continuation)
                post { inbox in
                    // The thread is gone and would not answer.
                    if inbox.isStopped { return transfer.end(with: .failure(CancellationError())) }
                    inbox.submitted.append(transfer)
                }
            }
        } onCancel: {
            // The flag covers a cancellation that comes before the transfer was handed over.
            transfer.isCancelled.store(true, ordering: .releasing)
            post { $0.cancelled.append(transfer) }
        }
    }

    /// Ends the thread. Transfers that are still on their way end as canceled.
    func stop() {
        post { $0.isStopped = true }
    }

    private func post(_ change: (inout Inbox) -> Void) {
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
        // Other threads handle the signals. SIGPIPE comes from writing to a connection that the peer closed.
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
            let posted = inbox.withLock { inbox in
                defer { inbox = Inbox(isStopped: inbox.isStopped) }
                return inbox
            }
            if posted.isStopped {
                posted.submitted.forEach { $0.end(with: .failure(CancellationError())) }
                return board.cancelAll()
            }
            board.add(posted.submitted)
            board.cancel(posted.cancelled)
            board.advance()
            // This returns early for bytes, for libcurl's own timers and for a wake-up.
            curl_multi_poll(multi, nil, 0, 60_000, nil)
        }
    }
}

/// The waiting transfers and the transfers that libcurl has. Only the loop's thread uses the board.
///
/// Transfers wait here and not in libcurl, whose timeouts run on while a transfer waits for a free connection.
struct TransferBoard {
    private struct Active {
        let transfer: Transfer
        /// Whether the transfer counts as a connection, because its origin was not known to share connections.
        let takesConnection: Bool
    }

    private let multi: UnsafeMutableRawPointer
    private let configuration: CurlTransport.Configuration
    /// In order of arrival. The transfers before `next` have left.
    private var waiting: [Transfer] = []
    private var next = 0
    private var active: [UnsafeMutableRawPointer: Active] = [:]
    private var takenConnections = 0
    /// The origins that answered over HTTP/2, so that one connection carries many requests.
    private var sharing: Set<String> = []

    init(multi: UnsafeMutableRawPointer, configuration: CurlTransport.Configuration) {
        self.multi = multi
        self.configuration = configuration
    }

    mutating func add(_ transfers: [Transfer]) {
        for transfer in transfers {
            transfer.isHandedOver = true
            if transfer.isCancelled.load(ordering: .acquiring) {
                transfer.end(with: .failure(CancellationError()))
            } else {
                waiting.append(transfer)
            }
        }
    }

    mutating func cancel(_ transfers: [Transfer]) {
        if transfers.isEmpty { return }
        waiting.removeSubrange(..<next)
        next = 0
        waiting.removeAll { $0.isCancelled.load(ordering: .relaxed) }
        // A transfer that was not handed over still belongs to its caller; ``add(_:)`` will find it canceled.
        for transfer in transfers where transfer.isHandedOver {
            release(transfer.easy)
            transfer.end(with: .failure(CancellationError()))
        }
    }

    mutating func cancelAll() {
        cancel(waiting[next...] + active.values.map(\.transfer))
    }

    /// Starts the transfers that may start, moves bytes, and ends the complete ones.
    mutating func advance() {
        var running: Int32 = 0
        repeat {
            start()
            curl_multi_perform(multi, &running)
        } while finish()
    }

    private mutating func start() {
        while next < waiting.count, active.count < configuration.maxRequestsInFlight {
            let transfer = waiting[next]
            let takesConnection = !sharing.contains(transfer.request.url.origin)
            if takesConnection, takenConnections >= configuration.maxConnections { break }
            next += 1
            do throws(HTTPTransportError) {
                let easy = try transfer.open(configuration)
                let result = curl_multi_add_handle(multi, easy)
                guard result == CURLM_OK else {
                    let message = String(cString: curl_multi_strerror(result))
                    throw transfer.failure(.other, message)
                }
                active[easy] = Active(transfer: transfer, takesConnection: takesConnection)
                takenConnections += takesConnection ? 1 : 0
            } catch {
                transfer.end(with: .failure(error))
            }
        }
        if next == waiting.count || next > 1024 {
            waiting.removeSubrange(..<next)
            next = 0
        }
    }

    /// Returns whether any transfer ended, which leaves room for another.
    private mutating func finish() -> Bool {
        var remaining: Int32 = 0
        var hasEnded = false
        while let message = curl_multi_info_read(multi, &remaining) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            // The message does not outlive the handle.
            let result = message.pointee.data.result
            guard let transfer = release(easy) else { continue }
            if transfer.usesHTTP2 { sharing.insert(transfer.request.url.origin) }
            transfer.end(with: transfer.outcome(result))
            hasEnded = true
        }
        return hasEnded
    }

    @discardableResult
    private mutating func release(_ easy: UnsafeMutableRawPointer?) -> Transfer? {
        guard let easy, let entry = active.removeValue(forKey: easy) else { return nil }
        takenConnections -= entry.takesConnection ? 1 : 0
        curl_multi_remove_handle(multi, easy)
        return entry.transfer
    }
}
