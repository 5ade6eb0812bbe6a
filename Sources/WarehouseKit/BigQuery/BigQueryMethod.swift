/// The methods of BigQuery's REST API that we call. Each has a budget of its own.
enum BigQueryMethod: String, Sendable, CaseIterable {
    case datasetsGet = "datasets.get"
    case datasetsList = "datasets.list"
    case datasetsInsert = "datasets.insert"
    case tablesGet = "tables.get"
    case tablesList = "tables.list"
    case tablesInsert = "tables.insert"
    case tablesPatch = "tables.patch"
    case jobsQuery = "jobs.query"
    case jobsGet = "jobs.get"
    case jobsGetQueryResults = "jobs.getQueryResults"
    case jobsCancel = "jobs.cancel"

    /// Requests a second for one user, that is, for one service account:
    /// https://cloud.google.com/bigquery/quotas#api_request_quotas
    var requestsPerSecond: Double {
        self == .tablesInsert ? 10 : 100
    }

    /// Requests that may be under way at once, for one user and all methods together.
    static let requestsInFlight = 300
}
