/// The store of all data: BigQuery in production, SQLite on a laptop and in tests.
///
/// The port has two halves. Most jobs need only ``SQLWarehouse``. A job that creates or evolves tables needs
/// ``SchemaWarehouse``, too. Both warehouses keep these invariants, and one contract suite checks them:
/// - A warehouse never drops, recreates or reorders anything.
/// - Creating a resource that exists changes nothing and returns `false`.
/// - A REQUIRED column never holds NULL.
/// - A written value is read back as the same value.
package protocol Warehouse: SQLWarehouse, SchemaWarehouse {}

/// Runs statements.
///
/// ```swift
/// let result = try await warehouse.query(
///     Statement("count the organizations", "SELECT COUNT(*) AS n FROM `organizations.org_profiles`"))
/// let count = try result.rows[0].int64("n")
/// ```
package protocol SQLWarehouse: Sendable {
    /// Runs a statement or script to its end and returns all of its rows.
    ///
    /// The `certainty` of a thrown ``WarehouseError`` says what became of the statement:
    /// - `notDone`: the statement did nothing, and nothing is still running. In a script, the statements before the one
    ///   that failed are done, unless the script is a transaction.
    /// - `unknown`, and a `CancellationError`: the statement may be done, or may still be running. BigQuery is asked to
    ///   cancel a job whose id is known, and attempts to end every other job when the run's deadline or lease ends
    ///   (`jobTimeoutMs`, an attempt and no promise). A caller that keeps others out must keep them out until then.
    func query(_ statement: Statement) async throws -> QueryResult

    /// Runs a statement as ``query(_:)`` does, and passes its rows on page by page, each row once. With
    /// ``Statement/rowsPerPage`` set, a large result is never in memory as a whole: a row of 25 columns takes 2 KB.
    /// - Returns: The result without its rows.
    func query(_ statement: Statement, eachPage handle: (_ rows: [Row]) throws -> Void) async throws -> QueryResult

    /// Updates the rows that differ and inserts the rows that are missing, as one atomic statement. A second run changes
    /// nothing. Errors are those of ``query(_:)``.
    func merge(_ merge: MergeStatement) async throws -> MergeResult
}

extension SQLWarehouse {
    /// All rows as one page.
    package func query(
        _ statement: Statement, eachPage handle: (_ rows: [Row]) throws -> Void
    ) async throws -> QueryResult {
        var result = try await query(statement)
        try handle(result.rows)
        result.rows = []
        return result
    }
}

/// Reads, creates and evolves datasets and tables.
package protocol SchemaWarehouse: Sendable {
    /// The location in which datasets are created, such as `US`.
    var location: String { get }

    /// - Returns: `nil` if the dataset does not exist.
    func dataset(_ id: DatasetID) async throws -> Dataset?

    /// - Returns: `false` if a dataset of that name exists already. It does not change.
    func createDataset(_ dataset: Dataset) async throws -> Bool

    /// - Returns: `nil` if the table does not exist, or its dataset does not.
    func table(_ reference: TableReference) async throws -> Table?

    /// - Returns: The names of the dataset's tables, sorted. Throws `notFound` if the dataset does not exist.
    func tables(in dataset: DatasetID) async throws -> [String]

    /// - Returns: `false` if a table of that name exists already. It does not change.
    func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool

    /// Creates the missing tables in one request. Existing tables do not change, and the caller does not learn which tables
    /// existed. If this throws, some of the tables may have been created.
    /// - Parameter location: Where the dataset is.
    func createTables(_ tables: [NamedTable], in dataset: DatasetID, at location: String) async throws

    /// Finds datasets. Those that do not exist are left out.
    func locations(of datasets: [DatasetID]) async throws -> DatasetLocations

    /// Replaces the schema with one that has all of its fields and more.
    ///
    /// Throws `preconditionFailed` if the table changed since `etag` was read, and `invalid` if the change is not additive.
    func updateSchema(of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String) async throws

    /// Changes the table's clustering, descriptions, labels or defaults, and no row.
    ///
    /// Throws `preconditionFailed` if the table changed since `etag` was read, and `invalid` if the warehouse refuses the change.
    func update(_ reference: TableReference, with change: TableChange, ifMatch etag: String) async throws

    /// The least time that these requests take at the rates of this task; `nil` if the warehouse has no rates.
    func leastTime(for requests: SchemaRequests) -> Duration?

    /// Reads in bulk what the catalog's tables look like in many datasets.
    ///
    /// A group may name its first members only; ``members(of:in:for:)`` names all of them.
    func survey(_ scope: SurveyScope, for tables: [NamedTable]) async throws -> SchemaSurvey

    /// - Parameter groups: Groups of a survey of the same scope and tables.
    /// Names all members of the groups. Members may have left or joined since the survey.
    func members(
        of groups: [SchemaSurvey.Group], in scope: SurveyScope, for tables: [NamedTable]
    ) async throws -> SchemaSurvey.Members
}

extension SchemaWarehouse {
    package func leastTime(for requests: SchemaRequests) -> Duration? { nil }
}

/// How many requests a plan needs, by kind.
package struct SchemaRequests: Hashable, Sendable {
    package var datasetCreations = 0
    package var tableLists = 0
    package var tableReads = 0
    package var tableCreations = 0
    package var tableUpdates = 0
    package var statements = 0

    package init() {}

    package var total: Int {
        datasetCreations + tableLists + tableReads + tableCreations + tableUpdates + statements
    }
}

/// A table and the name it has, or should have, in a dataset.
package struct NamedTable: Hashable, Sendable {
    package var name: String
    package var table: Table

    package init(_ name: String, _ table: Table) {
        self.name = name
        self.table = table
    }
}
