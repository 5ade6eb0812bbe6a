/// Why the billing state of one organization cannot be said. Nothing is guessed, and the other organizations go on.
package struct BillingProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
    /// Trying again cannot help before somebody has corrected something.
    package var isPermanent: Bool

    package init(_ description: String, isPermanent: Bool = false) {
        self.description = description
        self.isPermanent = isPermanent
    }
}
