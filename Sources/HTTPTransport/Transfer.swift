import CCurl
import FoundationEssentials
import Synchronization

/// One request on its way: libcurl's handle for it, the bytes that arrived so far, and the caller that waits.
///
/// Everything but ``isCancelled`` belongs to the loop's thread from the moment that the transfer was handed over.
final class Transfer: @unchecked Sendable {
    let request: OutgoingRequest
    let isCancelled = Atomic(false)
    /// Whether the loop's thread has the transfer. Only that thread reads and writes this.
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

    /// Creates the handle. Its callbacks point at this object, which must live until ``end(with:)``.
    func open(_ configuration: CurlTransport.Configuration) throws(HTTPTransportError) -> UnsafeMutableRawPointer {
        headerList = request.headerLines.reduce(nil) { curl_slist_append($0, $1) }
        easy = curl_easy_init()
        guard let easy, headerList != nil else {
            throw failure(CURLE_OUT_OF_MEMORY, detail: "")
        }
        var options = CurlOptions(easy)
        options.apply(configuration, timeout: request.timeout)
        options.apply(request, headerList)
        options.apply(self, errorText: errorText, maxResponseBytes: maxResponseBytes)
        if let result = options.failure { throw failure(result, detail: "") }
        return easy
    }

    /// Frees the handle, which no multi handle may hold any more, and answers the caller. Later calls do nothing.
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
            return .failure(failure(.bodyTooLarge, "the response has more than \(maxResponseBytes) bytes"))
        }
        if timesSent > 1 {
            return .failure(failure(.connectionLost, "the server closed the connection before it answered"))
        }
        if result != CURLE_OK {
            var answer = 0
            curl_easy_get_long(easy, CURLINFO_HTTP_CONNECTCODE, &answer)
            if (400..<500).contains(answer) {
                let message = "the proxy refused the connection with HTTP status \(answer)"
                return .failure(failure(.proxyRefused, message))
            }
            return .failure(failure(result, detail: String(cString: errorText)))
        }
        var status = 0
        curl_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        return .success(HTTPResponse(status: status, headers: headers, body: body))
    }

    /// libcurl asks ``mayBeSent()`` before the first byte of each attempt, so an unasked transfer has sent nothing.
    private var certainty: Certainty { timesSent == 0 ? .notDone : .unknown }

    func failure(_ code: HTTPTransportError.Code, _ message: String) -> HTTPTransportError {
        HTTPTransportError(code, operation: request.operation, message: message, certainty: certainty)
    }

    private func failure(_ result: CURLcode, detail: String) -> HTTPTransportError {
        HTTPTransportError(result, operation: request.operation, detail: detail, certainty: certainty)
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
    /// libcurl sends a request again when a kept connection ends without a reply, whatever the method. The server may
    /// have done the work by then, so only the caller, which knows the request, can decide to repeat it.
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

/// Sets the options of a transfer and remembers the first that libcurl refused.
struct CurlOptions {
    private let easy: UnsafeMutableRawPointer
    private(set) var failure: CURLcode?

    init(_ easy: UnsafeMutableRawPointer) {
        self.easy = easy
    }

    mutating func apply(_ configuration: CurlTransport.Configuration, timeout: Duration) {
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_HTTP_VERSION, curl_http_version_2tls)
        set(CURLOPT_SSLVERSION, curl_tls_1_2)
        // libcurl keeps the parsed authorities for the next connection only when there is no directory of them.
        check(curl_easy_set_text(easy, CURLOPT_CAPATH, nil))
        if let file = configuration.certificateAuthorityFile { set(CURLOPT_CAINFO, file) }
        set(CURLOPT_CONNECTTIMEOUT_MS, configuration.connectTimeout.wholeMilliseconds)
        set(CURLOPT_TIMEOUT_MS, timeout.wholeMilliseconds)
        // Removing a transfer must not wait for a name that is still being resolved.
        set(CURLOPT_QUICK_EXIT, 1)
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_TCP_KEEPIDLE, 30)
        set(CURLOPT_TCP_KEEPINTVL, 10)
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    }

    mutating func apply(_ request: OutgoingRequest, _ headers: UnsafeMutablePointer<curl_slist>?) {
        set(CURLOPT_URL, request.url.text)
        // An empty text means no proxy, whatever the environment says.
        if request.bypassesProxy { set(CURLOPT_PROXY, "") }
        // Over TLS, wait for the first connection to say whether it can be shared before opening another.
        set(CURLOPT_PIPEWAIT, request.url.scheme == .https ? 1 : 0)
        check(curl_easy_set_list(easy, CURLOPT_HTTPHEADER, headers))
        if request.body != nil || ["POST", "PUT", "PATCH"].contains(request.method) {
            let body = request.body ?? Data()
            check(curl_easy_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count)))
            body.withUnsafeBytes { bytes in
                // A null pointer would make libcurl ask a callback for the body.
                if let start = bytes.baseAddress, !bytes.isEmpty {
                    check(curl_easy_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, start))
                } else {
                    set(CURLOPT_COPYPOSTFIELDS, "")
                }
            }
        }
        set(CURLOPT_CUSTOMREQUEST, request.method)
    }

    mutating func apply(_ transfer: Transfer, errorText: UnsafeMutablePointer<CChar>, maxResponseBytes: Int) {
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        check(curl_easy_set_offset(easy, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(maxResponseBytes)))
        check(curl_easy_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText))
        check(
            curl_easy_set_write(easy, CURLOPT_WRITEFUNCTION) { bytes, _, count, context in
                let buffer = UnsafeRawBufferPointer(start: bytes, count: count)
                return CurlOptions.transfer(context).receiveBody(buffer) ? count : 0
            })
        check(curl_easy_set_pointer(easy, CURLOPT_WRITEDATA, context))
        check(
            curl_easy_set_write(easy, CURLOPT_HEADERFUNCTION) { bytes, _, count, context in
                let buffer = UnsafeRawBufferPointer(start: bytes, count: count)
                return CurlOptions.transfer(context).receiveHeaderLine(buffer) ? count : 0
            })
        check(curl_easy_set_pointer(easy, CURLOPT_HEADERDATA, context))
        check(
            curl_easy_set_prereq(easy) { context, _, _, _, _ in
                CurlOptions.transfer(context).mayBeSent() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
            })
        check(curl_easy_set_pointer(easy, CURLOPT_PREREQDATA, context))
    }

    private static func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer {
        Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
    }

    private mutating func set(_ option: CURLoption, _ value: Int) {
        check(curl_easy_set_long(easy, option, value))
    }

    private mutating func set(_ option: CURLoption, _ value: String) {
        check(curl_easy_set_text(easy, option, value))
    }

    private mutating func check(_ result: CURLcode) {
        if result != CURLE_OK, failure == nil { failure = result }
    }
}

extension Duration {
    /// Rounded up and at least 1, since 0 means "no limit" to libcurl.
    fileprivate var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        if seconds > 1_000_000 { return 1_000_000_000 }
        return max(1, Int(seconds) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000))
    }
}
