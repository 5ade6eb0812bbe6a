import Foundation
package import JobRuntime
import Synchronization

/// An executable of the package, from the folder that these tests were built into. It is the one way in which tests start a
/// job.
///
/// ```swift
/// let outcome = try await JobExecutable.named("quota-cleanup").run(
///     ["--dry-run"], environment: ["WAREHOUSE_URL": "sqlite:\(folder.file("a.db"))"])
/// #expect(outcome.exitCode == 0)
/// #expect(try outcome.summary().counts["rows_deleted"] == 3)
/// ```
///
/// ``run(_:environment:in:)`` waits for the end of the process. ``start(_:environment:in:)`` returns a ``RunningJob``, which a
/// test can send signals.
package struct JobExecutable: Sendable, CustomStringConvertible {
    /// The executable's file name, such as `OrgSyncAllJob`.
    package let product: String
    /// The name that it gives itself, such as `org-sync-all`.
    package let name: String

    package static let bootstrap = JobExecutable("BootstrapJob")
    package static let bootstrapSync = JobExecutable("BootstrapSyncJob")
    package static let orgSyncAll = JobExecutable("OrgSyncAllJob")
    package static let demoData = JobExecutable(product: "demo-data", name: "demo-data")

    /// One for each folder of `Sources/Jobs`.
    package static let jobs: [JobExecutable] = {
        let names = try? FileManager.default.contentsOfDirectory(atPath: Repository.path("Sources/Jobs"))
        return (names ?? []).filter { $0.hasSuffix("Job") }.sorted().map(JobExecutable.init)
    }()

    /// The job of that name, such as `quota-cleanup`.
    package static func named(_ name: String) throws -> JobExecutable {
        guard let job = jobs.first(where: { $0.name == name }) else { throw NoSuchJob(name: name) }
        return job
    }

    struct NoSuchJob: Error {
        let name: String
    }

    package init(product: String, name: String) {
        self.product = product
        self.name = name
    }

    /// A job is named after its product: `OrgSyncAllJob` is `org-sync-all`.
    private init(_ product: String) {
        var name = ""
        for letter in product.dropLast(3) {
            if letter.isUppercase, !name.isEmpty { name += "-" }
            name += letter.lowercased()
        }
        self.init(product: product, name: name)
    }

    package var description: String { name }

    /// Starts the process with this environment and no other variable.
    /// - Parameter folder: Its working directory.
    package func start(
        _ arguments: [String] = [], environment: [String: String] = [:], in folder: String = "/"
    ) throws -> RunningJob {
        try RunningJob(path(), arguments: arguments, environment: environment, folder: folder)
    }

    /// Starts the process with redirections in the shell's words, such as `>/dev/full`.
    package func start(
        _ arguments: [String], redirected redirections: String, environment: [String: String]
    ) throws -> RunningJob {
        try RunningJob(
            "/bin/sh", arguments: ["-c", "exec \"$0\" \"$@\" \(redirections)", path()] + arguments,
            environment: environment, folder: "/")
    }

    private func path() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: own).deletingLastPathComponent().appending(path: product).path
    }

    /// Runs the process to its end. Only a few run at the same time, however many tests there are.
    package func run(
        _ arguments: [String] = [], environment: [String: String] = [:], in folder: String = "/"
    ) async throws -> JobOutcome {
        try await ProcessSlots.shared.withSlot {
            try await start(arguments, environment: environment, in: folder).outcome()
        }
    }
}

/// The end of a job's process and the text that it wrote.
package struct JobOutcome: Sendable {
    package enum Ending: Sendable, Hashable {
        case exited(Int32)
        case killed(Int32)
    }

    package let ending: Ending
    package let output: String
    package let error: String

    /// `nil` if a signal killed it.
    package var exitCode: Int32? {
        if case .exited(let code) = ending { code } else { nil }
    }

    package var outputLines: [String] { Self.lines(of: output) }
    package var errorLines: [String] { Self.lines(of: error) }

    /// The last line of standard output.
    /// - Throws: An error that shows the output of the process, if that line is no summary.
    package func summary() throws -> JobSummary {
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(JobSummary.self, from: Data((outputLines.last ?? "").utf8))
        } catch {
            throw NoSummary(outcome: self)
        }
    }

    package struct NoSummary: Error, CustomStringConvertible {
        let outcome: JobOutcome

        package var description: String {
            "no summary, \(outcome.ending), standard output: \(outcome.output), standard error: \(outcome.error)"
        }
    }

    private static func lines(of text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).dropLast(text.hasSuffix("\n") ? 1 : 0)
            .map(String.init)
    }
}

/// The summary line of a run, as far as tests read it.
package struct JobSummary: Decodable, Sendable {
    package struct Finding: Decodable, Sendable, Hashable {
        package let subject: String
        package let reason: String
    }

    package let job: String
    package let severity: String
    package let message: String
    package let status: String
    package let reason: String?
    package let dryRun: Bool
    package let counts: [String: Int]
    package let failures: [Finding]
    package let warnings: [Finding]
    package let now: String
    package let execution: String?
    package let taskIndex: Int
    package let taskCount: Int
    package let attempt: Int
    package let details: JSONValue?

    /// Everything that was created or added.
    package var changes: Int {
        ["datasets_created", "tables_created", "tables_updated", "columns_added"].reduce(0) { $0 + (counts[$1] ?? 0) }
    }
}

/// Lets a few processes run at the same time. The others wait in the order in which they came.
final class ProcessSlots: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    static let shared = ProcessSlots(3)

    private let state: Mutex<State>

    init(_ count: Int) {
        state = Mutex(State(free: count))
    }

    func withSlot<Value: Sendable>(_ work: () async throws -> Value) async throws -> Value {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free == 0 {
                    state.waiting.append(continuation)
                    return false
                }
                state.free -= 1
                return true
            }
            if isFree { continuation.resume() }
        }
        defer { leave() }
        return try await work()
    }

    private func leave() {
        let next: CheckedContinuation<Void, Never>? = state.withLock { state in
            if state.waiting.isEmpty {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
