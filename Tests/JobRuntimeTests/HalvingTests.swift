import JobRuntime
import Testing

@Suite struct HalvingTests {
    private struct Refusal: Error {}
    private struct Loss: Error {}

    /// The parts that were tried, done and refused, where any part with one of the bad items is refused.
    private func halve(
        _ items: [Int], bad: Set<Int>, mostRefusals: Int = .max
    ) async throws -> (tried: [[Int]], done: [Int], refused: [[Int]]) {
        var (tried, done, refused): ([[Int]], [Int], [[Int]]) = ([], [], [])
        try await halvingOnRefusal(items, mostRefusals: mostRefusals, isRefusal: { $0 is Refusal }) { part in
            tried.append(Array(part))
            if part.contains(where: bad.contains) { throw Refusal() }
            done += part
        } refused: { part, error in
            #expect(error is Refusal)
            refused.append(Array(part))
        }
        return (tried, done, refused)
    }

    @Test func doesEverythingAtOnceWhereNothingIsRefused() async throws {
        let result = try await halve(Array(1...1000), bad: [])

        #expect(result.tried.count == 1)
        #expect(result.done == Array(1...1000))
    }

    @Test func leavesOutOnlyTheRefusedItemsAndKeepsTheOrder() async throws {
        let result = try await halve(Array(1...8), bad: [3, 8])

        #expect(result.done == [1, 2, 4, 5, 6, 7])
        #expect(result.refused == [[3], [8]])
        #expect(result.tried.prefix(4) == [Array(1...8), [1, 2, 3, 4], [1, 2], [3, 4]])
    }

    @Test func findsOneAmongAThousandWithElevenRefusals() async throws {
        let result = try await halve(Array(1...1000), bad: [777])

        #expect(result.refused == [[777]])
        #expect(result.tried.count { $0.contains(777) } == 11)
    }

    @Test func dividesNoMoreAfterTooManyRefusals() async throws {
        let result = try await halve(Array(1...8), bad: Set(1...8), mostRefusals: 2)

        #expect(result.refused == [[1, 2], [3, 4], [5, 6, 7, 8]])
    }

    @Test func passesOnAnErrorThatIsNoRefusal() async {
        var count = 0

        await #expect(throws: Loss.self) {
            try await halvingOnRefusal([1, 2, 3], isRefusal: { $0 is Refusal }) { _ in
                count += 1
                throw Loss()
            } refused: { _, _ in
            }
        }

        #expect(count == 1)
    }

    @Test func doesNothingWithoutItems() async throws {
        #expect(try await halve([], bad: []).tried.isEmpty)
    }
}
