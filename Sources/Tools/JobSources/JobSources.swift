import Foundation
import PackagePlugin

/// Copies the jobs' files without the line `@main`, so that one program can hold all of the jobs. The copies are made anew by every
/// build, so the program always has the code that ships.
@main
struct JobSources: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let jobs = context.package.directoryURL.appending(path: "Sources/Jobs")
        let names = try FileManager.default.contentsOfDirectory(atPath: jobs.path).filter { $0.hasSuffix("Job") }
            .sorted()
        return names.map { name in
            let source = jobs.appending(path: "\(name)/\(name).swift")
            let copy = context.pluginWorkDirectoryURL.appending(path: "\(name).swift")
            return .buildCommand(
                displayName: "Copying \(name)", executable: URL(filePath: "/bin/sed"),
                arguments: ["-n", "-e", "s/^@main$//", "-e", "w \(copy.path)", source.path], inputFiles: [source],
                outputFiles: [copy])
        }
    }
}
