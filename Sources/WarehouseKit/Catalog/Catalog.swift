/// The tables that datasets should have, as data: one JSON file a table, in the form of BigQuery's REST `Table` resource.
///
/// The files are part of the binary; `CATALOG_DIR` names a folder that replaces them. Either has one folder a group:
/// `organizations/`, `organization/` and `operations/`, with `<table>.json` in it.
package struct Catalog: Sendable {
    package enum Group: String, Sendable, CaseIterable {
        /// The tables of the central dataset `organizations`.
        case organizations
        /// The tables of each customer organization's own dataset.
        case organization
        /// This service's own state, in the dataset `scheduler_jobs`.
        case operations
    }

    package static let organizationsDataset = DatasetID("organizations")!
    package static let operationsDataset = DatasetID("scheduler_jobs")!

    private var groups: [Group: [NamedTable]]

    /// Sorted by name.
    package func tables(_ group: Group) -> [NamedTable] { groups[group] ?? [] }

    /// A catalog without tables.
    package init() {
        groups = [:]
    }

    /// - Throws: ``CatalogError`` with every problem of every file.
    package init(_ sources: [Group: [CatalogFile]]) throws(CatalogError) {
        var problems: [String] = []
        groups = sources.mapValues { files in
            files.sorted { $0.name < $1.name }.compactMap { file in
                do throws(CatalogError) {
                    return try file.table()
                } catch {
                    problems += error.problems
                    return nil
                }
            }
        }
        guard problems.isEmpty else { throw CatalogError(problems: problems) }
    }
}

/// Why a catalog cannot be used: one line a problem, with file, field and reason.
package struct CatalogError: Error, Sendable, CustomStringConvertible {
    package var problems: [String]

    package var description: String { problems.joined(separator: "\n") }
}
