import JobRuntime
import Logging

extension BigQueryWarehouse {
    /// One query over the whole region; where that cannot be had, one for each 200 datasets. Datasets of which nothing is known
    /// are asked themselves, so that what a region still shows of deleted ones cannot be taken for them.
    ///
    /// The region's views need `bigquery.tables.get` and `.list`, and TABLES `bigquery.routines.get` and `.list`, on the project,
    /// and they show only what is in the location of the job:
    /// https://cloud.google.com/bigquery/docs/information-schema-tables
    package func survey(
        _ datasets: [DatasetID], for tables: [NamedTable], known: TableReference?
    ) async throws -> SchemaSurvey {
        guard !datasets.isEmpty else { return SchemaSurvey(findings: [:]) }
        guard let known else { return try await surveyInBatches(datasets, tables) }
        let region = SurveyStatement(
            source: .region("region-\(location.lowercased())"), datasets: datasets, tables: tables, known: known)
        do {
            let result = try await run(region.statement, scope: .dataset)
            if let survey = try read(result, isKnownExpected: true) { return survey }
            api.logger.warning("the region's INFORMATION_SCHEMA does not show \(known): asking dataset by dataset")
        } catch let error as WarehouseError where error.code == .accessDenied || error.code == .resourcesExceeded {
            api.logger.warning(
                "the region's INFORMATION_SCHEMA cannot be used: asking dataset by dataset",
                metadata: ["error": "\(error)"])
        }
        return try await surveyByDataset(datasets, tables)
    }

    static let datasetsPerQuery = 200

    private func surveyByDataset(_ datasets: [DatasetID], _ tables: [NamedTable]) async throws -> SchemaSurvey {
        let locations = try await locationsOfDatasets()
        let (existing, missing) = datasets.split { locations[$0]?.lowercased() == location.lowercased() }
        var survey = try await surveyInBatches(existing, tables)
        for dataset in missing { survey.findings[dataset] = Self.nothing }
        return survey
    }

    private static let nothing = SchemaSurvey.Finding(datasetExists: false, absent: [], differing: [])

    private func surveyInBatches(_ datasets: [DatasetID], _ tables: [NamedTable]) async throws -> SchemaSurvey {
        var survey = SchemaSurvey(findings: [:])
        for start in stride(from: 0, to: datasets.count, by: Self.datasetsPerQuery) {
            let batch = Array(datasets[start..<min(start + Self.datasetsPerQuery, datasets.count)])
            let found = try await surveyBatch(batch, tables)
            survey.findings.merge(found.findings) { _, new in new }
            survey.bytesBilled += found.bytesBilled
        }
        return survey
    }

    /// One dataset that refuses or is missing fails the query for all of its batch, so the batch is halved until that one is
    /// alone. The tables of one that refuses are then read one by one, which gives the error to the organization it belongs to.
    private func surveyBatch(_ datasets: [DatasetID], _ tables: [NamedTable]) async throws -> SchemaSurvey {
        let statement = SurveyStatement(source: .datasets(datasets), datasets: datasets, tables: tables, known: nil)
        do {
            return try read(try await run(statement.statement, scope: .dataset), isKnownExpected: false)
                ?? SchemaSurvey(findings: [:])
        } catch let error as WarehouseError
            where [.accessDenied, .notFound, .resourcesExceeded].contains(error.code)
        {
            guard datasets.count > 1 else {
                let isThere = error.code == .notFound ? false : try await mayBeThere(datasets[0])
                let all = SchemaSurvey.Finding(datasetExists: true, absent: [], differing: Set(tables.map(\.name)))
                return SchemaSurvey(findings: [datasets[0]: isThere ? all : Self.nothing])
            }
            let middle = datasets.count / 2
            var survey = try await surveyBatch(Array(datasets[..<middle]), tables)
            let rest = try await surveyBatch(Array(datasets[middle...]), tables)
            survey.findings.merge(rest.findings) { _, new in new }
            survey.bytesBilled += rest.bytesBilled
            return survey
        }
    }

    /// Who may not read the project's metadata is refused for a dataset that is missing, too.
    private func mayBeThere(_ id: DatasetID) async throws -> Bool {
        do {
            return try await dataset(id) != nil
        } catch let error as WarehouseError where error.code == .accessDenied {
            return true
        }
    }

    /// `nil` if the table that certainly exists was not seen.
    private func read(_ result: QueryResult, isKnownExpected: Bool) throws -> SchemaSurvey? {
        var survey = SchemaSurvey(findings: [:], bytesBilled: result.bytesBilled)
        for row in result.rows {
            guard let dataset = DatasetID(try row.string("dataset")) else {
                if try isKnownExpected && !row.bool("is_there") { return nil }
                continue
            }
            survey.findings[dataset] = SchemaSurvey.Finding(
                datasetExists: try row.bool("is_there"), absent: try names(row.optionalString("absent")),
                differing: try names(row.optionalString("differing")))
        }
        return survey
    }

    private func names(_ list: String?) -> Set<String> {
        Set((list ?? "").split(separator: ",").map(String.init))
    }

    package func createTables(_ tables: [NamedTable], in dataset: DatasetID) async throws {
        let references = tables.compactMap { table in
            TableReference(dataset, table.name).map { (reference: $0, table: table.table) }
        }
        let (scripted, others) = references.split { TableDDL.canExpress($0.table) }
        for other in others { _ = try await createTable(other.reference, other.table) }
        for part in Self.scripts(of: scripted.map { TableDDL.statement($0.reference, $0.table) }) {
            let script = Statement(
                "create \(part.count) tables in \(dataset)", part.joined(separator: "\n"))
            // IF NOT EXISTS may lose against somebody who creates the same table at that moment. The second time it is there.
            _ = try await RetryPolicy(attempts: 5).run(
                on: api.time, decide: { ($0 as? WarehouseError)?.code == .alreadyExists ? .retry() : .stop }
            ) { _ in try await run(script, scope: .dataset) }
        }
    }

    /// A query has 1,024 k characters at most: https://cloud.google.com/bigquery/quotas#query_jobs
    static let charactersPerScript = 500_000

    private static func scripts(of statements: [String]) -> [[String]] {
        var scripts: [[String]] = []
        var size = 0
        for statement in statements {
            if scripts.isEmpty || size + statement.utf8.count > charactersPerScript {
                scripts.append([])
                size = 0
            }
            scripts[scripts.count - 1].append(statement)
            size += statement.utf8.count
        }
        return scripts
    }
}

extension Array {
    /// Those that satisfy the condition, and the others, each in order.
    func split(_ condition: (Element) throws -> Bool) rethrows -> (matching: [Element], others: [Element]) {
        (try filter(condition), try filter { try !condition($0) })
    }
}
