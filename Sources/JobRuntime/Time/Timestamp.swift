/// An instant in UTC with the resolution of BigQuery's TIMESTAMP: whole microseconds since 1970-01-01T00:00:00Z.
///
/// ```swift
/// let instant = Timestamp("2026-01-31T00:05:00Z")!
/// instant.adding(.seconds(60)).date.description    // "2026-01-31"
/// ```
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Midnight UTC at the start of that day.
    package init(startOf date: CivilDate) {
        microseconds = Int64(date.daysSinceEpoch) * Self.microsecondsPerDay
    }

    static let microsecondsPerDay: Int64 = 86_400_000_000

    /// The UTC calendar day of the instant.
    package var date: CivilDate {
        CivilDate(daysSinceEpoch: Int(microseconds.quotientAndFloorRemainder(Self.microsecondsPerDay).quotient))
    }

    package func adding(_ duration: Duration) -> Timestamp {
        let parts = duration.components
        return Timestamp(microseconds: microseconds + parts.seconds * 1_000_000 + parts.attoseconds / 1_000_000_000_000)
    }

    /// From `other` to this instant; negative when `other` is later.
    package func since(_ other: Timestamp) -> Duration {
        .microseconds(microseconds - other.microseconds)
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.microseconds < right.microseconds }

    /// RFC 3339 in UTC, as in Cloud Logging's `time`: `2026-01-31T00:05:00.000000Z`.
    package var description: String { text(separator: "T", zone: "Z") }

    /// The form of BigQuery's query parameters and of the embedded warehouse, in which text order is time order:
    /// `2026-01-31 00:05:00.000000+00:00`.
    package var sqlText: String { text(separator: " ", zone: "+00:00") }

    private func text(separator: String, zone: String) -> String {
        let ofDay = microseconds.quotientAndFloorRemainder(Self.microsecondsPerDay).remainder
        let seconds = ofDay / 1_000_000
        let clock = [seconds / 3600, seconds / 60 % 60, seconds % 60].map { padded($0, 2) }.joined(separator: ":")
        return "\(date)\(separator)\(clock).\(padded(ofDay % 1_000_000, 6))\(zone)"
    }
}

extension Int64 {
    /// Divides and rounds toward negative infinity, so that instants before 1970 fall on the right day.
    func quotientAndFloorRemainder(_ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

func padded(_ value: some BinaryInteger, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

extension Timestamp {
    /// Reads RFC 3339 and BigQuery's texts: `T` or a space between date and time, up to six digits of a second, and
    /// `Z`, ` UTC`, an offset `+HH:MM`, or nothing, which is UTC. Anything else is `nil`, including a leap second and an
    /// instant outside the years 1 to 9999.
    package init?(_ text: String) {
        guard let date = CivilDate(text.prefix(10)) else { return nil }
        var rest = text.dropFirst(10)
        guard let separator = rest.popFirst(), separator == "T" || separator == "t" || separator == " " else {
            return nil
        }
        guard let hour = Self.number(&rest), Self.skip(":", &rest), let minute = Self.number(&rest),
            Self.skip(":", &rest),
            let second = Self.number(&rest), hour < 24, minute < 60, second < 60
        else { return nil }
        guard let fraction = Self.fraction(&rest), let offset = Self.offsetInMinutes(rest) else { return nil }
        let minutes = hour * 60 + minute - offset
        microseconds =
            Timestamp(startOf: date).microseconds + Int64(minutes) * 60_000_000 + Int64(second) * 1_000_000 + fraction
        // An offset may lead out of the calendar.
        guard (1...9999).contains(self.date.year) else { return nil }
    }

    private static func number(_ rest: inout Substring) -> Int? {
        let digits = rest.prefix(2)
        guard digits.count == 2, digits.utf8.allSatisfy({ 48...57 ~= $0 }) else { return nil }
        rest = rest.dropFirst(2)
        return Int(digits)
    }

    private static func skip(_ character: Character, _ rest: inout Substring) -> Bool {
        guard rest.first == character else { return false }
        rest = rest.dropFirst()
        return true
    }

    private static func fraction(_ rest: inout Substring) -> Int64? {
        guard rest.first == "." else { return 0 }
        let digits = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
        guard (1...6).contains(digits.count) else { return nil }
        rest = rest.dropFirst(1 + digits.count)
        return Int64(digits + String(repeating: "0", count: 6 - digits.count))
    }

    private static func offsetInMinutes(_ text: Substring) -> Int? {
        if ["", "Z", "z", " UTC"].contains(text) { return 0 }
        var rest = text
        guard let sign = rest.popFirst(), sign == "+" || sign == "-" else { return nil }
        guard let hours = number(&rest), skip(":", &rest), let minutes = number(&rest), rest.isEmpty, hours < 24,
            minutes < 60
        else { return nil }
        return (sign == "-" ? -1 : 1) * (hours * 60 + minutes)
    }
}
