import FoundationEssentials

/// Reads the value of a `Retry-After` header: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
enum RetryAfter {
    /// `nil` for a value that is neither a whole number of seconds nor a date.
    static func delay(_ value: String, now: Date) -> Duration? {
        if !value.isEmpty, value.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) {
            // A number too large for an integer still says "not for a long time".
            return .seconds(min(Int64(value) ?? .max, longest))
        }
        guard let date = date(value, now: now) else { return nil }
        let seconds = (date - now.timeIntervalSince1970).rounded(.up)
        return .seconds(max(0, min(seconds, Double(longest))))
    }

    /// A century, so that sums of delays cannot overflow.
    private static let longest: Int64 = 100 * 366 * 86_400

    /// The seconds since 1970 of an `HTTP-date` in one of its three forms (RFC 9110, 5.6.7):
    /// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`.
    private static func date(_ text: String, now: Date) -> Double? {
        var words = text.split { $0 == " " || $0 == "-" }
        guard let weekday = words.first else { return nil }
        words.removeFirst()
        if weekday.hasSuffix(",") {
            guard words.count == 5, words[4] == "GMT", isWeekday(weekday.dropLast()) else { return nil }
            return date(day: words[0], month: words[1], year: words[2], time: words[3], now: now)
        }
        guard words.count == 4, isWeekday(weekday) else { return nil }
        return date(day: words[1], month: words[0], year: words[3], time: words[2], now: now)
    }

    private static let weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func isWeekday(_ word: Substring) -> Bool {
        weekdays.contains { $0 == word || $0.prefix(3) == word }
    }

    private static func date(
        day: Substring, month: Substring, year: Substring, time: Substring, now: Date
    ) -> Double? {
        let clock = time.split(separator: ":", omittingEmptySubsequences: false)
        guard let month = months.firstIndex(where: { $0 == month }), let day = number(day, digits: 1...2),
            let written = number(year, digits: 2...4), year.utf8.count != 3, clock.count == 3,
            let hour = number(clock[0], digits: 2...2), let minute = number(clock[1], digits: 2...2),
            let second = number(clock[2], digits: 2...2), hour < 24, minute < 60, second < 61
        else { return nil }
        // A year of two digits is at most 50 years ahead, otherwise it lies in the last century.
        let latest = 1970 + Int(now.timeIntervalSince1970 / 31_556_952) + 50
        let year = year.utf8.count == 4 ? written : 2000 + written > latest ? 1900 + written : 2000 + written
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard 1...lengths[month] ~= day else { return nil }
        let past = year - 1
        // 719,162 days lie between the first day of year 1 and that of 1970.
        let daysBeforeYear = past * 365 + past / 4 - past / 100 + past / 400 - 719_162
        let days = daysBeforeYear + lengths[..<month].reduce(0, +) + day - 1
        return Double(((days * 24 + hour) * 60 + minute) * 60 + second)
    }

    private static func number(_ word: Substring, digits: ClosedRange<Int>) -> Int? {
        digits.contains(word.utf8.count) && word.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? Int(word) : nil
    }
}
