extension Cron {
    /// The longest time in seconds that passes between two runs, over eight years; `nil` if a run never comes.
    ///
    /// Eight years hold a leap year and each day of the week on each date, so 29 February counts.
    package var longestGap: Int? {
        let times = hours.flatMap { hour in minutes.map { hour * 60 + $0 } }
        guard let first = times.first, let last = times.last else { return nil }
        let within = zip(times.dropFirst(), times).map { $0 - $1 }.max() ?? 0
        var longest = 0
        var previousDay: Int?
        var day = 0
        for year in 2020..<2029 {
            for month in 1...12 {
                for date in 1...Self.days(in: month, of: year) {
                    // 1 January 2020 was a Wednesday.
                    if fires(date: date, month: month, weekday: (day + 3) % 7) {
                        if let previousDay { longest = max(longest, (day - previousDay) * 1440 - last + first, within) }
                        previousDay = day
                    }
                    day += 1
                }
            }
        }
        return previousDay == nil || longest == 0 ? nil : longest * 60
    }

    /// Where both kinds of day are restricted, either is enough (cron's own rule).
    private func fires(date: Int, month: Int, weekday: Int) -> Bool {
        guard months.contains(month) else { return false }
        let byDate = daysOfMonth.contains(date)
        let byWeekday = daysOfWeek.contains(weekday)
        return daysOfMonth.count < 31 && daysOfWeek.count < 7 ? byDate || byWeekday : byDate && byWeekday
    }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
