package import JobRuntime

/// A bearer token and the instant from which on Google refuses it; prints and dumps as `***`.
package struct AccessToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let value: String
    package let expiresAt: Timestamp

    package init(value: String, expiresAt: Timestamp) {
        self.value = value
        self.expiresAt = expiresAt
    }

    package var description: String { "*** (until \(expiresAt))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["expiresAt": expiresAt]) }
}
