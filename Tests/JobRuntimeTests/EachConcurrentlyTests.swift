import JobRuntime
import Testing

@Suite(.timeLimit(.minutes(30))) struct EachConcurrentlyTests {
    @Test func goesThroughEverythingWithSoManyAtOnce() async throws {
        let state = Shared((now: 0, most: 0, done: Set<Int>()))

        try await eachConcurrently(Array(0..<50), atOnce: 4) { item in
            state.change { $0 = ($0.now + 1, max($0.most, $0.now + 1), $0.done) }
            await Task.yield()
            state.change { $0 = ($0.now - 1, $0.most, $0.done.union([item])) }
        }

        #expect(state.value.done == Set(0..<50))
        #expect(state.value.most <= 4)
    }

    @Test func aCancelledRunLeavesOutTheRestAndSaysSo() async {
        let done = Shared([Int]())
        let begun = AsyncStream<Void>.makeStream()
        let run = Task {
            try await eachConcurrently([1, 2, 3], atOnce: 1) { item in
                done.change { $0.append(item) }
                guard item == 2 else { return }
                begun.continuation.yield()
                while !Task.isCancelled { await Task.yield() }
            }
        }
        for await _ in begun.stream { break }

        run.cancel()

        await #expect(throws: CancellationError.self) { try await run.value }
        #expect(done.value == [1, 2])
    }

    @Test func aSignalDuringTheLastItemLeavesNothingOut() async throws {
        let done = Shared([Int]())
        let begun = AsyncStream<Void>.makeStream()
        let run = Task {
            try await eachConcurrently([1, 2], atOnce: 1) { item in
                if item == 2 {
                    begun.continuation.yield()
                    // Goes on in spite of the signal, as work between two safe points does.
                    while !Task.isCancelled { await Task.yield() }
                }
                done.change { $0.append(item) }
            }
        }
        for await _ in begun.stream { break }

        run.cancel()

        try await run.value
        #expect(done.value == [1, 2])
    }
}
