import DeploymentKit
import Foundation

/// The executables of the jobs, in the folder into which `swift build` puts them.
struct BuiltJobs {
    let folder: URL

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The descriptions that the jobs print in these environments.
    func descriptions(for processes: [JobProcess], skippingMissing: Bool) throws -> JobDescriptions {
        let missing = Set(processes.map(\.executable).filter { !exists($0) })
        if !skippingMissing, !missing.isEmpty {
            let names = missing.sorted().joined(separator: ", ")
            throw Failure(
                description: "\(folder.path) does not have \(names). Build the jobs first: swift build. "
                    + "If they are elsewhere, name their folder: --jobs FOLDER")
        }
        var result: JobDescriptions = [:]
        for process in processes where exists(process.executable) {
            result[process.environment, default: [:]][process.job] = try description(from: process)
        }
        return result
    }

    private func exists(_ executable: String) -> Bool {
        !executable.isEmpty && FileManager.default.isExecutableFile(atPath: url(executable).path)
    }

    private func url(_ executable: String) -> URL { folder.appending(path: executable) }

    private func description(from start: JobProcess) throws -> JobDescription {
        let process = Process()
        let output = Pipe()
        process.executableURL = url(start.executable)
        process.arguments = ["--describe"]
        process.environment = start.variables.merging(surroundings) { own, _ in own }
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw Failure(description: "\(start.executable) cannot be started: \(error.localizedDescription)")
        }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(
                description: "\(start.executable) --describe ended with the exit code \(process.terminationStatus)")
        }
        do {
            return try JSONDecoder().decode(JobDescription.self, from: data)
        } catch {
            throw Failure(description: "\(start.executable) --describe printed no description: \(error)")
        }
    }

    /// The variables that a process needs to start. The job gets nothing else from the environment of this program.
    private var surroundings: [String: String] {
        ProcessInfo.processInfo.environment.filter { ["PATH", "LD_LIBRARY_PATH"].contains($0.key) }
    }
}
