import CZlib
package import FoundationEssentials

/// The gzip format (RFC 1952), one member in memory.
package enum Gzip {
    package enum Failure: Error {
        /// The data is not gzip, is cut off, has a wrong checksum, or goes on behind its end.
        case invalid(String)
        case tooLarge
    }

    package static func compress(_ data: Data) -> Data {
        var stream = z_stream()
        // This fails only without memory. The fastest level is enough: callers wait, and JSON shrinks well at every level.
        guard gzip_deflate_init(&stream, Z_BEST_SPEED) == Z_OK else { fatalError("zlib got no memory") }
        defer { deflateEnd(&stream) }
        var output = Data(count: Int(deflateBound(&stream, uLong(data.count))))
        let isWhole = data.withUnsafeBytes { input in
            output.withUnsafeMutableBytes { output in
                stream.attach(input)
                stream.attach(output)
                return deflate(&stream, Z_FINISH) == Z_STREAM_END
            }
        }
        precondition(isWhole, "deflateBound is an upper bound")
        // This is a copy, because a slice would keep the unused bytes, which are as many as were compressed.
        return Data(Array(output.prefix(output.count - Int(stream.avail_out))))
    }

    /// Never creates more than `limit` bytes, however small the input.
    package static func inflate(_ data: Data, limit: Int) throws(Failure) -> Data {
        var stream = z_stream()
        guard gzip_inflate_init(&stream) == Z_OK else { fatalError("zlib got no memory") }
        defer { inflateEnd(&stream) }
        var output = Data()
        let result = data.withUnsafeBytes { input in
            stream.attach(input)
            return withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { chunk in
                var result = Z_OK
                while result == Z_OK, output.count <= limit {
                    stream.attach(UnsafeMutableRawBufferPointer(chunk))
                    result = CZlib.inflate(&stream, Z_NO_FLUSH)
                    output.append(contentsOf: chunk[..<(chunk.count - Int(stream.avail_out))])
                }
                return result
            }
        }
        if output.count > limit { throw .tooLarge }
        if result != Z_STREAM_END {
            throw .invalid(stream.msg.map { String(cString: $0) } ?? "the gzip stream is cut off")
        }
        if stream.avail_in > 0 { throw .invalid("\(stream.avail_in) bytes follow the gzip stream") }
        return output
    }
}

extension z_stream {
    fileprivate mutating func attach(_ input: UnsafeRawBufferPointer) {
        // zlib only reads, although its type says otherwise.
        next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
        avail_in = uInt(input.count)
    }

    fileprivate mutating func attach(_ output: UnsafeMutableRawBufferPointer) {
        next_out = output.bindMemory(to: UInt8.self).baseAddress
        avail_out = uInt(output.count)
    }
}

extension HTTPResponse {
    /// The response with its body inflated and without the headers that describe the gzipped one.
    func inflated(limit: Int, operation: String) throws(HTTPTransportError) -> HTTPResponse {
        guard let encoding = headers["Content-Encoding"]?.lowercased(), encoding != "identity" else { return self }
        var response = self
        response.headers["Content-Encoding"] = nil
        response.headers["Content-Length"] = nil
        // Servers also label responses without a body; every other response of no bytes is a stream that was cut off.
        if body.isEmpty, status == 204 || status == 304 || headers["Content-Length"] == "0" { return response }
        guard encoding == "gzip" || encoding == "x-gzip" else {
            let message = "the response has a Content-Encoding that the request did not accept"
            throw HTTPTransportError(.invalidCompressedBody, operation: operation, message: message)
        }
        do throws(Gzip.Failure) {
            response.body = try Gzip.inflate(body, limit: limit)
            return response
        } catch {
            switch error {
            case .invalid(let message):
                throw HTTPTransportError(.invalidCompressedBody, operation: operation, message: message)
            case .tooLarge:
                let message = "the inflated body has more than \(limit) bytes"
                throw HTTPTransportError(.bodyTooLarge, operation: operation, message: message)
            }
        }
    }
}
