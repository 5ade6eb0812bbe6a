import Foundation

extension JobsFileReader {
    /// A week, the most that Cloud Run lets a task run.
    private static let timeouts = 60...604_800

    func job(_ section: Section) -> JobDefinition {
        let nothing = Located("", line: section.line)
        // A name in a wrong form is still a name: it may be there twice.
        let name = section.text("name", Pattern.jobName) ?? section.optionalText("name") ?? nothing
        let executable = section.text("executable", Pattern.executable) ?? nothing
        let purpose = section.text("purpose")
        if let purpose, purpose.value.count > 400 { section.note("purpose", "purpose has more than 400 characters") }
        let tasks = section.integer("tasks", in: 1...10_000)
        let parallelism = section.integer("parallelism", in: 0...10_000)
        return JobDefinition(
            name: name.value, line: name.line, executable: executable, purpose: purpose?.value ?? "",
            schedule: schedule(section), timeZone: timeZone(section) ?? "Etc/UTC",
            timeoutSeconds: section.seconds("timeout", in: Self.timeouts) ?? 600,
            retries: section.integer("retries", in: 0...10) ?? 0, size: size(section) ?? .smallest, tasks: tasks ?? 1,
            parallelism: tasks == nil ? 1 : parallelism ?? 1,
            isExclusive: section.flag("exclusive", default: false) ?? false, environment: section.map("environment"),
            secrets: section.map("secrets"), arguments: section.list("arguments"), roles: roles(section))
    }

    /// `nil` for a manual job. One that cannot be read counts as one that there is.
    private func schedule(_ section: Section) -> Cron? {
        let text = section.text("schedule")
        if text?.value == "manual" { return nil }
        do {
            if let text { return try Cron(text.value) }
        } catch {
            section.note("schedule", "the schedule \(text?.value ?? "") \(error)")
        }
        return try? Cron("0 0 * * *")
    }

    private func timeZone(_ section: Section) -> String? {
        guard let text = section.text("time_zone") else { return nil }
        // TimeZone also takes abbreviations and offsets, which Cloud Scheduler does not.
        guard text.value == "UTC" || text.value.contains("/"), TimeZone(identifier: text.value) != nil else {
            section.note("time_zone", "\(text.value) is no time zone of the tz database, such as Europe/Berlin")
            return nil
        }
        return text.value
    }

    private func size(_ section: Section) -> TaskSize? {
        let cpu = section.integer("cpu", in: 1...8)
        guard let text = section.text("memory") else { return nil }
        guard let memory = TaskSize.mebibytes(text.value) else {
            section.note("memory", "memory must be a number and Mi or Gi, such as 512Mi, not \(text.value)")
            return nil
        }
        guard let cpu else { return nil }
        guard let size = TaskSize(cpu: cpu, mebibytes: memory) else {
            if let range = TaskSize.allowed[cpu] {
                let bounds = "\(range.lowerBound)Mi to \(range.upperBound)Mi"
                section.note("memory", "with cpu \(cpu) memory must be from \(bounds), not \(text.value)")
            } else {
                section.note("cpu", "cpu must be 1, 2, 4, 6 or 8, not \(cpu)")
            }
            return nil
        }
        return size
    }

    private func roles(_ section: Section) -> [RoleGrant] {
        guard let scopes = section.section("roles") else { return [] }
        return scopes.keys.map { RoleGrant(scope: $0, line: scopes.lineOf($0), roles: scopes.list($0)) }
    }
}
