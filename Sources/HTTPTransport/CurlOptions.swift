import CCurl
import FoundationEssentials

/// Sets a transfer's options and remembers the first that libcurl refused.
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
        set(CURLOPT_URL, request.url)
        // Empty: no proxy, whatever the environment says.
        if request.isLocal { set(CURLOPT_PROXY, "") }
        // Over TLS, wait for the first connection to say whether it can be shared before opening another.
        set(CURLOPT_PIPEWAIT, request.origin.hasPrefix("https:") ? 1 : 0)
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
