import Foundation

/// Refuses a schedule with which a job could never do its work, or not all of it. The job itself says what it needs.
struct ScheduleRules {
    let file: JobsFile
    let descriptions: JobDescriptions
    let log: ProblemLog

    /// A need may follow from a variable, so it may differ between environments. A problem of all of them is one line.
    func check(_ job: JobDefinition) {
        checkArguments(of: job)
        guard let schedule = job.schedule else { return }
        var places: [String: [String]] = [:]
        for environment in file.environments {
            guard let description = descriptions[environment.name]?[job.name], let need = description.schedule else {
                continue
            }
            let problem =
                problem(of: schedule, need, in: job.timeZone)
                ?? problem(ofLease: description.exclusive, need, schedule, job)
            if let problem { places[problem, default: []].append(environment.name) }
        }
        for (problem, environments) in places {
            let suffix =
                environments.count == file.environments.count ? "" : " in \(environments.joined(separator: ", "))"
            log.add(job.values.lineOf("schedule"), "job \(job.name)\(suffix): \(problem)")
        }
    }

    /// Options for one run by hand. Deployed, each run would be for the same day, or do nothing.
    private func checkArguments(of job: JobDefinition) {
        let options = ["--dry-run", "--date", "--now", "--describe", "--help", "-h", "--version"]
        for argument in job.arguments where options.contains(String(argument.value.prefix { $0 != "=" })) {
            log.add(
                argument.line,
                "job \(job.name): with the argument \(argument.value) in every run the job could never do its work; it is for "
                    + "a run by hand: scripts/run-job.sh")
        }
    }

    private func problem(of schedule: Cron, _ need: JobDescription.ScheduleNeed, in zone: String) -> String? {
        let intro = "the schedule `\(schedule.text)` (\(zone))"
        switch need.rule {
        case "every_day":
            guard let day = firstMissed(schedule, zone, { $0 < 43_200 }, { _ in true }) else { return nil }
            return "\(intro) starts no run in the first twelve hours of \(day) (UTC): \(need.because)"
        case "first_of_every_month":
            guard let day = firstMissed(schedule, zone, { _ in true }, { $0.hasSuffix("-01") }) else { return nil }
            return "\(intro) starts no run on \(day) (UTC): \(need.because)"
        default:
            guard let longest = need.longestPauseSeconds, let gap = schedule.longestGap, gap > longest else {
                return nil
            }
            return "\(intro) lets \(AlertPolicies.spoken(gap)) pass between two runs, and "
                + "\(AlertPolicies.spoken(longest)) at most are allowed: \(need.because)"
        }
    }

    /// A killed run keeps others out until its lease expires, which must not be the next run of a job that is bound to a day.
    private func problem(
        ofLease isExclusive: Bool, _ need: JobDescription.ScheduleNeed, _ schedule: Cron, _ job: JobDefinition
    ) -> String? {
        guard isExclusive, need.rule != nil, let gap = schedule.longestGap, job.leaseSeconds >= gap else { return nil }
        return
            "after a killed run the lease lasts \(AlertPolicies.spoken(job.leaseSeconds)), until after the next run: "
            + "shorten the timeout"
    }

    /// The first of the wanted days of 2027 and 2028 (UTC) in which no run starts at a second that is allowed. A leap year and
    /// both changes of the clock are among them.
    private func firstMissed(
        _ schedule: Cron, _ zone: String, _ isInTime: (Int) -> Bool, _ isWanted: (String) -> Bool
    ) -> String? {
        guard let zone = TimeZone(identifier: zone) else { return nil }
        let days = Set(
            schedule.starts(in: zone, years: 2026...2029).filter { isInTime($0 % 86_400) }.map { $0 / 86_400 })
        let first = Cron.daysSinceEpoch(year: 2027)
        for day in first..<Cron.daysSinceEpoch(year: 2029) where !days.contains(day) {
            let text = Date(timeIntervalSince1970: Double(day * 86_400)).formatted(.iso8601.year().month().day())
            if isWanted(text) { return text }
        }
        return nil
    }
}
