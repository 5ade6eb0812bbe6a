import Foundation

/// How many HTTP requests the emulator was sent.
package struct EmulatorRequestCounts: Sendable, Equatable {
    package let total: Int
    /// The most requests that were under way at the same time.
    package let peakInFlight: Int
    /// By method and path with `*` for ids: `GET /projects/*/datasets/*/tables`.
    package let routes: [String: Int]

    init(json: Data) throws {
        let object = try JSONSerialization.jsonObject(with: json) as? [String: Any]
        guard let total = object?["total"] as? Int, let peak = object?["peakInFlight"] as? Int,
            let routes = object?["routes"] as? [String: Int]
        else { throw CocoaError(.coderReadCorrupt) }
        self.total = total
        peakInFlight = peak
        self.routes = routes
    }
}
