import BigQueryWarehouse
import GoogleCredentials
import HTTPTransport
package import JobRuntime
import Logging
import Synchronization
package import Warehouse

#if EmbeddedWarehouse
    import EmbeddedWarehouse
#endif

/// The settings of a job that works on a warehouse.
package protocol WarehouseUser: JobSettings {
    var warehouse: WarehouseSettings { get }
}

extension JobContext where Job.Settings: WarehouseUser {
    /// Opens the warehouse that the environment names and does the work with it.
    package func withWarehouse(_ work: (any Warehouse) async throws -> Void) async throws {
        let warehouse: any Warehouse
        do {
            warehouse = try opened()
        } catch {
            // Nothing was asked of a server yet: a credential file or the path of the warehouse is wrong.
            throw ConfigurationError(String(describing: error))
        }
        try await recorded(in: warehouse) { try await work(warehouse) }
    }

    private func opened() throws -> any Warehouse {
        switch settings.warehouse.choice {
        case .bigQuery(let project): try bigQuery(project)
        case .embedded(let path): try embedded(path)
        case nil: throw ConfigurationError("no warehouse is chosen")
        }
    }

    private func bigQuery(_ project: ProjectID) throws -> BigQueryWarehouse {
        let transport = transport()
        let credentials = try credentials(transport)
        if let credentials { logger.debug("credentials", metadata: ["origin": "\(credentials.origin)"]) }
        return BigQueryWarehouse(
            project: project, location: settings.warehouse.location,
            baseURL: settings.warehouse.emulatorURL ?? BigQueryWarehouse.productionURL, transport: transport,
            credentials: credentials.map { CachedAccessToken(source: $0, now: Timestamp.wallClock) },
            quotaProject: credentials?.quotaProject, labels: labels,
            maximumBytesBilled: settings.warehouse.maximumBytesBilled, jobTimeout: jobTimeout, taskCount: task.count,
            logger: logger)
    }

    /// No statement outlives the run's deadline, or the lease under which it works.
    private var jobTimeout: Duration? {
        [deadline, (settings as? any LeaseUser)?.lease.validity].compactMap(\.self).min()
    }

    private func credentials(_ transport: CurlTransport) throws -> ApplicationDefaultCredentials? {
        guard settings.warehouse.emulatorURL == nil else { return nil }
        return try ApplicationDefaultCredentials.find(
            environment: settings.warehouse.credentialVariables, transport: transport, now: Timestamp.wallClock)
    }

    /// Labels take lower-case letters, digits, `_` and `-`, at most 63: https://cloud.google.com/bigquery/docs/labels-intro
    private var labels: [String: String] {
        var labels = ["job": Job.name]
        if let execution = task.execution { labels["execution"] = execution }
        return labels.filter { isLabelValue($0.value) }
    }

    private func embedded(_ path: String) throws -> any Warehouse {
        #if EmbeddedWarehouse
            try EmbeddedWarehouse(path: path, location: settings.warehouse.location, isDryRun: isDryRun)
        #else
            throw ConfigurationError("this binary has no embedded warehouse")
        #endif
    }
}

/// A warehouse whose billed bytes add up in the run's summary, as `bytes_billed`.
///
/// A dataset or table that is missing ends in the advice to run bootstrap, which makes all that these statements read.
package struct MeteredWarehouse: Sendable {
    private let warehouse: any Warehouse
    private let report: RunReport

    package init(_ warehouse: any Warehouse, _ report: RunReport) {
        self.warehouse = warehouse
        self.report = report
    }

    package func query(_ statement: Statement) async throws -> QueryResult {
        let result = try await advising { try await warehouse.query(statement) }
        report.add(Int(result.bytesBilled), to: "bytes_billed")
        return result
    }

    package func merge(_ statement: MergeStatement) async throws -> MergeResult {
        let result = try await advising { try await warehouse.merge(statement) }
        report.add(Int(result.bytesBilled), to: "bytes_billed")
        return result
    }

    private func advising<Value>(_ run: () async throws -> Value) async throws -> Value {
        do {
            return try await run()
        } catch let error as WarehouseError where error.code == .notFound && !error.isOfMissingJob {
            throw error.withAdvice("run bootstrap first")
        }
    }
}

/// A warehouse that remembers whether one of its statements may still be running, since nobody saw its end: the client was
/// cancelled or cut off. An error about the statement itself is an end.
final class WatchedWarehouse: Warehouse {
    private let warehouse: any Warehouse
    private let isOpen = Mutex(false)

    init(_ warehouse: any Warehouse) {
        self.warehouse = warehouse
    }

    var mayBeRunning: Bool { isOpen.withLock { $0 } }

    func query(_ statement: Statement) async throws -> QueryResult {
        try await watching { try await warehouse.query(statement) }
    }

    func merge(_ merge: MergeStatement) async throws -> MergeResult {
        try await watching { try await warehouse.merge(merge) }
    }

    private func watching<Value>(_ run: () async throws -> Value) async throws -> Value {
        do {
            return try await run()
        } catch {
            // Anything else, such as a CancellationError or a TimeoutError, says nothing about the statement.
            if (error as? WarehouseError)?.certainty != .notDone { isOpen.withLock { $0 = true } }
            throw error
        }
    }

    var location: String { warehouse.location }
    func dataset(_ id: DatasetID) async throws -> Dataset? { try await warehouse.dataset(id) }
    func createDataset(_ dataset: Dataset) async throws -> Bool { try await warehouse.createDataset(dataset) }
    func table(_ reference: TableReference) async throws -> Table? { try await warehouse.table(reference) }
    func tables(in dataset: DatasetID) async throws -> [String] { try await warehouse.tables(in: dataset) }

    func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool {
        try await warehouse.createTable(reference, table)
    }

    func createTables(_ tables: [NamedTable], in dataset: DatasetID) async throws {
        try await warehouse.createTables(tables, in: dataset)
    }

    func updateSchema(of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String) async throws {
        try await warehouse.updateSchema(of: reference, to: fields, ifMatch: etag)
    }

    func survey(
        _ datasets: [DatasetID], for tables: [NamedTable], known: TableReference?
    ) async throws -> SchemaSurvey {
        try await warehouse.survey(datasets, for: tables, known: known)
    }
}
