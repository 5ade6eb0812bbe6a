import Synchronization

/// Limits the rate of calls and the number of calls in flight, first come, first served.
///
/// The limiter is a token bucket: it allows up to `burst` calls at once after a quiet period, and `ratePerSecond` in the long
/// run.
///
/// ```swift
/// let limiter = RateLimiter(ratePerSecond: 10, maxInFlight: 8)
/// let reply = try await limiter.withPermit { try await send(request) }
/// ```
package final class RateLimiter: Sendable {
    private typealias Budget = RateBudget<CheckedContinuation<Void, any Error>>

    private let state: Mutex<Budget>
    private let time: TimeSource

    /// - Parameter burst: The number of calls that may go out together. The default is three seconds' worth of calls.
    package init(ratePerSecond: Double, burst: Double? = nil, maxInFlight: Int, time: TimeSource = .system) {
        precondition(ratePerSecond > 0 && maxInFlight > 0)
        let size = max(1, burst ?? 3 * ratePerSecond)
        self.time = time
        state = Mutex(
            RateBudget(nominalRate: ratePerSecond, burst: size, maxInFlight: maxInFlight, now: time.elapsed()))
    }

    /// Waits for a permit and runs the operation with it. A task that is canceled while it waits leaves the queue and throws
    /// `CancellationError`.
    package func withPermit<Value>(
        isolation: isolated (any Actor)? = #isolation, _ operation: () async throws -> Value
    ) async throws -> Value {
        try await acquire()
        do {
            try Task.checkCancellation()
            let value = try await operation()
            release { $0.recover() }
            return value
        } catch {
            release { _ in }
            throw error
        }
    }

    /// Halves the rate, at most once per second and down to a sixteenth of the nominal rate, and drops the burst. Call it after
    /// answers such as `rateLimitExceeded`. Each operation that then succeeds raises the rate by a tenth of a call per second, up
    /// to the nominal rate. The rate therefore doubles about every seven seconds.
    package func slowDown() {
        let now = time.elapsed()
        state.withLock { $0.slowDown(at: now) }
    }

    private func acquire() async throws {
        let ticket = state.withLock { $0.newTicket() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                state.withLock { $0.enqueue(continuation, ticket: ticket) }
                // If the task was canceled before this line, the handler below found no waiter.
                if Task.isCancelled { abandon(ticket) }
                serve()
            }
        } onCancel: {
            abandon(ticket)
        }
    }

    private func abandon(_ ticket: UInt64) {
        state.withLock { $0.remove(ticket: ticket) }?.resume(throwing: CancellationError())
    }

    private func release(_ note: (inout Budget) -> Void) {
        state.withLock { state in
            state.inFlight -= 1
            note(&state)
        }
        serve()
    }

    /// Admits every waiter that may go, and runs again when the next token is available.
    private func serve() {
        let now = time.elapsed()
        let (admitted, delay) = state.withLock { $0.admit(at: now) }
        admitted.forEach { $0.resume() }
        guard let delay else { return }
        Task.detached { [self] in
            try? await time.sleep(delay)
            state.withLock { $0.isWakeUpSet = false }
            serve()
        }
    }
}

/// The state of a rate limiter: the tokens, the calls in flight, and the waiters.
struct RateBudget<Waiter> {
    let nominalRate: Double
    let burst: Double
    let maxInFlight: Int
    private(set) var rate: Double
    private var tokens: Double
    private var countedAt: Duration
    private var slowedAt: Duration?
    private var nextTicket: UInt64 = 0
    private var queue: [UInt64] = []
    private var head = 0
    private var waiting: [UInt64: Waiter] = [:]
    var inFlight = 0
    var isWakeUpSet = false

    init(nominalRate: Double, burst: Double, maxInFlight: Int, now: Duration) {
        self.nominalRate = nominalRate
        self.burst = burst
        self.maxInFlight = maxInFlight
        rate = nominalRate
        tokens = burst
        countedAt = now
    }

    mutating func newTicket() -> UInt64 {
        defer { nextTicket += 1 }
        return nextTicket
    }

    mutating func enqueue(_ waiter: Waiter, ticket: UInt64) {
        waiting[ticket] = waiter
        queue.append(ticket)
    }

    mutating func remove(ticket: UInt64) -> Waiter? {
        waiting.removeValue(forKey: ticket)
    }

    /// Returns the waiters that may go now. If a waiter needs a token and no wake-up is set yet, also returns the time until the
    /// next token.
    mutating func admit(at now: Duration) -> (admitted: [Waiter], wakeUpAfter: Duration?) {
        refill(at: now)
        var admitted: [Waiter] = []
        while inFlight < maxInFlight, let ticket = firstWaiting() {
            guard tokens >= 1 else {
                if isWakeUpSet { return (admitted, nil) }
                isWakeUpSet = true
                return (admitted, max(.microseconds(1), .seconds((1 - tokens) / rate)))
            }
            guard let waiter = remove(ticket: ticket) else { continue }
            tokens -= 1
            inFlight += 1
            admitted.append(waiter)
        }
        return (admitted, nil)
    }

    mutating func slowDown(at now: Duration) {
        refill(at: now)
        if let slowedAt, now - slowedAt < .seconds(1) { return }
        slowedAt = now
        rate = max(rate / 2, nominalRate / 16)
        tokens = min(tokens, 0)
    }

    mutating func recover() {
        rate = min(nominalRate, rate + 0.1)
    }

    private mutating func refill(at now: Duration) {
        // Two callers may read the clock in one order and arrive here in the other.
        guard now > countedAt else { return }
        tokens = min(burst, tokens + (now - countedAt) / .seconds(1) * rate)
        countedAt = now
    }

    /// Returns the ticket that has waited longest. Tickets of canceled tasks are still in the queue and are skipped.
    private mutating func firstWaiting() -> UInt64? {
        while head < queue.count, waiting[queue[head]] == nil { head += 1 }
        if head > 512, head * 2 > queue.count {
            queue.removeFirst(head)
            head = 0
        }
        return head < queue.count ? queue[head] : nil
    }
}
