import Foundation

@testable import DeploymentKit

/// A schedule that was accepted has starts, each matches the expression, and no two are further apart than the longest gap.
enum CronProperties {
    private static let utc = TimeZone(secondsFromGMT: 0)!
    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = utc
        return calendar
    }()

    static func check(_ input: Data) throws {
        guard let cron = try? Cron(String(decoding: input, as: UTF8.self)) else { return }
        try hold(try Cron(cron.text) == cron, "\(cron.text) reads differently")
        try hold(!cron.spoken(in: "UTC").isEmpty, "\(cron.text) has no words")
        guard let gap = cron.longestGap else { throw Violation(description: "\(cron.text) never comes") }
        try hold(gap >= 60 && gap <= 8 * 366 * 86_400, "\(cron.text) has a gap of \(gap) s")
        // Every minute of a year would be half a million starts.
        guard cron.hours.count * cron.minutes.count <= 4 else { return }
        let starts = cron.starts(in: utc, years: 2024...2024)
        for (start, next) in zip(starts, starts.dropFirst()) {
            try hold(next > start && next - start <= gap, "\(cron.text): \(start), \(next)")
        }
        for start in starts.prefix(2) + starts.suffix(2) { try matches(cron, start) }
    }

    private static func matches(_ cron: Cron, _ start: Int) throws {
        let parts = calendar.dateComponents(
            [.year, .month, .day, .hour, .minute, .second, .weekday], from: Date(timeIntervalSince1970: Double(start)))
        let isOfDay = cron.daysOfMonth.contains(parts.day!)
        let isOfWeek = cron.daysOfWeek.contains(parts.weekday! - 1)
        let isEither = cron.daysOfMonth.count < 31 && cron.daysOfWeek.count < 7
        try hold(
            parts.year == 2024 && parts.second == 0 && cron.minutes.contains(parts.minute!)
                && cron.hours.contains(parts.hour!) && cron.months.contains(parts.month!)
                && (isEither ? isOfDay || isOfWeek : isOfDay && isOfWeek), "\(cron.text) starts at \(start)")
    }
}
