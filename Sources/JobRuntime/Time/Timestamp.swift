/// An instant in UTC with the resolution of BigQuery's TIMESTAMP: whole microseconds since 1970-01-01T00:00:00Z.
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
    /// Division that rounds towards negative infinity, so that instants before 1970 fall on the right day.
    func quotientAndFloorRemainder(_ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

func padded(_ value: some BinaryInteger, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
