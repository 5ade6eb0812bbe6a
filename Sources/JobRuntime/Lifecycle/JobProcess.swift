import ArgumentParser
import Logging

/// One process of a job, from its arguments to its exit status.
///
/// The command line is read first, then the whole environment; only when both are right does the run begin.
struct JobProcess<Job: ScheduledJob> {
    private let surroundings: ProcessSurroundings

    init(_ surroundings: ProcessSurroundings) {
        self.surroundings = surroundings
    }

    func run() async -> JobExitCode {
        let command: JobCommand<Job>
        switch parsedCommand() {
        case .success(let parsed): command = parsed
        case .failure(let ending): return ending.status
        }
        var reader = EnvironmentReader(surroundings.environment)
        let runtime = RuntimeSettings(reading: &reader)
        let settings = Job.Settings(reading: &reader)
        let setting = RunSetting(
            job: Job.name, options: command.common, settings: runtime, surroundings: surroundings)
        guard reader.problems.isEmpty else {
            setting.refuse(reader.problems)
            return .configuration
        }
        let context = JobContext<Job>(
            options: command.options, settings: settings, isDryRun: command.common.isDryRun, now: setting.now,
            report: setting.report, logger: setting.logger, task: runtime.task,
            deadline: runtime.deadline,
            certificateAuthorityFile: runtime.certificateAuthorityFile)
        return await RunLifecycle(setting).run { try await Job.run(in: context) }
    }

    private struct Ending: Error {
        let status: JobExitCode
    }

    private func parsedCommand() -> Result<JobCommand<Job>, Ending> {
        do {
            let parsed = try JobCommand<Job>.parseAsRoot(surroundings.arguments)
            if let command = parsed as? JobCommand<Job> { return .success(command) }
            // The parser's own commands, such as --generate-completion-script, print and end.
            var other = parsed
            try other.run()
            return .failure(Ending(status: .success))
        } catch {
            let columns = surroundings.isErrorTerminal ? surroundings.terminalWidth() : 100
            let text = JobCommand<Job>.fullMessage(for: error, columns: columns)
            // The parser repeats what it was given, control characters included.
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { printable($0) }
            let isClean = JobCommand<Job>.exitCode(for: error) == .success
            let message = lines.joined(separator: "\n") + "\n"
            if isClean { return .failure(Ending(status: surroundings.writeOutput(message) ? .success : .failure)) }
            surroundings.writeError(message)
            return .failure(Ending(status: .usage))
        }
    }
}
