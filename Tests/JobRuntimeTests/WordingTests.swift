import Testing

@testable import JobRuntime

@Suite struct WordingTests {
    @Test(arguments: [
        (0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (1290, "1.2 s"), (9999, "9.9 s"), (10_000, "10 s"),
        (59_999, "59 s"),
        (60_000, "1 min 0 s"), (185_000, "3 min 5 s"), (3_600_000, "1 h 0 min"), (90_061_000, "25 h 1 min"),
    ])
    func saysDurations(milliseconds: Int, text: String) {
        #expect(spoken(.milliseconds(milliseconds)) == text)
    }

    @Test(arguments: [
        (0, "organizations", "0 organizations"), (1, "organizations", "1 organization"),
        (1, "columns_added", "1 column added"), (2, "columns_added", "2 columns added"),
        (1, "entries_read", "1 entry read"),
        (1, "unchanged", "1 unchanged"),
    ])
    func saysCounts(number: Int, key: String, text: String) {
        #expect(spoken(number, key) == text)
    }

    @Test(arguments: [
        (1, "columns_added", "1 column would be added"), (19, "tables_created", "19 tables would be created"),
        (2, "runs_marked_failed", "2 runs would be marked failed"), (3, "requeued", "3 would be requeued"),
        (2, "organizations", "2 organizations"), (7, "bytes_billed", "7 bytes billed"),
        (4, "missing_in_stripe", "4 missing in stripe"),
    ])
    func saysWhatADryRunWouldDo(number: Int, key: String, text: String) {
        #expect(spoken(number, key, isDryRun: true) == text)
    }

    @Test func alignsTables() {
        let table = TextTable(
            header: ["organization", "added", "note"],
            rows: [["acme", "3", ""], ["ü\n\u{1B}", "120", "slow"], ["short"]])
        #expect(
            table.lines == [
                "organization  added  note", "acme          3", "ü\\n\\u{1B}     120    slow", "short",
            ])
        #expect(
            TextTable(header: ["a", "rows"], rows: [["x", "7"], ["y", "12"]]).lines == [
                "a  rows", "x     7", "y    12",
            ])
    }
}
