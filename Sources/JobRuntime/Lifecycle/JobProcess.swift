import ArgumentParser
import Logging

/// One process of a job, from its arguments to its exit status.
///
/// The command line is read first, then the whole environment. The run begins only if both are correct.
struct JobProcess<Job: ScheduledJob> {
    private let surroundings: ProcessSurroundings

    init(_ surroundings: ProcessSurroundings) {
        self.surroundings = surroundings
    }

    func run() async -> JobExitCode {
        var command: JobCommand<Job>
        switch parsedCommand() {
        case .success(let parsed): command = parsed
        case .failure(let ending): return ending.status
        }
        if command.common.describe {
            return print(JobDescription<Job>(environment: surroundings.environment).json.description)
        }
        if Job.isDryRun(command.options) { command.common.isDryRun = true }
        var reader = EnvironmentReader(surroundings.environment)
        let runtime = RuntimeSettings(reading: &reader, isExclusive: Job.isExclusive)
        let settings = Job.Settings(reading: &reader)
        let setting = RunSetting(
            job: Job.name, options: command.common, settings: runtime, surroundings: surroundings)
        guard reader.problems.isEmpty else {
            setting.refuse(reader.problems)
            return .configuration
        }
        let run = Run(
            job: Job.name, isExclusive: Job.isExclusive, isDryRun: command.common.isDryRun, now: setting.now,
            report: setting.report, logger: setting.logger, task: runtime.task, deadline: runtime.deadline,
            leaseValidity: runtime.leaseValidity, certificateAuthorityFile: runtime.certificateAuthorityFile,
            timeSource: command.common.timeSource)
        let job = Job(options: command.options, settings: settings)
        return await RunLifecycle(setting, run).run { try await job.run(run) }
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
            var text = JobCommand<Job>.fullMessage(for: error, columns: columns)
            if text == JobCommand<Job>.helpMessage(columns: columns) {
                text += "\n" + JobDescription<Job>(environment: [:]).helpSections(columns: columns)
            }
            // The parser repeats its arguments, including control characters.
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { printable($0) }
            let message = lines.joined(separator: "\n")
            if JobCommand<Job>.exitCode(for: error) == .success { return .failure(Ending(status: print(message))) }
            surroundings.writeError(message + "\n")
            return .failure(Ending(status: .usage))
        }
    }

    private func print(_ text: String) -> JobExitCode {
        surroundings.writeOutput(text + "\n") ? .success : .failure
    }
}
