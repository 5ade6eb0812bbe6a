import FoundationEssentials
package import GoogleCredentials
package import HTTPTransport
package import JobRuntime
package import Logging
package import Warehouse

/// BigQuery over its REST API v2.
///
/// ```swift
/// let warehouse = BigQueryWarehouse(
///     project: project, location: "EU", transport: CurlTransport(), credentials: token, logger: logger)
/// let result = try await warehouse.query(Statement("count the runs", "SELECT COUNT(*) AS n FROM `d.runs`"))
/// ```
package struct BigQueryWarehouse: Warehouse {
    package let location: String
    let api: BigQueryAPI
    /// On every query job, so that costs and failures can be traced to the run: `job`, `execution` (facts BQ-28 and RUN-05).
    let labels: [String: String]
    /// A query that would bill more fails instead; `nil` for no bound.
    let maximumBytesBilled: Int64?
    /// When every job should have ended, by the clock of `api.time`: whatever becomes of the process that started it.
    let jobsEnd: Duration?
    let created = CreatedResources()

    /// - Parameters:
    ///   - baseURL: Without a slash at the end: `https://bigquery.googleapis.com`, or an emulator's.
    ///   - credentials: `nil` sends none, for an emulator.
    ///   - jobTimeout: BigQuery attempts to stop a job that still runs after this time from now; `nil` for its own bound.
    ///   - taskCount: The number of tasks of the execution that share the request budgets.
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
    package static let defaultRetry = RetryPolicy(attempts: 12, budget: .seconds(600))
}

extension BigQueryWarehouse {
    package func leastTime(for requests: SchemaRequests) -> Duration? { api.budgets.leastTime(for: requests) }

    package func dataset(_ id: DatasetID) async throws -> Dataset? {
        let call = BigQueryAPI.Call(
            method: .datasetsGet, path: "/datasets/\(id)", operation: "read dataset \(id)", scope: .dataset)
        return try await whereFound {
            try await whileNotVisible(id) {
                try api.decode(DatasetResource.self, from: try await api.send(call), of: call).dataset
            }
        }
    }

    package func createDataset(_ dataset: Dataset) async throws -> Bool {
        let call = BigQueryAPI.Call(
            method: .datasetsInsert, verb: .post, path: "/datasets",
            body: try JSONEncoder().encode(DatasetResource(dataset, in: api.project)),
            operation: "create dataset \(dataset.id)",
            scope: .project)
        let isCreated = try await isCreated {
            _ = try await api.send(call)
        } isAsMade: {
            guard try await self.dataset(dataset.id)?.location.lowercased() == dataset.location.lowercased() else {
                return false
            }
            return try await tables(in: dataset.id).isEmpty
        }
        if isCreated { created.insert(dataset.id) }
        return isCreated
    }

    /// A few datasets are read one by one, and many by listing all of the project's. The list leaves out datasets that the account
    /// may not see.
    package func locations(of datasets: [DatasetID]) async throws -> DatasetLocations {
        if datasets.count > Self.mostReadOneByOne { return DatasetLocations(found: try await locationsOfDatasets()) }
        return try await withThrowingTaskGroup(of: (DatasetID, Dataset?, isHidden: Bool).self) { group in
            for id in datasets {
                group.addTask {
                    do {
                        return (id, try await dataset(id), false)
                    } catch let error as WarehouseError where error.code == .accessDenied && !error.endsRun {
                        return (id, nil, true)
                    }
                }
            }
            return try await group.reduce(into: DatasetLocations(found: [:])) { locations, found in
                let (id, dataset, isHidden) = found
                locations.found[id] = dataset?.location
                if isHidden { locations.hidden.insert(id) }
            }
        }
    }

    private static let mostReadOneByOne = 20

    /// Every dataset of the project with its location. One request for each thousand (fact BQ-54).
    func locationsOfDatasets() async throws -> [DatasetID: String] {
        var locations: [DatasetID: String] = [:]
        var pageToken = ""
        repeat {
            let call = BigQueryAPI.Call(
                method: .datasetsList, path: "/datasets", query: [("all", "true")] + page(pageToken),
                operation: "list the datasets",
                scope: .project)
            let page = try api.decode(DatasetList.self, from: try await api.send(call), of: call)
            for item in page.datasets ?? [] {
                if let id = DatasetID(item.datasetReference.datasetId) { locations[id] = item.location ?? location }
            }
            pageToken = page.nextPageToken ?? ""
        } while !pageToken.isEmpty
        return locations
    }

    func page(_ token: String) -> [(name: String, value: String)] {
        [("maxResults", "1000")] + (token.isEmpty ? [] : [("pageToken", token)])
    }

    func whereFound<Value>(_ read: () async throws -> Value?) async throws -> Value? {
        do {
            return try await read()
        } catch let error as WarehouseError where error.code == .notFound {
            return nil
        }
    }

    /// - Parameter isAsMade: Whether the resource looks as if it had just been created. It is called where the resource exists
    ///   and an earlier attempt may have created it; if so, it counts as created (facts BQ-40 and BQ-41).
    func isCreated(
        _ create: () async throws -> Void, isAsMade: () async throws -> Bool
    ) async throws -> Bool {
        do {
            try await create()
            return true
        } catch let error as WarehouseError where error.code == .alreadyExists {
            return error.certainty == .notDone ? false : try await isAsMade()
        }
    }
}

/// https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets#Dataset
private struct DatasetResource: Codable {
    struct Reference: Codable {
        var projectId: String?
        var datasetId: String
    }

    var datasetReference: Reference
    var location: String?
    var description: String?
    var labels: [String: String]?

    init(_ dataset: Dataset, in project: ProjectID) {
        datasetReference = Reference(projectId: project.name, datasetId: dataset.id.name)
        location = dataset.location
        description = dataset.description
        labels = dataset.labels.isEmpty ? nil : dataset.labels
    }

    var dataset: Dataset? {
        DatasetID(datasetReference.datasetId).map {
            Dataset(id: $0, location: location ?? "US", description: description, labels: labels ?? [:])
        }
    }
}

private struct DatasetList: Decodable {
    struct Item: Decodable {
        struct Reference: Decodable {
            var datasetId: String
        }

        var datasetReference: Reference
        var location: String?
    }

    var datasets: [Item]?
    var nextPageToken: String?
}

extension BigQueryWarehouse {
    package func table(_ reference: TableReference) async throws -> Table? {
        try await locatedTable(reference)?.table
    }

    /// A table with its dataset's location, which every table has.
    struct LocatedTable: Decodable {
        var table: Table
        var location: String?

        private enum CodingKeys: String, CodingKey {
            case location
        }

        init(from decoder: any Decoder) throws {
            table = try Table(from: decoder)
            location = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(String.self, forKey: .location)
        }
    }

    func locatedTable(_ reference: TableReference) async throws -> LocatedTable? {
        let call = BigQueryAPI.Call(
            // BASIC leaves out the storage statistics, which cost the server time (fact BQ-53).
            method: .tablesGet, path: path(of: reference), query: [("view", "BASIC")],
            operation: "read table \(reference)", scope: .dataset)
        return try await whereFound {
            try await whileNotVisible(reference.dataset, reference) {
                try api.decode(LocatedTable.self, from: try await api.send(call), of: call)
            }
        }
    }

    package func tables(in dataset: DatasetID) async throws -> [String] {
        var names: [String] = []
        var pageToken = ""
        repeat {
            let call = BigQueryAPI.Call(
                method: .tablesList, path: "/datasets/\(dataset)/tables", query: page(pageToken),
                operation: "list the tables of \(dataset)", scope: .dataset)
            let page = try api.decode(
                TableList.self, from: try await whileNotVisible(dataset) { try await api.send(call) }, of: call)
            names += (page.tables ?? []).map(\.tableReference.tableId)
            pageToken = page.nextPageToken ?? ""
        } while !pageToken.isEmpty
        return names.sorted()
    }

    package func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool {
        let call = BigQueryAPI.Call(
            method: .tablesInsert, verb: .post, path: "/datasets/\(reference.dataset)/tables",
            body: try JSONEncoder().encode(NewTable(project: api.project, reference: reference, table: table)),
            operation: "create table \(reference)",
            scope: .dataset)
        let isCreated = try await isCreated {
            do {
                _ = try await whileNotVisible(reference.dataset) { try await api.send(call) }
            } catch let error as WarehouseError
                where error.code == .accessDenied && table.schema.fields.contains(where: \.isGuarded)
            {
                throw error.withAdvice(Self.policyTagAdvice)
            }
        } isAsMade: {
            guard let actual = try await self.table(reference) else { return false }
            return SchemaDiff(expected: table, actual: actual).isConforming
        }
        if isCreated { created.insert(reference) }
        return isCreated
    }

    func path(of reference: TableReference) -> String {
        "/datasets/\(reference.dataset)/tables/\(reference.table)"
    }
}

/// The catalog's table with the reference that `tables.insert` wants.
private struct NewTable: Encodable {
    var project: ProjectID
    var reference: TableReference
    var table: Table

    enum CodingKeys: String, CodingKey {
        case tableReference
    }

    func encode(to encoder: any Encoder) throws {
        try table.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(
            ["projectId": project.name, "datasetId": reference.dataset.name, "tableId": reference.table],
            forKey: .tableReference)
    }
}

private struct TableList: Decodable {
    struct Item: Decodable {
        struct Reference: Decodable {
            var tableId: String
        }

        var tableReference: Reference
    }

    var tables: [Item]?
    var nextPageToken: String?
}

extension BigQueryWarehouse {
    package func merge(_ merge: MergeStatement) async throws -> MergeResult {
        let result = try await run(merge.statement(Self.sql(of: merge)), scope: .project, countingRows: true)
        if result.affectedRows == 0 { return MergeResult(inserted: 0, updated: 0, bytesBilled: result.bytesBilled) }
        guard let counts = result.rowCounts else {
            throw WarehouseError(
                .unexpectedResult, operation: merge.purpose, message: "the reply does not say what was changed",
                certainty: .done)
        }
        return MergeResult(
            inserted: counts.insertedRowCount.flatMap { Int64($0) } ?? 0,
            updated: counts.updatedRowCount.flatMap { Int64($0) } ?? 0, bytesBilled: result.bytesBilled)
    }

    static func sql(of merge: MergeStatement) -> String {
        var sql = """
            MERGE \(merge.target.sql) AS t
            USING (\(merge.source)) AS s
            ON \(merge.match) AND \(merge.scope)
            """
        if merge.changesRows {
            sql += "\nWHEN MATCHED AND (\(merge.difference)) THEN UPDATE SET \(merge.assignments)"
        }
        if !merge.inserted.isEmpty {
            sql += "\nWHEN NOT MATCHED THEN INSERT (\(merge.insertedColumns)) VALUES (\(merge.insertedValues))"
        }
        return sql
    }
}
