import Testing

@testable import JobRuntime

@Suite struct RateBudgetTests {
    /// SplitMix64: the same steps on every machine. https://prng.di.unimi.it/splitmix64.c
    private struct FixedRandom: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }

    /// Callers come, leave, finish and are refused at random; at each step whoever may go is let in.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func neverOverTheRateNorTooManyInFlightAndInOrder(seed: UInt64) {
        var random = FixedRandom(state: seed)
        let rate = Double.random(in: 5...50, using: &random)
        let burst = Double.random(in: 1...60, using: &random)
        let limit = Int.random(in: 1...20, using: &random)
        var now = Duration.zero
        var budget = RateBudget<UInt64>(nominalRate: rate, burst: burst, maxInFlight: limit, now: now)
        var waiting: [UInt64] = []
        var starts: [Double] = []
        var wakeUp: Duration?

        for _ in 0..<2000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                let ticket = budget.newTicket()
                budget.enqueue(ticket, ticket: ticket)
                waiting.append(ticket)
            case 4..<7 where budget.inFlight > 0:
                budget.inFlight -= 1
                budget.recover()
            case 7 where !waiting.isEmpty:
                let left = waiting.remove(at: Int.random(in: waiting.indices, using: &random))
                #expect(budget.remove(ticket: left) == left)
            case 8 where seed % 2 == 0:
                budget.slowDown(at: now)
            default:
                now += .milliseconds(Int.random(in: 0...400, using: &random))
            }
            if let due = wakeUp, due <= now {
                budget.isWakeUpSet = false
                wakeUp = nil
            }
            let (admitted, delay) = budget.admit(at: now)
            if let delay { wakeUp = now + delay }
            #expect(admitted == Array(waiting.prefix(admitted.count)))
            waiting.removeFirst(admitted.count)
            starts += admitted.map { _ in now / .seconds(1) }
            #expect(budget.inFlight <= limit)
            #expect((rate / 16 - 1e-9...rate).contains(budget.rate))
            let isHeldUp = !waiting.isEmpty && budget.inFlight < limit
            #expect(!isHeldUp || wakeUp != nil, "whoever waits for a token only must be woken")
        }

        #expect(starts.count > 20)
        // From any start to any later one: number <= rate * time + burst. With each start's lead over the rate, that is
        // the difference between a lead and the lowest one before it.
        var lowest = Double.infinity
        for (index, start) in starts.enumerated() {
            lowest = min(lowest, Double(index) - rate * start)
            #expect(Double(index + 1) - rate * start - lowest <= burst + 1e-6)
        }
    }

    @Test func slowingDownHalvesAtMostOnceASecondDownToASixteenth() {
        var budget = RateBudget<Int>(nominalRate: 16, burst: 48, maxInFlight: 9, now: .zero)
        var rates: [Double] = []
        for half in 0..<12 {
            budget.slowDown(at: .milliseconds(500 * half))
            rates.append(budget.rate)
        }
        #expect(rates == [8, 8, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1])
    }

    @Test func successRaisesTheRateAgain() {
        var budget = RateBudget<Int>(nominalRate: 10, burst: 30, maxInFlight: 9, now: .zero)
        budget.slowDown(at: .zero)
        for _ in 0..<20 { budget.recover() }
        #expect(abs(budget.rate - 7) < 1e-9)
        for _ in 0..<1000 { budget.recover() }
        #expect(budget.rate == 10)
    }

    @Test func slowingDownForgetsTheBurst() {
        var budget = RateBudget<Int>(nominalRate: 10, burst: 30, maxInFlight: 9, now: .zero)
        budget.slowDown(at: .zero)
        budget.enqueue(1, ticket: budget.newTicket())
        let (admitted, delay) = budget.admit(at: .zero)
        #expect(admitted.isEmpty)
        #expect(delay == .milliseconds(200))
    }

    @Test func aLongQueueOfLeaversIsPassedOver() {
        var budget = RateBudget<UInt64>(nominalRate: 10, burst: 10_000, maxInFlight: 10_000, now: .zero)
        let tickets = (0..<5000).map { _ in budget.newTicket() }
        for ticket in tickets { budget.enqueue(ticket, ticket: ticket) }
        for ticket in tickets where ticket % 1000 != 999 { _ = budget.remove(ticket: ticket) }
        #expect(budget.admit(at: .zero).admitted == [999, 1999, 2999, 3999, 4999])
    }
}
