import CCurl
import FoundationEssentials
import Synchronization

/// One request on its way: libcurl's handle for it, what arrived so far, and who waits for it.
///
/// All but ``isCancelled`` belongs to the loop's thread from the moment that the transfer was handed over.
final class Transfer: @unchecked Sendable {
    let request: OutgoingRequest
    let isCancelled = Atomic(false)
    /// Whether the loop's thread has it; read and written there only.
    var isHandedOver = false
    private let maxResponseBytes: Int
    private var continuation: CheckedContinuation<HTTPResponse, any Error>?
    private(set) var easy: UnsafeMutableRawPointer?
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var headers = HTTPHeaders()
    private var body = Data()
    private var receivedBytes = 0
    private var timesSent = 0

    init(_ request: OutgoingRequest, maxResponseBytes: Int) {
        self.request = request
        self.maxResponseBytes = maxResponseBytes
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        end(with: .failure(CancellationError()))
        errorText.deallocate()
    }

    func wait(with continuation: CheckedContinuation<HTTPResponse, any Error>) {
        self.continuation = continuation
    }

    /// Makes the handle; its callbacks point at this object, which must live until ``end(with:)``.
    func open(_ configuration: CurlTransport.Configuration) throws(HTTPTransportError) -> UnsafeMutableRawPointer {
        headerList = request.headerLines.reduce(nil) { curl_slist_append($0, $1) }
        easy = curl_easy_init()
        guard let easy, headerList != nil else {
            throw HTTPTransportError(CURLE_OUT_OF_MEMORY, operation: request.operation, detail: "")
        }
        var options = CurlOptions(easy)
        options.apply(configuration, timeout: request.timeout)
        options.apply(request, headerList)
        options.apply(self, errorText: errorText, maxResponseBytes: maxResponseBytes)
        if let failure = options.failure {
            throw HTTPTransportError(failure, operation: request.operation, detail: "")
        }
        return easy
    }

    /// Frees the handle, which no multi handle may hold any more, and answers whoever waits.
    ///
    /// Only the first call counts.
    func end(with result: Result<HTTPResponse, any Error>) {
        if let easy { curl_easy_cleanup(easy) }
        easy = nil
        curl_slist_free_all(headerList)
        headerList = nil
        continuation?.resume(with: result)
        continuation = nil
    }

    /// The outcome after libcurl's last word on this transfer.
    func outcome(_ result: CURLcode) -> Result<HTTPResponse, any Error> {
        if receivedBytes > maxResponseBytes {
            let message = "the response has more than \(maxResponseBytes) bytes"
            return .failure(HTTPTransportError(.bodyTooLarge, operation: request.operation, message: message))
        }
        if timesSent > 1 {
            let message = "the server closed the connection before it answered"
            return .failure(HTTPTransportError(.connectionLost, operation: request.operation, message: message))
        }
        if result != CURLE_OK {
            let detail = String(cString: errorText)
            var answer = 0
            curl_easy_get_long(easy, CURLINFO_HTTP_CONNECTCODE, &answer)
            if (400..<500).contains(answer) {
                let message = "the proxy refused the connection with HTTP status \(answer)"
                return .failure(HTTPTransportError(.proxyRefused, operation: request.operation, message: message))
            }
            return .failure(HTTPTransportError(result, operation: request.operation, detail: detail))
        }
        var status = 0
        curl_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        return .success(HTTPResponse(status: status, headers: headers, body: body))
    }

    /// Whether other requests may share the connection.
    var usesHTTP2: Bool {
        var version = 0
        curl_easy_get_long(easy, CURLINFO_HTTP_VERSION, &version)
        return version == curl_http_version_2
    }

    // MARK: Callbacks

    /// Whether libcurl may send the request now.
    ///
    /// It sends a request again when a kept connection ends without a reply, whatever the method. The server may have
    /// done the work by then, so whether to repeat is for those to decide who know the request.
    func mayBeSent() -> Bool {
        timesSent += 1
        return timesSent == 1
    }

    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        receivedBytes += bytes.count
        guard receivedBytes <= maxResponseBytes else { return false }
        body.append(contentsOf: bytes)
        return true
    }

    func receiveHeaderLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
        receivedBytes += bytes.count
        guard receivedBytes <= maxResponseBytes else { return false }
        let line = String(decoding: bytes, as: UTF8.self)
        if line.utf8.starts(with: "HTTP/".utf8) {
            // Interim responses (1xx) have a head of their own.
            headers = [:]
        } else if let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) {
            let value = line.utf8[line.utf8.index(after: colon)...].trimmed()
            headers.append(String(value) ?? "", for: String(line[..<colon]))
        }
        return true
    }
}

extension Substring.UTF8View {
    fileprivate func trimmed() -> Self {
        var rest = self.drop { $0 <= 0x20 }
        while let last = rest.last, last <= 0x20 { rest.removeLast() }
        return rest
    }
}
