extension Cron {
    /// The schedule in words, with the zone of its times: `every 15 minutes`, `every day at 01:00 UTC`,
    /// `on day 1 of every month at 00:05 UTC`, `Monday to Friday every hour from 09:00 to 17:00 UTC`.
    func spoken(in timeZone: String) -> String {
        let zone = timeZone == "UTC" || timeZone.hasSuffix("/UTC") ? "UTC" : timeZone
        let isDaily = daysOfMonth.count == 31 && daysOfWeek.count == 7 && months.count == 12
        if isDaily, hours.count == 24 { return everyHour }
        return "\(days) \(hours.count == 24 ? everyHour : times) \(zone)"
    }

    // MARK: Times

    /// The runs of an hour, where every hour has the same.
    private var everyHour: String {
        if let step = Self.step(minutes, whole: 60) { return step == 1 ? "every minute" : "every \(step) minutes" }
        if minutes == [0] { return "every hour" }
        return "\(Self.list(minutes.map(String.init))) \(minutes == [1] ? "minute" : "minutes") past every hour"
    }

    private var times: String {
        let last = hours[hours.count - 1]
        if minutes.count == 1, hours.count > 2, let step = Self.step(hours) {
            let every = step == 1 ? "every hour" : "every \(step) hours"
            return "\(every) from \(Self.time(hours[0], minutes[0])) to \(Self.time(last, minutes[0]))"
        }
        if minutes.count * hours.count <= 4 {
            let all = hours.flatMap { hour in minutes.map { Self.time(hour, $0) } }
            return "at \(Self.list(all))"
        }
        let within =
            hours.count == last - hours[0] + 1
            ? "from \(Self.time(hours[0], 0)) to \(Self.time(last, 59))"
            : "in the hours \(Self.list(hours.map(String.init)))"
        return "\(everyHour) \(within)"
    }

    private static func time(_ hour: Int, _ minute: Int) -> String {
        [hour, minute].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
    }

    // MARK: Days

    /// Where days of the month and days of the week are both restricted, either is enough.
    private var days: String {
        let inMonths =
            months.count == 12 ? "every month" : Self.list(Self.ranges(months.sorted(), Self.monthTitles))
        let ofMonth = "day \(Self.list(Self.ranges(daysOfMonth.sorted(), (0...31).map(String.init)))) of \(inMonths)"
        let weekdays = daysOfWeek.sorted { ($0 + 6) % 7 < ($1 + 6) % 7 }.map { ($0 + 6) % 7 }
        let ofWeek = Self.list(Self.ranges(weekdays, Self.dayTitles))
        switch (daysOfMonth.count == 31, daysOfWeek.count == 7) {
        case (true, true): return months.count == 12 ? "every day" : "every day in \(inMonths)"
        case (true, false):
            let every = weekdays.count == 1 ? "every \(ofWeek)" : ofWeek
            return months.count == 12 ? every : "\(every) in \(inMonths)"
        case (false, true): return "on \(ofMonth)"
        case (false, false): return "on \(ofMonth) and on \(ofWeek)"
        }
    }

    private static let monthTitles = [
        "", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ]
    /// A week begins on Monday.
    private static let dayTitles = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

    // MARK: Lists

    /// The distance between neighbors, if it is the same for all; with `whole`, also from the last to the first of the next round.
    private static func step(_ numbers: [Int], whole: Int? = nil) -> Int? {
        guard numbers.count > 1 else { return nil }
        let steps = Set(zip(numbers.dropFirst(), numbers).map { $0 - $1 })
        guard steps.count == 1, let step = steps.first else { return nil }
        guard let whole else { return step }
        return numbers[0] == 0 && step * numbers.count == whole ? step : nil
    }

    /// `Monday to Friday`, `Sunday`: three or more neighbors are one range.
    private static func ranges(_ numbers: [Int], _ titles: [String]) -> [String] {
        var result: [ClosedRange<Int>] = []
        for number in numbers {
            if let last = result.last, last.upperBound + 1 == number {
                result[result.count - 1] = last.lowerBound...number
            } else {
                result.append(number...number)
            }
        }
        return result.flatMap { range in
            range.count > 2
                ? ["\(titles[range.lowerBound]) to \(titles[range.upperBound])"] : range.map { titles[$0] }
        }
    }

    /// `1`, `1 and 15`, `1, 8 and 15`.
    private static func list(_ items: [String]) -> String {
        items.count < 2 ? items.joined() : "\(items.dropLast().joined(separator: ", ")) and \(items[items.count - 1])"
    }
}
