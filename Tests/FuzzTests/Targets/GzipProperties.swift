import Foundation

@testable import HTTPTransport

/// Inflating never exceeds its limit, compressing loses nothing, and a body that is not gzip is an error.
enum GzipProperties {
    static let limit = 1 << 16

    static func check(_ input: Data) throws {
        try hold(try Gzip.inflate(Gzip.compress(input), limit: max(input.count, 1)) == input, "the compressed input")
        if input.count > 1 {
            try hold((try? Gzip.inflate(Gzip.compress(input), limit: input.count - 1)) == nil, "the limit is exceeded")
        }
        let response = HTTPResponse(status: 200, headers: ["Content-Encoding": "gzip"], body: input)
        do {
            let inflated = try response.inflated(limit: limit, operation: "read").body
            try hold(inflated.count <= limit, "\(inflated.count) bytes")
            try hold(try Gzip.inflate(Gzip.compress(inflated), limit: limit) == inflated, "the inflated input")
        } catch let error as HTTPTransportError {
            try hold(error.code == .invalidCompressedBody || error.code == .bodyTooLarge, error.description)
        }
    }
}
