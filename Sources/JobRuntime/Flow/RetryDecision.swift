/// What to do about a failed attempt.
package enum RetryDecision: Sendable {
    case stop
    /// Try again, after the policy's delay or the one the server asked for, whichever is longer.
    case retry(after: Duration? = nil)
}
