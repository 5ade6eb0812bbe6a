/// Finds the shortest story of a violation: the fewest fates with which the same invariant breaks.
///
/// Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) over the fates that
/// happened. Each trial is a whole world from its first day to the day of the violation.
package struct Shrinking {
    package var plan: World.Plan
    package var violation: World.Violation
    /// The most worlds to try.
    package var mostTrials = 300
    package var onTrial: (_ trial: Int, _ left: Int) -> Void = { _, _ in }

    package init(_ plan: World.Plan, _ violation: World.Violation) {
        self.plan = plan
        self.violation = violation
        self.plan.days = violation.day + 1
        self.plan.onNight = nil
    }

    /// - Returns: The ids of the fates that are left, and the world with only these.
    package mutating func shortest(of fates: [String]) throws -> (fates: [String], result: World.Result) {
        var left = fates
        var trials = 0
        var best = try trial(left)
        var parts = 2
        while left.count >= 2, trials < mostTrials {
            let size = (left.count + parts - 1) / parts
            var isSmaller = false
            for start in stride(from: 0, to: left.count, by: size) where trials < mostTrials {
                let rest = Array(left[..<start] + left[min(start + size, left.count)...])
                trials += 1
                onTrial(trials, left.count)
                let result = try trial(rest)
                if result.violation?.invariant == violation.invariant {
                    (left, best) = (rest, result)
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
        if left.count == 1 {
            let result = try trial([])
            if result.violation?.invariant == violation.invariant { (left, best) = ([], result) }
        }
        return (left, best)
    }

    private func trial(_ fates: [String]) throws -> World.Result {
        var plan = plan
        plan.only = Set(fates)
        plan.keepsStory = true
        return try World(plan).run()
    }
}
