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
        ("*/15 * * * *", "every 15 minutes"), ("* * * * *", "every minute"), ("0 * * * *", "every hour"),
        ("0 1 * * *", "every day at 01:00 UTC"), ("5 0 1 * *", "on day 1 of every month at 00:05 UTC"),
        ("0 9-17 * * 1-5", "Monday to Friday every hour from 09:00 to 17:00 UTC"),
        ("0 12 * * MON", "every Monday at 12:00 UTC"), ("0 0 1,15 * *", "on day 1 and 15 of every month at 00:00 UTC"),
        ("*/5 1 * * *", "every day every 5 minutes from 01:00 to 01:59 UTC"),
        ("50,10 * * * *", "10 and 50 minutes past every hour"),
        ("7-59/15 * * * *", "7, 22, 37 and 52 minutes past every hour"),
        ("0 0 29 2 *", "on day 29 of February at 00:00 UTC"), ("0 6,18 * * *", "every day at 06:00 and 18:00 UTC"),
        ("0 */6 * * *", "every day every 6 hours from 00:00 to 18:00 UTC"),
        ("0 3 * * 0,6", "Saturday and Sunday at 03:00 UTC"),
        ("0 0 1,15 * 0", "on day 1 and 15 of every month and on Sunday at 00:00 UTC"),
        ("30 4 * 1-3,12 *", "every day in January to March and December at 04:30 UTC"),
        ("0 0 31 * *", "on day 31 of every month at 00:00 UTC"),
        ("15 1-5/2,20 * * *", "every day at 01:15, 03:15, 05:15 and 20:15 UTC"),
        ("0,20,50 3,7 * * *", "every day 0, 20 and 50 minutes past every hour in the hours 3 and 7 UTC"),
    ])
    func speaksOfSchedules(schedule: String, words: String) throws {
        #expect(try Cron(schedule).spoken(in: "Etc/UTC") == words)
    }

    @Test func namesTheZoneOfTheTimes() throws {
        #expect(try Cron("0 1 * * *").spoken(in: "Europe/Berlin") == "every day at 01:00 Europe/Berlin")
    }

    @Test func sevenIsSunday() throws {
        #expect(try Cron("0 0 * * 7").daysOfWeek == Cron("0 0 * * SUN").daysOfWeek)
    }

    @Test(arguments: [(450, "7.5 minutes"), (129_600, "36 hours"), (4_017_600, "46.5 days"), (1350, "22.5 minutes")])
    func speaksOfTimes(seconds: Int, spoken: String) {
        #expect(AlertPolicies.spoken(seconds) == spoken)
    }
}
