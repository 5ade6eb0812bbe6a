import JobRuntime

/// A dataset id that BigQuery accepts: 1 to 1,024 ASCII letters, digits and underscores.
///
/// A value of this type contains no other characters, so it is safe in SQL (within backticks) and in a URL.
package struct DatasetID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let name: String

    package init?(_ name: String) {
        guard (1...1024).contains(name.utf8.count), name.utf8.allSatisfy(\.isWordCharacter) else { return nil }
        self.name = name
    }

    /// The central dataset: organizations, their subscriptions, quotas, runs and settings.
    package static let organizations = DatasetID("organizations")!
    /// The jobs' own dataset: leases, the billing sync queue, the run history.
    package static let schedulerJobs = DatasetID("scheduler_jobs")!

    package static func < (left: DatasetID, right: DatasetID) -> Bool { left.name < right.name }

    package var description: String { name }
}

/// The name of a table with its dataset. Table ids are narrower than BigQuery's: ASCII letters, digits and underscores.
///
/// ```swift
/// let table = TableReference(.organizations, "org_profiles")!
/// let sql = "SELECT org_slug FROM \(table.sql)"    // FROM `organizations.org_profiles`
/// ```
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
    /// The name in the form that statements need.
    package var sql: String { "`\(dataset).\(table)`" }
}

/// A Google Cloud project id: 6 to 30 lower-case letters, digits and hyphens, beginning with a letter and not ending with a
/// hyphen. https://cloud.google.com/resource-manager/docs/creating-managing-projects
package struct ProjectID: Hashable, Sendable, CustomStringConvertible {
    package let name: String

    package init?(_ name: String) {
        let bytes = Array(name.utf8)
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        guard (6...30).contains(bytes.count), letters.contains(bytes[0]), bytes.last != UInt8(ascii: "-"),
            bytes.allSatisfy({ letters.contains($0) || $0.isDigit || $0 == UInt8(ascii: "-") })
        else { return nil }
        self.name = name
    }

    package var description: String { name }
}
