import Foundation

/// A schedule in unix-cron form as Cloud Scheduler takes it: five fields with `*`, lists, ranges, steps and names.
package struct Cron: Hashable, Sendable {
    package let text: String
    let minutes: [Int]
    let hours: [Int]
    let daysOfMonth: Set<Int>
    let months: Set<Int>
    /// 0 is Sunday.
    let daysOfWeek: Set<Int>

    /// Throws what is wrong, in words.
    package init(_ text: String) throws(CronError) {
        let fields = text.split(separator: " ")
        guard fields.count == 5 else {
            throw CronError(
                "has \(fields.count) fields instead of five: minute, hour, day of month, month, day of week")
        }
        self.text = fields.joined(separator: " ")
        minutes = try Self.values(fields[0], Field(name: "minute", range: 0...59)).sorted()
        hours = try Self.values(fields[1], Field(name: "hour", range: 0...23)).sorted()
        daysOfMonth = try Self.values(fields[2], Field(name: "day of month", range: 1...31))
        months = try Self.values(fields[3], Field(name: "month", range: 1...12, names: Self.monthNames))
        let days = try Self.values(fields[4], Field(name: "day of week", range: 0...7, names: Self.dayNames))
        daysOfWeek = Set(days.map { $0 % 7 })
        guard longestGap != nil else { throw CronError("never comes: no such day in these months") }
    }

    private struct Field {
        var name: String
        var range: ClosedRange<Int>
        var names: [String: Int] = [:]
    }

    private static let monthNames = numbered(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], from: 1)
    private static let dayNames = numbered(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], from: 0)

    private static func numbered(_ names: [String], from first: Int) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0 + first) })
    }

    private static func values(_ text: Substring, _ field: Field) throws(CronError) -> Set<Int> {
        var result: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
            let span = try range(pieces[0], field, isStepped: pieces.count > 1)
            let step = pieces.count > 1 ? number(pieces[1]) : 1
            guard pieces.count <= 2, let step, step > 0 else {
                throw CronError("has the \(field.name) \(text), where the step is not a positive number")
            }
            guard step <= field.range.upperBound else {
                throw CronError("has the \(field.name) \(text), where the step is beyond \(field.range.upperBound)")
            }
            result.formUnion(stride(from: span.lowerBound, through: span.upperBound, by: step))
        }
        return result
    }

    /// Digits only: `Int` takes a sign too.
    private static func number(_ text: Substring) -> Int? {
        text.allSatisfy { ("0"..."9").contains($0) } ? Int(text) : nil
    }

    private static func range(_ text: Substring, _ field: Field, isStepped: Bool) throws(CronError) -> ClosedRange<Int>
    {
        if text == "*" { return field.range }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        let numbers = ends.compactMap { number($0) ?? field.names[$0.uppercased()] }
        guard numbers.count == ends.count, ends.count <= 2, numbers.allSatisfy(field.range.contains) else {
            let bounds = "\(field.range.lowerBound) to \(field.range.upperBound)"
            throw CronError("has the \(field.name) \(text), which is not within \(bounds)")
        }
        let last = ends.count == 2 ? numbers[1] : isStepped ? field.range.upperBound : numbers[0]
        guard numbers[0] <= last else { throw CronError("has the \(field.name) \(text), which ends before it begins") }
        return numbers[0]...last
    }

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

    /// The starts in these years by the clocks of the time zone, in seconds since 1970.
    func starts(in zone: TimeZone, years: ClosedRange<Int>) -> [Int] {
        var starts: [Int] = []
        var day = Self.daysSinceEpoch(year: years.lowerBound)
        for year in years {
            for month in 1...12 {
                for date in 1...Self.days(in: month, of: year) {
                    // 1 January 1970 was a Thursday.
                    if fires(date: date, month: month, weekday: (day + 4) % 7) {
                        starts += hours.flatMap { hour in
                            minutes.map { Self.instant(day * 86_400 + hour * 3600 + $0 * 60, in: zone) }
                        }
                    }
                    day += 1
                }
            }
        }
        return starts
    }

    static func daysSinceEpoch(year: Int) -> Int { (1970..<year).reduce(0) { $0 + ($1 % 4 == 0 ? 366 : 365) } }

    /// The instant at which clocks of the zone show this time.
    private static func instant(_ local: Int, in zone: TimeZone) -> Int {
        let guess = local - zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(local)))
        return local - zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(guess)))
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

/// The fault of a schedule: continues a sentence that begins with it.
package struct CronError: Error, Hashable, CustomStringConvertible, Sendable {
    package let description: String

    init(_ description: String) { self.description = description }
}
