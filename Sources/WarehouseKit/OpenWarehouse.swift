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

/// The open warehouse of a run, from ``JobRuntime/Run/openWarehouse(_:excluding:)``.
///
/// ```swift
/// let warehouse = try await run.openWarehouse(settings.warehouse)
/// let rows = try await warehouse.sql.query(statement).rows
/// ```
package struct OpenWarehouse: Sendable {
    /// Runs statements. Under a lease it watches them, because the lease is kept while one may still be running.
    package let sql: any SQLWarehouse
    /// Reads, creates and evolves datasets and tables.
    package let schema: any SchemaWarehouse
    /// The condition for statements that would do harm after the lease went to another execution; `nil` without a lease.
    package let fence: LeaseFence?
}

extension Run {
    /// Opens the warehouse that the environment names, and takes the job's lease if the job is exclusive.
    ///
    /// When the run ends, it releases the lease and then writes its row into the run history. A dry run does neither, because
    /// it writes nothing.
    ///
    /// - Parameter others: Other exclusive jobs that must not work at the same time. Their leases are taken, too.
    /// - Throws: ``ConfigurationError`` if the warehouse cannot be opened, ``RunSkipped`` while another execution of the job
    ///   works, and ``RunFailure`` if a lease that another job holds was not released in time.
    package func openWarehouse(
        _ settings: WarehouseSettings, excluding others: [String] = []
    ) async throws -> OpenWarehouse {
        let warehouse: any Warehouse
        do {
            warehouse = try opened(settings)
        } catch {
            // No request was sent yet, so a credential file or the path of the warehouse is wrong.
            throw ConfigurationError(String(describing: error))
        }
        guard !isDryRun else { return OpenWarehouse(sql: warehouse, schema: warehouse, fence: nil) }
        RunHistory(run: self, environment: settings.environment?.rawValue ?? "").writeAtEnd(of: self, to: warehouse)
        guard isExclusive else { return OpenWarehouse(sql: warehouse, schema: warehouse, fence: nil) }
        let lease = JobLease(
            warehouse: warehouse, job: job, excluding: others, holder: task.leaseHolder, validity: leaseValidity,
            report: report)
        try await lease.acquire()
        onClose(.lease) { await lease.release(within: $0.isStopped ? StopBudget.limit(of: .lease) : nil) }
        return OpenWarehouse(sql: lease.sql, schema: warehouse, fence: lease.fence)
    }

    private func opened(_ settings: WarehouseSettings) throws -> any Warehouse {
        switch settings.choice {
        case .bigQuery(let project): return try bigQuery(project, settings)
        case .embedded(let path):
            guard let openEmbedded else { throw ConfigurationError("this binary has no embedded warehouse") }
            return try openEmbedded(path, settings.location, isDryRun)
        case nil: throw ConfigurationError("no warehouse is chosen")
        }
    }

    private func bigQuery(_ project: ProjectID, _ settings: WarehouseSettings) throws -> BigQueryWarehouse {
        let transport = transport()
        let credentials =
            try settings.emulatorURL == nil
            ? ApplicationDefaultCredentials.find(
                environment: settings.credentialVariables, transport: transport, now: Timestamp.wallClock) : nil
        if let credentials { logger.debug("credentials", metadata: ["origin": "\(credentials.origin)"]) }
        // BigQuery attempts to end every statement at the run's deadline, or at the end of its lease if that is earlier (fact BQ-23).
        let jobTimeout = [deadline, isExclusive ? leaseValidity : nil].compactMap(\.self).min()
        return BigQueryWarehouse(
            project: project, location: settings.location,
            baseURL: settings.emulatorURL ?? BigQueryWarehouse.productionURL, transport: transport,
            credentials: credentials.map { CachedAccessToken(source: $0, now: Timestamp.wallClock) },
            quotaProject: credentials?.quotaProject, labels: labels,
            maximumBytesBilled: settings.maximumBytesBilled, jobTimeout: jobTimeout, taskCount: task.count,
            logger: logger)
    }

    private var labels: [String: String] {
        var labels = ["job": job]
        if let execution = task.execution { labels["execution"] = execution }
        return labels.filter { isLabelValue($0.value) }
    }
}

typealias EmbeddedOpening = @Sendable (_ path: String, _ location: String, _ isDryRun: Bool) throws -> any Warehouse

/// Opens an SQLite file; `nil` in binaries that ship, which are built without the embedded warehouse.
let openEmbedded: EmbeddedOpening? = {
    #if EmbeddedWarehouse
        { try EmbeddedWarehouse(path: $0, location: $1, isDryRun: $2) }
    #else
        nil
    #endif
}()

/// A warehouse that adds its billed bytes to the count `bytes_billed`.
///
/// The error about a missing dataset or table says to run bootstrap, which creates everything that these statements read.
package struct MeteredWarehouse: Sendable {
    private let warehouse: any SQLWarehouse
    private let report: RunReport

    package init(_ warehouse: any SQLWarehouse, _ report: RunReport) {
        self.warehouse = warehouse
        self.report = report
    }

    package func query(_ statement: Statement) async throws -> QueryResult {
        let result = try await advising { try await warehouse.query(statement) }
        report.add(Int(result.bytesBilled), to: "bytes_billed")
        return result
    }

    /// Hands the rows over page by page; see ``SQLWarehouse/query(_:eachPage:)``.
    package func query(_ statement: Statement, eachPage handle: (_ rows: [Row]) throws -> Void) async throws {
        let result = try await advising { try await warehouse.query(statement, eachPage: handle) }
        report.add(Int(result.bytesBilled), to: "bytes_billed")
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

/// A warehouse that remembers whether one of its statements may still be running, because the client was canceled or cut off
/// before the end. An error about the statement itself is an end.
final class WatchedWarehouse: SQLWarehouse {
    private let warehouse: any SQLWarehouse
    private let isOpen = Mutex(false)

    init(_ warehouse: any SQLWarehouse) {
        self.warehouse = warehouse
    }

    var mayBeRunning: Bool { isOpen.withLock { $0 } }

    func query(_ statement: Statement) async throws -> QueryResult {
        try await watching { try await warehouse.query(statement) }
    }

    func query(
        _ statement: Statement, eachPage handle: (_ rows: [Row]) throws -> Void
    ) async throws -> QueryResult {
        try await watching { try await warehouse.query(statement, eachPage: handle) }
    }

    func merge(_ merge: MergeStatement) async throws -> MergeResult {
        try await watching { try await warehouse.merge(merge) }
    }

    private func watching<Value>(_ run: () async throws -> Value) async throws -> Value {
        do {
            return try await run()
        } catch {
            // An error that is no WarehouseError, such as a CancellationError, says nothing about the statement.
            if (error as? WarehouseError)?.certainty != .notDone { isOpen.withLock { $0 = true } }
            throw error
        }
    }
}
