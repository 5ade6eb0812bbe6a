import FoundationEssentials

extension HTTPResponse {
    /// The response with its body inflated and without the headers that spoke of the gzipped one.
    func inflated(limit: Int, operation: String) throws(HTTPTransportError) -> HTTPResponse {
        guard let encoding = headers["Content-Encoding"]?.lowercased(), encoding != "identity" else { return self }
        var response = self
        response.headers["Content-Encoding"] = nil
        response.headers["Content-Length"] = nil
        // Servers also label what has no body at all; anything else of no bytes is a gzip stream that was cut off.
        if body.isEmpty, status == 204 || status == 304 || headers["Content-Length"] == "0" { return response }
        guard encoding == "gzip" || encoding == "x-gzip" else {
            let message = "the response has a Content-Encoding that was not asked for"
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
