import Testing

@testable import DeploymentKit

@Suite struct CronTests {
    @Test(arguments: [
        ("*/5 * * * *", 5), ("*/15 * * * *", 15), ("0 0 * * *", 1440), ("5 0 1 * *", 31 * 1440),
        ("0 9-17 * * 1-5", 64 * 60),
        ("0 12 * * MON", 7 * 1440), ("0 0 29 2 *", 1461 * 1440), ("50,10 * * * *", 40), ("0 0 1,15 * 0", 7 * 1440),
        ("0 0 31 * *", 61 * 1440),
    ])
    func knowsTheLongestTimeBetweenTwoRuns(schedule: String, minutes: Int) throws {
        #expect(try Cron(schedule).longestGap == minutes * 60)
    }

    @Test(arguments: [
        ("*/15 * * * *", "every 15 minutes"), ("0 1 * * *", "daily at 01:00 UTC"),
        ("5 0 1 * *", "on day 1 of the month at 00:05 UTC"), ("0 9-17 * * 1-5", "`0 9-17 * * 1-5` UTC"),
        ("0 12 * * MON", "`0 12 * * MON` UTC"), ("0 0 1,15 * *", "`0 0 1,15 * *` UTC"),
        ("*/5 1 * * *", "`*/5 1 * * *` UTC"),
    ])
    func speaksOfCommonSchedules(schedule: String, words: String) throws {
        #expect(try Cron(schedule).spoken(in: "Etc/UTC") == words)
        #expect(try Cron("0 1 * * *").spoken(in: "Europe/Berlin") == "daily at 01:00 Europe/Berlin")
    }

    @Test func sevenIsSunday() throws {
        #expect(try Cron("0 0 * * 7").daysOfWeek == Cron("0 0 * * SUN").daysOfWeek)
    }

    @Test(arguments: [(450, "7.5 minutes"), (129_600, "36 hours"), (4_017_600, "46.5 days"), (1350, "22.5 minutes")])
    func speaksOfTimes(seconds: Int, spoken: String) {
        #expect(AlertPolicies.spoken(seconds) == spoken)
    }
}
