import ArgumentParser

/// The command line of a job: its own options and those of every job.
struct JobCommand<Job: ScheduledJob>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: String(describing: Job.self), abstract: Job.purpose,
            discussion: helpDiscussion(Job.discussion, jobVariables: Job.Settings.environmentHelp),
            version: "\(Job.name) \(serviceVersion)")
    }

    @OptionGroup(title: "Options of this job") var options: Job.Options
    @OptionGroup(title: "Options of every job") var common: CommonOptions
}

/// What stands under the purpose in `--help`: the job's own text, its variables, everyone's variables, the exit codes.
func helpDiscussion(_ own: String, jobVariables: [(name: String, text: String)]) -> String {
    let exitCodes = [
        (" 0", "Done, or nothing to do."), (" 1", "Some or all of the work failed; the summary names what."),
        ("64", "Wrong command line."), ("75", "Stopped by SIGTERM, SIGINT or the deadline; run again for the rest."),
        ("78", "Wrong configuration; all problems are in one message."),
    ]
    let sections = [
        ("ENVIRONMENT OF THIS JOB", jobVariables), ("ENVIRONMENT OF EVERY JOB", RuntimeSettings.environmentHelp),
        ("EXIT CODES", exitCodes),
    ]
    let texts = sections.filter { !$0.1.isEmpty }.map { title, entries in
        let gap = entries.allSatisfy { $0.0.count < 4 } ? "  " : "\n      "
        return "\(title):\n" + entries.map { name, text in "  \(name)\(gap)\(text)" }.joined(separator: "\n")
    }
    return ([own] + texts).filter { !$0.isEmpty }.joined(separator: "\n\n")
}
