import JobRuntime

/// A UTC day with the bounds that the counters need.
struct QuotaDay: Hashable, Sendable {
    let date: CivilDate

    init(_ date: CivilDate) {
        self.date = date
    }

    var start: Timestamp { Timestamp(startOf: date) }
    /// Exclusive.
    var end: Timestamp { Timestamp(startOf: date.adding(days: 1)) }
    var monthStart: Timestamp { Timestamp(startOf: date.firstOfMonth) }
    /// Exclusive.
    var monthEnd: Timestamp { Timestamp(startOf: date.firstOfMonth.adding(days: 32).firstOfMonth) }
    /// `20260131`
    var compact: String { String(date.description.filter { $0 != "-" }) }
}
