/// The state of a rate limiter: tokens, calls in flight, and who waits.
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

    /// Who may go now; and, where someone waits for a token and no wake-up is set yet, how long until there is one.
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
        // Two callers may have read the clock in one order and come here in the other.
        guard now > countedAt else { return }
        tokens = min(burst, tokens + (now - countedAt) / .seconds(1) * rate)
        countedAt = now
    }

    /// The longest waiting ticket. Those of tasks that were cancelled are still in the queue and are passed over.
    private mutating func firstWaiting() -> UInt64? {
        while head < queue.count, waiting[queue[head]] == nil { head += 1 }
        if head > 512, head * 2 > queue.count {
            queue.removeFirst(head)
            head = 0
        }
        return head < queue.count ? queue[head] : nil
    }
}
