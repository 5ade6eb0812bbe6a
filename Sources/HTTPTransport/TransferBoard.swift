import CCurl
import Synchronization

/// Which transfers wait and which are with libcurl. Lives on the loop's thread.
///
/// The waiting is done here and not by libcurl, whose timeouts run on while a transfer waits for a free connection.
struct TransferBoard {
    private struct Active {
        let transfer: Transfer
        /// Counted against the connections, since its origin was not known to share them.
        let takesConnection: Bool
    }

    private let multi: UnsafeMutableRawPointer
    private let configuration: CurlTransport.Configuration
    /// In order of arrival; those before `next` have left.
    private var waiting: [Transfer] = []
    private var next = 0
    private var active: [UnsafeMutableRawPointer: Active] = [:]
    private var takenConnections = 0
    /// Origins that answered over HTTP/2, where one connection carries many requests.
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
        // One that was not handed over is still its caller's; ``add(_:)`` will find it cancelled.
        for transfer in transfers where transfer.isHandedOver {
            release(transfer.easy)
            transfer.end(with: .failure(CancellationError()))
        }
    }

    mutating func cancelAll() {
        cancel(waiting[next...] + active.values.map(\.transfer))
    }

    /// Starts what may start, moves bytes, and ends what is complete.
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
            let takesConnection = !sharing.contains(transfer.request.origin)
            if takesConnection, takenConnections >= configuration.maxConnections { break }
            next += 1
            do throws(HTTPTransportError) {
                let easy = try transfer.open(configuration)
                let result = curl_multi_add_handle(multi, easy)
                guard result == CURLM_OK else {
                    let message = String(cString: curl_multi_strerror(result))
                    throw HTTPTransportError(.other, operation: transfer.request.operation, message: message)
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

    /// Whether any transfer ended, and so made room for another.
    private mutating func finish() -> Bool {
        var remaining: Int32 = 0
        var hasEnded = false
        while let message = curl_multi_info_read(multi, &remaining) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            // The message does not outlive the handle.
            let result = message.pointee.data.result
            guard let transfer = release(easy) else { continue }
            if transfer.usesHTTP2 { sharing.insert(transfer.request.origin) }
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
