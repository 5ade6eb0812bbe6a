import Foundation
import Testing

@testable import DeploymentKit

/// The shipped `jobs.yaml` with one change, checked by `generate-jobs` against the built jobs.
@Suite(.timeLimit(.minutes(30))) final class ScheduleTests {
    private let root = FileManager.default.temporaryDirectory.appending(path: "schedules-\(UUID().uuidString)")

    init() throws { try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(at: root) }

    private static let daily = "schedule: 0 0 * * *\n"
    private static let monthly = "schedule: 5 0 1 * *\n"
    private static let stale = "schedule: \"*/15 * * * *\"\n"

    @Test(arguments: [
        ("DAYS_TO_KEEP: 90", "DAYS_TO_KEEP: 90d", "job quota-cleanup: DAYS_TO_KEEP is \"90d\""),
        ("DAYS_TO_KEEP: 90", "DAYS_TO_KEEP: 0", "job quota-cleanup: DAYS_TO_KEEP is \"0\""),
        (daily, "schedule: 0 0 * * 1-5\n", "starts no run in the first twelve hours of 2027-01-02 (UTC)"),
        (daily, "schedule: 0 13 * * *\n", "starts no run in the first twelve hours of 2027-01-01 (UTC)"),
        // Midnight in Tokyo is 15:00 UTC of the day before; in London, 23:30 UTC in summer.
        (daily, "schedule: 0 0 * * *\n    time_zone: Asia/Tokyo\n", "starts no run in the first twelve hours"),
        (daily, "schedule: 30 0 * * *\n    time_zone: Europe/London\n", "starts no run in the first twelve hours"),
        (daily, "schedule: 0 0 * * *\n    timeout: 24h\n", "after a killed run the lease lasts"),
        (monthly, "schedule: 5 0 2 * *\n", "starts no run on 2027-01-01 (UTC): the job is skipped on every other day"),
        (monthly, "schedule: 5 0 1 1-11 *\n", "starts no run on 2027-12-01 (UTC)"),
        (monthly, "schedule: 5 0 1 * *\n    time_zone: Asia/Tokyo\n", "starts no run on 2027-01-01 (UTC)"),
        (monthly, "schedule: 0 0 30 2 *\n", "never comes"),
        (stale, "schedule: 0 3 1 * *\n", "job stale-cleanup: the schedule `0 3 1 * *` (Etc/UTC) lets 31 days pass"),
        (
            stale, "schedule: 0 3 * * *\n    environment: {STALE_LOOKBACK_DAYS: 1}\n",
            "lets 24 hours pass between two runs, and 23 hours at most are allowed"
        ),
    ])
    func aJobThatCouldNeverDoItsWorkIsRefused(_ passage: String, _ replacement: String, _ problem: String) throws {
        let done = try generate(passage, replacement)

        #expect(done.code == 65)
        #expect(done.errors.contains(problem), "\(done.errors)")
        #expect(done.errors.split(separator: "\n").count == 1)
    }

    @Test(arguments: [
        ("DAYS_TO_KEEP: 90", "DAYS_TO_KEEP: 30"),
        (daily, "schedule: 0 0,6 * * *\n"), (daily, "schedule: 0 0 * * *\n    time_zone: America/New_York\n"),
        (daily, "schedule: manual\n"), (monthly, "schedule: 5 0 * * *\n"),
        (monthly, "schedule: 5 0 1 * *\n    time_zone: America/New_York\n"), (stale, "schedule: 0 3 * * *\n"),
    ])
    func aJobThatCanDoItsWorkIsAccepted(_ passage: String, _ replacement: String) throws {
        let done = try generate(passage, replacement)

        // The files are out of date then, and nothing else is wrong.
        #expect(done.code == 1)
        #expect(!done.errors.contains("jobs.yaml:"), "\(done.errors)")
    }

    private func generate(_ passage: String, _ replacement: String) throws -> (code: Int32, errors: String) {
        let yaml = try Fixture.text("jobs.yaml")
        #expect(yaml.components(separatedBy: passage).count == 2)
        var changed = yaml.replacing(passage, with: replacement)
        // A job without a schedule cannot be paused.
        if replacement.contains("manual") { changed.replace("      - quota-reset-daily\n", with: "") }
        try Data(changed.utf8).write(to: root.appending(path: "jobs.yaml"))
        for path in ["Package.swift", "README.md", "docs", "deploy/access.json"] {
            let place = root.appending(path: path)
            try FileManager.default.createDirectory(
                at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
            try? FileManager.default.removeItem(at: place)
            try FileManager.default.copyItem(at: Fixture.root.appending(path: path), to: place)
        }
        let done = try GenerateJobs.run(root: root, "--check")
        return (done.code, done.errors)
    }
}
