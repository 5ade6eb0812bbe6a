import BigQueryWarehouse
import EmbeddedWarehouse
import JobRuntime
import Testing
import Warehouse

@Suite struct RowTests {
    @Test func readsATextThatIsExactlyATimeOrATruthValue() throws {
        let row = Row([
            .init("at", .string("2026-01-31 00:05:00.000001+00:00")), .init("day", .string("2026-01-31")),
            .init("yes", .int64(1)), .init("no", .int64(0)), .init("true", .string("true")),
        ])

        #expect(try row.timestamp("AT") == Timestamp("2026-01-31T00:05:00.000001Z"))
        #expect(try row.date("day") == CivilDate("2026-01-31"))
        #expect(try row.bool("yes"))
        #expect(try row.bool("no") == false)
        #expect(try row.bool("true"))
    }

    @Test(arguments: [
        SQLValue.string(""), .string("2026-01-31x"), .string("1"), .string("TRUE"), .int64(2), .float64(1),
        .string("soon"),
    ])
    func refusesAnythingElse(_ value: SQLValue) {
        let row = Row([.init("x", value)])

        for read in [{ _ = try row.timestamp("x") }, { _ = try row.date("x") }, { _ = try row.bool("x") }] {
            let error = #expect(throws: WarehouseError.self) { try read() }
            #expect(error?.code == .unexpectedResult)
        }
    }

    @Test func tellsNullFromAnAbsentColumn() throws {
        let row = Row([.init("x", .null(.timestamp))])

        #expect(try row.optionalTimestamp("x") == nil)
        #expect(throws: WarehouseError.self) { try row.timestamp("x") }
        #expect(throws: WarehouseError.self) { try row.optionalTimestamp("y") }
    }
}
