import CZlib
package import Foundation

/// Gzip for the other end of the wire, apart from the code under test.
package enum GzipFixture {
    package static func compressed(_ data: Data) -> Data {
        var stream = z_stream()
        precondition(gzip_deflate_init(&stream, Z_DEFAULT_COMPRESSION) == Z_OK)
        defer { deflateEnd(&stream) }
        let output = run(&stream, on: data) { deflate($0, Z_FINISH) }
        precondition(output.result == Z_STREAM_END)
        return output.data
    }

    /// `nil` when the data is not exactly one whole gzip member.
    package static func inflated(_ data: Data) -> Data? {
        var stream = z_stream()
        precondition(gzip_inflate_init(&stream) == Z_OK)
        defer { inflateEnd(&stream) }
        let output = run(&stream, on: data) { inflate($0, Z_NO_FLUSH) }
        return output.result == Z_STREAM_END && stream.avail_in == 0 ? output.data : nil
    }

    private static func run(
        _ stream: inout z_stream, on data: Data, step: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> (result: Int32, data: Data) {
        var input = [UInt8](data)
        var output = Data()
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let result = input.withUnsafeMutableBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            while true {
                let (result, count) = chunk.withUnsafeMutableBufferPointer { chunk in
                    stream.next_out = chunk.baseAddress
                    stream.avail_out = UInt32(chunk.count)
                    return (step(&stream), chunk.count - Int(stream.avail_out))
                }
                output += chunk[..<count]
                if result != Z_OK { return result }
            }
        }
        return (result, output)
    }
}
