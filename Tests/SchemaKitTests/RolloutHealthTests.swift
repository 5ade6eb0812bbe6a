import JobRuntime
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse

@Suite struct RolloutHealthTests {
    private func health(_ touched: (Int64, Int64), _ untouched: (Int64, Int64)) -> RolloutHealth {
        RolloutHealth(
            touched: .init(organizations: touched.0, failing: touched.1),
            untouched: .init(organizations: untouched.0, failing: untouched.1))
    }

    /// Fisher's own example, and numbers of R's `fisher.test(alternative = "greater")`.
    @Test(
        arguments: [
            ((4, 3), (4, 1), 0.242857), ((10, 5), (1000, 10), 8.3702e-8), ((1, 1), (99, 0), 0.01),
            ((0, 0), (50, 3), 1.0),
            ((5, 0), (50, 3), 1.0), ((5, 5), (5, 5), 1.0), ((3, 3), (3, 0), 0.05),
        ] as [((Int64, Int64), (Int64, Int64), Double)])
    func theProbabilityIsExact(_ touched: (Int64, Int64), _ untouched: (Int64, Int64), _ expected: Double) {
        let probability = health(touched, untouched).probability

        #expect(abs(probability - expected) <= expected * 0.001, "\(probability)")
    }

    @Test func largeNumbersDoNotOverflow() {
        #expect(health((50_000, 1_000), (50_000, 1_000)).probability > 0.4)
        #expect(health((50_000, 3_000), (50_000, 1_000)).probability < 1e-100)
    }

    /// One rollout in waves: the organizations by the order in which they are changed, and what became of each.
    private struct History {
        var random: SplitMix64
        let waves = [1, 10, 100]
        let organizations = 400

        /// - Parameter harm: The share of organizations whose pipelines the change breaks.
        /// - Returns: The wave after which the rollout was halted; `nil` if it was not.
        mutating func halt(harm: Double) -> Int? {
            // Organizations are different: some fail often.
            let base = (0..<organizations).map { _ in unit() < 0.1 ? 0.4 : unit() * 0.05 }
            let isHarmed = (0..<organizations).map { _ in unit() < harm }
            var changed = 0
            for (wave, size) in waves.enumerated() {
                changed += size
                var health = RolloutHealth()
                for number in 0..<organizations {
                    let fails = unit() < base[number] || (number < changed && isHarmed[number])
                    if number < changed {
                        health.touched.organizations += 1
                        health.touched.failing += fails ? 1 : 0
                    } else {
                        health.untouched.organizations += 1
                        health.untouched.failing += fails ? 1 : 0
                    }
                }
                if health.objection(falseAlarms: RolloutHealth.shareOfPause(of: waves.count)) != nil { return wave + 1 }
            }
            return nil
        }

        private mutating func unit() -> Double { Double(random.next() >> 11) / Double(1 << 53) }
    }

    @Test func aHarmlessChangeIsNotHaltedInAThousandHistories() {
        let halts = (0..<1000).count { seed in
            var history = History(random: SplitMix64(seed: UInt64(seed)))
            return history.halt(harm: 0) != nil
        }

        #expect(halts == 0)
    }

    /// A third of the organizations have the kind of pipeline that the change breaks.
    @Test func aChangeThatBreaksOneKindOfOrganizationIsHaltedInTheFirstWaves() {
        let halts = (0..<1000).map { seed in
            var history = History(random: SplitMix64(seed: UInt64(seed)))
            return history.halt(harm: 0.33)
        }

        #expect(halts.allSatisfy { $0 != nil })
    }
}
