package import HTTPTransport
package import JobRuntime
package import Logging

/// BigQuery over its REST API v2.
package struct BigQueryWarehouse: Warehouse {
    package let location: String
    let api: BigQueryAPI
    /// On every query job, so that costs and failures can be traced to the run: `job`, `execution`.
    let labels: [String: String]
    /// A query that would bill more fails instead; `nil` for no bound.
    let maximumBytesBilled: Int64?
    /// When every job must have ended, by the clock of `api.time`: whatever becomes of the process that started it.
    let jobsEnd: Duration?

    /// - Parameters:
    ///   - baseURL: Without a slash at the end: `https://bigquery.googleapis.com`, or an emulator's.
    ///   - credentials: `nil` sends none, as an emulator wants it.
    ///   - jobTimeout: BigQuery stops a job that still runs so long from now; `nil` for no bound but its own.
    ///   - taskCount: Among how many tasks of the execution the request budgets are divided.
    package init(
        project: ProjectID, location: String, baseURL: String = Self.productionURL, transport: any HTTPTransport,
        credentials: CachedAccessToken?, quotaProject: String? = nil, labels: [String: String] = [:],
        maximumBytesBilled: Int64? = nil, jobTimeout: Duration? = nil, taskCount: Int = 1,
        retry: RetryPolicy = Self.defaultRetry,
        time: TimeSource = .system, logger: Logger
    ) {
        self.location = location
        self.labels = labels
        self.maximumBytesBilled = maximumBytesBilled
        jobsEnd = jobTimeout.map { time.elapsed() + $0 }
        api = BigQueryAPI(
            baseURL: baseURL, project: project, transport: transport, credentials: credentials,
            quotaProject: quotaProject, budgets: RequestBudgets(taskCount: taskCount, time: time), retry: retry,
            time: time,
            logger: logger)
    }

    package static let productionURL = "https://bigquery.googleapis.com"

    /// As Google's own clients: from 1 s to 32 s, doubled each time, for ten minutes. A `requestId` is good for fifteen.
    package static let defaultRetry = RetryPolicy(attempts: 12)
}
