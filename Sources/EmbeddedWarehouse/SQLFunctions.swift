import Foundation
import GRDB
import JobRuntime

/// The functions of GoogleSQL that our statements use and that SQLite lacks or defines in another way.
enum SQLFunctions {
    static func install(in database: Database) {
        database.add(function: DatabaseFunction("COUNTIF", argumentCount: 1, pure: true, aggregate: CountIf.self))
        database.add(
            function: DatabaseFunction("GENERATE_UUID", argumentCount: 0) { _ in UUID().uuidString.lowercased() })
        database.add(
            function: DatabaseFunction("DATE", argumentCount: 1, pure: true) { try date(of: $0[0])?.description })
        database.add(
            function: DatabaseFunction("UNIX_MICROS", argumentCount: 1, pure: true) { try microseconds(of: $0[0]) })
        database.add(function: DatabaseFunction("PARSE_JSON", argumentCount: 1, pure: true) { try json($0[0]) })
        database.add(
            function: DatabaseFunction("REGEXP_CONTAINS", argumentCount: 2, pure: true) { try contains($0[0], $0[1]) })
        database.add(function: DatabaseFunction("ARRAY_LENGTH", argumentCount: 1, pure: true) { try length(of: $0[0]) })
        database.add(function: DatabaseFunction("DIV", argumentCount: 2, pure: true) { try quotient($0[0], $0[1]) })
    }

    private static func microseconds(of value: DatabaseValue) throws -> Int64? {
        if value.isNull { return nil }
        guard let instant = Timestamp(String.fromDatabaseValue(value) ?? "") else {
            throw DatabaseError(message: "UNIX_MICROS of a value that is not a TIMESTAMP")
        }
        return instant.microseconds
    }

    /// Returns the text, because JSON is stored as text. A text that is not JSON is an error.
    private static func json(_ value: DatabaseValue) throws -> String? {
        guard let text = String.fromDatabaseValue(value) else { return nil }
        guard (try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))) != nil else {
            throw DatabaseError(message: "PARSE_JSON of a text that is not JSON")
        }
        return text
    }

    private static func contains(_ value: DatabaseValue, _ pattern: DatabaseValue) throws -> Bool? {
        guard let text = String.fromDatabaseValue(value), let pattern = String.fromDatabaseValue(pattern) else {
            return nil
        }
        let expression = try NSRegularExpression(pattern: pattern)
        return expression.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
    }

    /// The number of elements of an array, which is stored as JSON text.
    private static func length(of value: DatabaseValue) throws -> Int? {
        guard let text = String.fromDatabaseValue(value) else { return nil }
        guard let elements = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)).array else {
            throw DatabaseError(message: "ARRAY_LENGTH of a value that is not an array")
        }
        return elements.count
    }

    /// Divides integers and rounds toward zero.
    private static func quotient(_ dividend: DatabaseValue, _ divisor: DatabaseValue) throws -> Int64? {
        guard let dividend = Int64.fromDatabaseValue(dividend), let divisor = Int64.fromDatabaseValue(divisor)
        else {
            return nil
        }
        let (quotient, overflow) = dividend.dividedReportingOverflow(by: divisor)
        guard divisor != 0, !overflow else { throw DatabaseError(message: "DIV by zero or out of range") }
        return quotient
    }

    /// The UTC day of a TIMESTAMP. SQLite's own `date` returns NULL for the last microsecond of the year 9999.
    private static func date(of value: DatabaseValue) throws -> CivilDate? {
        if value.isNull { return nil }
        let text = String.fromDatabaseValue(value) ?? ""
        guard let date = Timestamp(text)?.date ?? CivilDate(text) else {
            throw DatabaseError(message: "DATE of a value that is neither TIMESTAMP nor DATE")
        }
        return date
    }

    private struct CountIf: DatabaseAggregate {
        private var count: Int64 = 0

        mutating func step(_ values: [DatabaseValue]) {
            if Bool.fromDatabaseValue(values[0]) == true { count += 1 }
        }

        func finalize() -> (any DatabaseValueConvertible)? { count }
    }
}
