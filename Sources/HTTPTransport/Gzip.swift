import CZlib
package import FoundationEssentials

/// The gzip format (RFC 1952), one member in memory.
package enum Gzip {
    package enum Failure: Error {
        /// Not gzip, cut off, with a wrong checksum, or with something behind its end.
        case invalid(String)
        case tooLarge
    }

    package static func compress(_ data: Data) -> Data {
        var stream = z_stream()
        // Fails only without memory. The fastest level: the callers wait for it, and JSON shrinks well at any.
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
        // A copy: what is cut off would be kept, and that is as much as was compressed.
        return Data(Array(output.prefix(output.count - Int(stream.avail_out))))
    }

    /// Never produces more than `limit` bytes, however small the input.
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
        // zlib reads only, its type says otherwise.
        next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
        avail_in = uInt(input.count)
    }

    fileprivate mutating func attach(_ output: UnsafeMutableRawBufferPointer) {
        next_out = output.bindMemory(to: UInt8.self).baseAddress
        avail_out = uInt(output.count)
    }
}
