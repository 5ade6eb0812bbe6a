package import ArgumentParser
import JobRuntime

/// The waves of a rollout: how many organizations each has, and the pause between two.
package struct WavePlan: Hashable, Sendable {
    /// `nil` for all that are left.
    package var sizes: [Int?]
    package var pause: Duration
    /// If so many organizations fail for one reason, the rollout halts.
    package var mostFailures: Int
    /// Whether a halted rollout goes on.
    package var resumes: Bool
    /// How many organizations a task changes before it looks at the other tasks.
    package var slice = 500

    package static let usualPause = Duration.seconds(600)

    package init(sizes: [Int?], pause: Duration = usualPause, mostFailures: Int = 5, resumes: Bool = false) {
        self.sizes = sizes
        self.pause = pause
        self.mostFailures = mostFailures
        self.resumes = resumes
    }

    var text: String { sizes.map { $0.map(String.init) ?? "all" }.joined(separator: ",") }

    /// How many organizations of a task may be changed up to the end of the wave; `nil` without a limit. Over all tasks it is no more
    /// than the sizes of the waves.
    func limit(through wave: Int, of task: CloudRunTask) -> Int? {
        var sum = 0
        for size in sizes.prefix(wave) {
            guard let size else { return nil }
            sum += size
        }
        return sum / task.count + (task.index < sum % task.count ? 1 : 0)
    }
}

/// `--waves` and what belongs to it.
package struct WaveOptions: ParsableArguments, Sendable {
    @Option(
        help: .init("Change so many organizations first, then so many more, such as 1,10,100,all.", valueName: "sizes"))
    package var waves: String?

    @Option(help: .init("The time between two waves, such as 90s, 10m or 2h.", valueName: "time"))
    package var pause = "10m"

    @Option(help: .init("Halt the waves when so many organizations fail for one reason.", valueName: "number"))
    package var maxFailures = 5

    @Flag(help: "Go on with waves that were halted.")
    package var resume = false

    package init() {}

    package func validate() throws {
        guard let waves else {
            guard !resume else { throw ValidationError("--resume needs --waves.") }
            return
        }
        guard Self.sizes(waves) != nil else {
            throw ValidationError(
                "--waves \(quoted(waves)) is not a list of numbers that ends with all, such as 1,10,100,all.")
        }
        guard Self.duration(pause) != nil else {
            throw ValidationError("--pause \(quoted(pause)) is not a time of at most 24 hours, such as 90s, 10m or 2h.")
        }
        guard maxFailures > 0 else { throw ValidationError("--max-failures must be at least 1.") }
    }

    /// `nil` without `--waves`.
    package var plan: WavePlan? {
        guard let sizes = waves.flatMap(Self.sizes), let pause = Self.duration(pause) else { return nil }
        return WavePlan(sizes: sizes, pause: pause, mostFailures: maxFailures, resumes: resume)
    }

    private static func sizes(_ text: String) -> [Int?]? {
        let words = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
        guard words.last == "all" else { return nil }
        let sizes = words.dropLast().map { Int($0) ?? 0 }
        return sizes.allSatisfy { $0 > 0 && $0 <= 10_000_000 } ? sizes + [nil] : nil
    }

    private static func duration(_ text: String) -> Duration? {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int(text.dropLast()), number >= 0,
            number <= 86_400
        else { return nil }
        let seconds = number * unit
        return seconds <= 86_400 ? .seconds(seconds) : nil
    }
}
