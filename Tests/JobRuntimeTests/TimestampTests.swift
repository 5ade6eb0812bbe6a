import JobRuntime
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("2026-01-31T00:05:00Z", "2026-01-31T00:05:00.000000Z"),
        ("2026-01-31 00:05:00.25+01:30", "2026-01-30T22:35:00.250000Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("2024-02-29 12:00:00 UTC", "2024-02-29T12:00:00.000000Z"),
    ])
    func readsAndPrintsInUTC(text: String, expected: String) {
        #expect(Timestamp(text)?.description == expected)
    }

    @Test(arguments: [
        "", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T00:00:60Z",
        "2026-01-31T00:00:00.Z",
        "2026-01-31T00:00:00.1234567Z", "2026-01-31T00:00:00+1:00", "2026-01-31T00:00:00Zulu", "now",
        "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:00",
    ])
    func refusesWhatIsNoInstant(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func everyDayOfFourCenturiesIsItselfAgain() {
        let first = CivilDate("1968-01-01")!.daysSinceEpoch
        for days in first..<first + 146_097 {
            let date = CivilDate(daysSinceEpoch: days)
            #expect(CivilDate(date.description) == date)
            #expect(Timestamp(startOf: date).date == date)
        }
    }

    @Test func knowsMonthsAndLeapDays() {
        #expect(CivilDate("2024-02-28")!.adding(days: 1).description == "2024-02-29")
        #expect(CivilDate("2023-02-28")!.adding(days: 1).description == "2023-03-01")
        #expect(CivilDate("2026-12-31")!.adding(days: 1).description == "2027-01-01")
        #expect(CivilDate("2026-03-31")!.firstOfMonth.description == "2026-03-01")
        #expect(CivilDate("1900-02-29") == nil)
        #expect(CivilDate("2026-2-9") == nil)
    }
}
