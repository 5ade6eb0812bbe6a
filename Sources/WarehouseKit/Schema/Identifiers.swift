/// A dataset id that BigQuery accepts: 1 to 1,024 ASCII letters, digits and underscores.
///
/// A value of this type cannot carry anything else, so it may stand in SQL (within backticks) and in a URL.
package struct DatasetID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let name: String

    package init?(_ name: String) {
        guard (1...1024).contains(name.utf8.count), name.utf8.allSatisfy(\.isWordCharacter) else { return nil }
        self.name = name
    }

    package static func < (left: DatasetID, right: DatasetID) -> Bool { left.name < right.name }

    package var description: String { name }
}

/// A table of a dataset. Table ids are narrower than BigQuery's: ASCII letters, digits and underscores only.
package struct TableReference: Hashable, Sendable, CustomStringConvertible {
    package let dataset: DatasetID
    package let table: String

    package init?(_ dataset: DatasetID, _ table: String) {
        guard Self.isValidTableID(table) else { return nil }
        self.dataset = dataset
        self.table = table
    }

    package static func isValidTableID(_ name: String) -> Bool {
        (1...1024).contains(name.utf8.count) && name.utf8.allSatisfy(\.isWordCharacter)
    }

    package var description: String { "\(dataset).\(table)" }
    /// The name as it stands in a statement.
    package var sql: String { "`\(dataset).\(table)`" }
}

extension UTF8.CodeUnit {
    /// `[A-Za-z0-9_]`
    var isWordCharacter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }

    var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }
}
