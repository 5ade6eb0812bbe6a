/// Where the data lives: BigQuery in production, SQLite on a laptop and in tests.
///
/// Invariants that both implementations keep, and the contract suite checks:
/// - nothing is ever dropped, recreated or reordered;
/// - creating what is already there changes nothing and says so;
/// - a column that is REQUIRED never holds NULL; reading back what was written gives the same values.
package protocol Warehouse: Sendable {
    /// Where datasets are created, such as `US`.
    var location: String { get }

    /// `nil` where there is none.
    func dataset(_ id: DatasetID) async throws -> Dataset?

    /// - Returns: `false` if a dataset of that name was already there; it is left as it is.
    func createDataset(_ dataset: Dataset) async throws -> Bool

    /// `nil` where there is none, also where the dataset is missing.
    func table(_ reference: TableReference) async throws -> Table?

    /// Names of the tables of a dataset, sorted; throws `notFound` for a dataset that is not there.
    func tables(in dataset: DatasetID) async throws -> [String]

    /// - Returns: `false` if a table of that name was already there; it is left as it is.
    func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool

    /// Creates what is missing of these tables in one request, for datasets that lack many; tables that are there are left
    /// as they are, and the caller does not learn which. Where it throws, some may have been created.
    func createTables(_ tables: [NamedTable], in dataset: DatasetID) async throws

    /// Replaces the schema by one that has all of its fields and more.
    ///
    /// Throws `preconditionFailed` if the table changed since `etag` was read, `invalid` for a change that is not additive.
    func updateSchema(of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String) async throws

    /// Runs a statement or script to its end and returns all of its rows.
    ///
    /// What a caller may assume when it throws:
    /// - a ``WarehouseError`` without `mayHaveBeenDone`: the statement did nothing, and nothing goes on. Of a script, what stands
    ///   before the failing statement is done, unless it is a transaction.
    /// - one with it, or `CancellationError`: the statement may have been done, or may still be running. BigQuery is told to
    ///   cancel a job whose id is known, and ends the others with the run's deadline or lease (`jobTimeout`). Whoever keeps
    ///   others out must go on keeping them out until then.
    func query(_ statement: Statement) async throws -> QueryResult

    /// Changes rows that differ and inserts rows that are missing, as one atomic statement. A second run changes nothing.
    func merge(_ merge: MergeStatement) async throws -> MergeResult

    /// Compares many datasets with the tables they should have, in bulk, and names only what may differ.
    ///
    /// A finding is a hint: the view it comes from may lag behind. Whoever acts on it reads the table first.
    /// - Parameter known: a table that certainly exists; if the view does not show it, another way is taken. Without one, each
    ///   dataset is asked on its own.
    func survey(_ datasets: [DatasetID], for tables: [NamedTable], known: TableReference?) async throws -> SchemaSurvey
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
