/// Finds the shortest story of a violation: the fewest fates with which the same invariant breaks.
///
/// Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) over the fates that
/// happened. Each trial is a whole world from its first day to the day of the violation.
package struct Shrinking {
    private var plan: World.Plan
    private let violation: World.Violation
    /// Called before each trial with its number and the number of fates that are left.
    package var onTrial: (_ trial: Int, _ left: Int) -> Void = { _, _ in }

    package init(_ plan: World.Plan, _ violation: World.Violation) {
        self.plan = plan
        self.violation = violation
        self.plan.days = violation.day + 1
        self.plan.onNight = nil
        self.plan.keepsStory = true
    }

    /// - Returns: The ids of the fates that are left, and the world with only these.
    package func shortest(of fates: [String]) throws -> (fates: [String], result: World.Result) {
        var trials = 0
        let left = try Self.fewest(of: fates) { fates in
            trials += 1
            onTrial(trials, fates.count)
            return try world(fates).violation?.invariant == violation.invariant
        }
        return (left, try world(left))
    }

    private func world(_ fates: [String]) throws -> World.Result {
        var plan = plan
        plan.only = Set(fates)
        return try World(plan).run()
    }

    /// The elements without which the condition would not hold: none of them can be left out by itself.
    ///
    /// - Parameter mostTrials: After so many trials the fewest elements so far are returned.
    static func fewest(
        of elements: [String], mostTrials: Int = 400, _ holds: ([String]) throws -> Bool
    ) rethrows -> [String] {
        var left = elements
        var trials = 0
        var parts = 2
        if try holds([]) { return [] }
        while left.count > 1, trials < mostTrials {
            let size = (left.count + parts - 1) / parts
            var isSmaller = false
            for start in stride(from: 0, to: left.count, by: size) where trials < mostTrials {
                let rest = Array(left[..<start] + left[min(start + size, left.count)...])
                trials += 1
                if try holds(rest) {
                    left = rest
                    parts = max(parts - 1, 2)
                    isSmaller = true
                    break
                }
            }
            if !isSmaller {
                if size == 1 { break }
                parts = min(2 * parts, left.count)
            }
        }
        return left
    }
}
