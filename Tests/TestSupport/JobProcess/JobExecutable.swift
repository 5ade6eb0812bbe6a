import Foundation

/// An executable of the package, from the folder that these tests were built into.
package struct JobExecutable: Sendable, CustomStringConvertible {
    /// The executable's file name, such as `OrgSyncAllJob`.
    package let product: String
    /// What it calls itself, such as `org-sync-all`.
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
