import JobRuntime
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(30))) struct RateLimiterTests {
    private let clock = LeapingClock()

    @Test func aBurstOfThreeSecondsGoesOutAtOnceAndTheRestAtTheRate() async throws {
        let limiter = RateLimiter(ratePerSecond: 10, maxInFlight: 1000, time: clock.time)
        let starts = Shared<[Duration]>([])

        try await withThrowingTaskGroup { group in
            for _ in 0..<50 {
                group.addTask { try await limiter.withPermit { starts.change { $0.append(clock.now) } } }
            }
            try await group.waitForAll()
        }

        let times = starts.value.sorted()
        #expect(times.count == 50)
        #expect(clock.now >= .seconds(2) - .milliseconds(1))
        for (index, time) in times.enumerated() {
            #expect(Double(index + 1) <= 10 * (time / .seconds(1)) + 30 + 0.001)
        }
    }

    @Test func neverMoreInFlightThanAllowed() async throws {
        let limiter = RateLimiter(ratePerSecond: 1000, burst: 1000, maxInFlight: 3, time: clock.time)
        let inFlight = Shared((now: 0, most: 0))

        try await withThrowingTaskGroup { group in
            for _ in 0..<200 {
                group.addTask {
                    try await limiter.withPermit {
                        inFlight.change { state in
                            state.now += 1
                            state.most = max(state.most, state.now)
                        }
                        await Task.yield()
                        inFlight.change { $0.now -= 1 }
                    }
                }
            }
            try await group.waitForAll()
        }

        #expect(inFlight.value.now == 0)
        #expect((1...3).contains(inFlight.value.most))
    }

    @Test func aCancelledTaskLeavesTheQueueAndFreesItsPlace() async throws {
        let limiter = RateLimiter(ratePerSecond: 1000, maxInFlight: 1, time: clock.time)
        let (gate, opened) = AsyncStream<Void>.makeStream()
        let (holding, held) = AsyncStream<Void>.makeStream()
        let holder = Task {
            try await limiter.withPermit {
                held.finish()
                for await _ in gate {}
            }
        }
        for await _ in holding {}
        let ran = Shared(false)
        let waiter = Task { try await limiter.withPermit { ran.change { $0 = true } } }

        waiter.cancel()

        await #expect(throws: CancellationError.self) { try await waiter.value }
        opened.finish()
        try await holder.value
        #expect(try await limiter.withPermit { "free" } == "free")
        #expect(!ran.value)
    }

    @Test func aTaskThatIsAlreadyCancelledNeitherRunsNorWaits() async throws {
        let limiter = RateLimiter(ratePerSecond: 1000, maxInFlight: 1, time: clock.time)
        try await limiter.withPermit {
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                try await limiter.withPermit { _ = Issue.record("ran") }
            }
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test func aFailedOperationFreesItsPlace() async throws {
        struct Failure: Error {}
        let limiter = RateLimiter(ratePerSecond: 1000, maxInFlight: 1, time: clock.time)
        for _ in 0..<5 {
            await #expect(throws: Failure.self) { try await limiter.withPermit { throw Failure() } }
        }
        #expect(try await limiter.withPermit { 1 } == 1)
    }

    @Test func afterSlowDownTheNextCallsWait() async throws {
        let limiter = RateLimiter(ratePerSecond: 10, maxInFlight: 10, time: clock.time)
        limiter.slowDown()
        try await limiter.withPermit {}
        #expect(clock.now == .milliseconds(200))
    }

    @Test func cancellingAmidACrowdLosesNobody() async {
        let limiter = RateLimiter(ratePerSecond: 100, burst: 5, maxInFlight: 4, time: clock.time)
        let ran = Shared(0)
        let tasks = (0..<300).map { index in
            let task = Task { try await limiter.withPermit { ran.change { $0 += 1 } } }
            if index % 3 == 0 { task.cancel() }
            return task
        }
        var refused = 0
        for task in tasks {
            if case .failure = await task.result { refused += 1 }
        }
        #expect(ran.value + refused == 300)
        #expect(ran.value >= 200)
    }
}
