package import JobRuntime

/// Which datasets a survey covers.
///
/// ```swift
/// let scope = SurveyScope(.rows(of: directory.targets), location: warehouse.location, known: .table(profiles))
/// let survey = try await warehouse.survey(scope, for: tables)
/// ```
package struct SurveyScope: Sendable {
    package enum Targets: Sendable {
        case datasets([SurveyTarget])
        /// The rows of a query with the columns `subject` and `dataset`. The warehouse runs it as a part of its own statement, so
        /// that the names need not leave it.
        case rows(of: Statement)
    }

    /// What certainly exists. An answer that does not show it shows too little, and is never taken for "no difference".
    package enum Known: Sendable, Hashable {
        /// Each dataset is read through its own views.
        case nothing
        /// Each of the targets exists in the location.
        case targets
        /// This table exists in the location. If the location's views do not show it, each dataset is read through its own views.
        case table(TableReference)
    }

    package var targets: Targets
    /// The location in which all of the datasets lie. A dataset in another location counts as missing.
    package var location: String
    package var known: Known
    /// The survey covers the share of this task.
    package var task: CloudRunTask

    package init(
        _ targets: Targets, location: String, known: Known, task: CloudRunTask = CloudRunTask()
    ) {
        self.targets = targets
        self.location = location
        self.known = known
        self.task = task
    }
}

/// A dataset that should have the tables of a catalog.
package struct SurveyTarget: Hashable, Comparable, Sendable {
    /// The name under which the dataset is reported, such as an organization's slug.
    package var subject: String
    package var dataset: DatasetID

    package init(subject: String, dataset: DatasetID) {
        self.subject = subject
        self.dataset = dataset
    }

    package static func < (left: SurveyTarget, right: SurveyTarget) -> Bool {
        (left.subject, left.dataset) < (right.subject, right.dataset)
    }
}

/// The state of many datasets, as the warehouse's own views show it.
///
/// Datasets that look alike are one group, so that the size of a survey grows with the number of different states and not with
/// the number of datasets. A survey is a hint, because the views may lag: read a resource before you change or create it.
package struct SchemaSurvey: Sendable {
    package enum State: Hashable, Sendable {
        /// The views do not show the dataset. It may not exist, lie elsewhere, or have been created a moment ago.
        case noDataset
        case dataset(DatasetDefaults)
        /// The views do not show the table.
        case noTable(String)
        case table(String, Table)
        /// The views do not show the table completely, so it has to be read.
        case unreadableTable(String)
    }

    /// The datasets that are in one state in one respect: each target is in one group for itself and one for each table.
    package struct Group: Hashable, Sendable {
        package var state: State
        package var count: Int
        /// The first members by subject; at least three, or all of them.
        package var members: [SurveyTarget]
        /// The warehouse's own name of the state.
        package var key: String

        package var isComplete: Bool { members.count == count }

        package init(state: State, count: Int, members: [SurveyTarget], key: String = "") {
            self.state = state
            self.count = count
            self.members = members
            self.key = key
        }
    }

    /// The members of groups by the key of the group.
    package struct Members: Sendable {
        package var byKey: [String: [SurveyTarget]]
        package var bytesBilled: Int64

        package init(byKey: [String: [SurveyTarget]], bytesBilled: Int64 = 0) {
            self.byKey = byKey
            self.bytesBilled = bytesBilled
        }
    }

    /// Columns of a table that the catalog does not have: of a customer, or of an older catalog.
    package struct ExtraColumns: Hashable, Sendable {
        package var table: String
        package var columns: Set<String>
        /// How many datasets have some of them.
        package var count: Int
        /// Some of these datasets; at least three, or all of them.
        package var members: [SurveyTarget]

        package init(_ columns: Set<String>, of table: String, count: Int, members: [SurveyTarget]) {
            self.table = table
            self.columns = columns
            self.count = count
            self.members = members
        }
    }

    package var groups: [Group]
    /// One entry for each table that has such columns in some dataset.
    package private(set) var extras: [ExtraColumns] = []
    package var bytesBilled: Int64

    package init(groups: [Group], bytesBilled: Int64 = 0) {
        self.groups = groups
        self.bytesBilled = bytesBilled
    }

    /// Adds to the entry of the table.
    package mutating func add(_ extra: ExtraColumns) {
        guard let index = extras.firstIndex(where: { $0.table == extra.table }) else { return extras.append(extra) }
        extras[index].columns.formUnion(extra.columns)
        extras[index].count += extra.count
        extras[index].members = Array((extras[index].members + extra.members).sorted().prefix(3))
    }
}

/// The default expirations of a dataset. After that time, BigQuery deletes new tables and partitions with their rows:
/// https://cloud.google.com/bigquery/docs/updating-datasets#table-expiration
package struct DatasetDefaults: Hashable, Sendable {
    /// Days as BigQuery's view shows them (fact BQ-64), such as `90.0`; `nil` without expiration.
    package var tableExpirationDays: String?
    package var partitionExpirationDays: String?

    package init(tableExpirationDays: String? = nil, partitionExpirationDays: String? = nil) {
        self.tableExpirationDays = tableExpirationDays
        self.partitionExpirationDays = partitionExpirationDays
    }
}

extension SurveyScope.Known: CustomStringConvertible {
    package var description: String {
        switch self {
        case .nothing: "nothing"
        case .targets: "the datasets"
        case .table(let table): table.description
        }
    }
}

/// Where datasets are.
package struct DatasetLocations: Hashable, Sendable {
    package var found: [DatasetID: String]
    /// Datasets that the account may not see. Nobody knows whether they exist.
    package var hidden: Set<DatasetID>

    package init(found: [DatasetID: String], hidden: Set<DatasetID> = []) {
        self.found = found
        self.hidden = hidden
    }
}
