extension CurlTransport {
    /// How a ``CurlTransport`` behaves; it reads no environment of its own beyond libcurl's proxy variables.
    package struct Configuration: Sendable {
        /// Sent with each request that brings none. Google compresses only for agents that have `gzip` in their name.
        package var userAgent = "scheduler-jobs (gzip)"
        /// From the first packet to the end of the TLS handshake, name resolution included.
        package var connectTimeout = Duration.seconds(10)
        /// The whole exchange, for requests that bring no timeout of their own.
        package var timeout = Duration.seconds(60)
        /// The most connections open at once, to one host and to all together.
        package var maxConnections = 64
        /// The most requests on the wire at once; reached only where connections are shared, that is with HTTP/2.
        /// Servers take 100 on one connection, and each request above that would open another.
        package var maxRequestsInFlight = 100
        /// The most bytes of one response: of its head and body as they arrive, and of its body inflated.
        package var maxResponseBytes = 64 << 20
        /// Request bodies with more bytes are gzipped; `nil` leaves all as they are.
        package var compressBodiesOver: Int? = 4096
        /// A PEM file of the authorities to trust instead of the system's.
        package var certificateAuthorityFile: String?

        package init() {}
    }
}
