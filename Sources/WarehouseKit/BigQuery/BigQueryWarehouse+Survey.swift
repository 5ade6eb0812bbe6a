import Logging

extension BigQueryWarehouse {
    /// One query over the whole region; where that cannot be had, one for each 200 datasets.
    ///
    /// The region's views need `bigquery.tables.get` and `.list` on the project, and they show only what is in the location of
    /// the job: https://cloud.google.com/bigquery/docs/information-schema-columns
    package func survey(
        _ datasets: [DatasetID], for tables: [NamedTable], known: TableReference?
    ) async throws -> SchemaSurvey {
        guard !datasets.isEmpty else { return SchemaSurvey(findings: [:]) }
        let region = SurveyStatement(
            source: .region("region-\(location.lowercased())"), datasets: datasets, tables: tables, known: known)
        do {
            let result = try await run(region.statement, scope: .dataset)
            if let survey = try read(result, isKnownExpected: known != nil) { return survey }
            api.logger.warning(
                "the region's INFORMATION_SCHEMA does not show \(known?.description ?? ""): asking dataset by dataset")
        } catch let error as WarehouseError where error.code == .accessDenied {
            api.logger.warning(
                "no access to the region's INFORMATION_SCHEMA: asking dataset by dataset",
                metadata: ["error": "\(error)"])
        }
        return try await surveyByDataset(datasets, tables)
    }

    static let datasetsPerQuery = 200

    private func surveyByDataset(_ datasets: [DatasetID], _ tables: [NamedTable]) async throws -> SchemaSurvey {
        let locations = try await locationsOfDatasets()
        let (existing, missing) = datasets.split { locations[$0]?.lowercased() == location.lowercased() }
        let nothing = SchemaSurvey.Finding(datasetExists: false, absent: [], differing: [])
        var survey = SchemaSurvey(findings: Dictionary(missing.map { ($0, nothing) }) { first, _ in first })
        for start in stride(from: 0, to: existing.count, by: Self.datasetsPerQuery) {
            let batch = Array(existing[start..<min(start + Self.datasetsPerQuery, existing.count)])
            let found = try await surveyBatch(batch, tables)
            survey.findings.merge(found.findings) { _, new in new }
            survey.bytesBilled += found.bytesBilled
        }
        return survey
    }

    /// One dataset that refuses fails the query for all of its batch, so the batch is halved until that one is alone. Its
    /// tables are then read one by one, which gives the error to the organization it belongs to.
    private func surveyBatch(_ datasets: [DatasetID], _ tables: [NamedTable]) async throws -> SchemaSurvey {
        let statement = SurveyStatement(source: .datasets(datasets), datasets: datasets, tables: tables, known: nil)
        do {
            return try read(try await run(statement.statement, scope: .dataset), isKnownExpected: false)
                ?? SchemaSurvey(findings: [:])
        } catch let error as WarehouseError where error.code == .accessDenied || error.code == .notFound {
            guard datasets.count > 1 else {
                let all = SchemaSurvey.Finding(datasetExists: true, absent: [], differing: Set(tables.map(\.name)))
                return SchemaSurvey(findings: [datasets[0]: all])
            }
            let middle = datasets.count / 2
            var survey = try await surveyBatch(Array(datasets[..<middle]), tables)
            let rest = try await surveyBatch(Array(datasets[middle...]), tables)
            survey.findings.merge(rest.findings) { _, new in new }
            survey.bytesBilled += rest.bytesBilled
            return survey
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
        guard !scripted.isEmpty else { return }
        let script = scripted.map { TableDDL.statement($0.reference, $0.table) }.joined(separator: "\n")
        _ = try await run(Statement("create \(scripted.count) tables in \(dataset)", script), scope: .dataset)
    }
}

extension Array {
    /// Those that satisfy the condition, and the others, each in order.
    func split(_ condition: (Element) throws -> Bool) rethrows -> (matching: [Element], others: [Element]) {
        (try filter(condition), try filter { try !condition($0) })
    }
}
