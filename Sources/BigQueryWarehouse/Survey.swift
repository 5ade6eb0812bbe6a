import HTTPTransport
import JobRuntime
import Logging
package import Warehouse

extension BigQueryWarehouse {
    /// Reads the datasets with one query over the whole location. If the location's views cannot be used, each query covers at
    /// most 100 datasets. If the scope knows no table, the queries read the datasets' own views: a location still shows deleted
    /// datasets, and these could be mistaken for the datasets in question (fact BQ-65).
    ///
    /// The location's views need `bigquery.tables.get` and `.list` on the project, and TABLES and TABLE_OPTIONS also need
    /// `bigquery.routines.get` and `.list` (fact IAM-04). The views show only the datasets in the location of the job (fact BQ-06):
    /// https://cloud.google.com/bigquery/docs/information-schema-tables
    package func survey(_ scope: SurveyScope, for tables: [NamedTable]) async throws -> SchemaSurvey {
        if case .datasets(let targets) = scope.targets {
            if targets.isEmpty { return SchemaSurvey(groups: []) }
            if scope.known == .nothing { return try await surveyByDataset(targets, scope, tables) }
        }
        do {
            if let survey = try await surveyRegion(scope, tables) { return survey }
            api.logger.warning(
                "the region's INFORMATION_SCHEMA shows too little: asking dataset by dataset, which does not show default expirations"
            )
        } catch let error as WarehouseError where error.code == .accessDenied || error.code == .resourcesExceeded {
            api.logger.warning(
                "the region's INFORMATION_SCHEMA cannot be used: asking dataset by dataset, which does not show default expirations",
                metadata: ["error": "\(error)"])
        }
        let (targets, bytesBilled) = try await targets(scope)
        var survey = try await surveyByDataset(targets, scope, tables)
        survey.bytesBilled += bytesBilled
        return survey
    }

    package func members(
        of groups: [SchemaSurvey.Group], in scope: SurveyScope, for tables: [NamedTable]
    ) async throws -> SchemaSurvey.Members {
        var members = SchemaSurvey.Members(byKey: [:])
        for group in groups where group.isComplete { members.byKey[group.key] = group.members }
        let keys = groups.filter { !$0.isComplete }.map(\.key)
        if keys.isEmpty { return members }
        let statement = SurveyStatement(source: .region(Self.region(scope)), scope: scope, tables: tables).members(
            of: keys)
        let job = QueryJob(
            warehouse: self, statement: statement, location: scope.location, scope: .dataset, countsRows: false)
        let result = try await job.run { rows in
            for row in rows {
                let key = try row.string("table_name") + ":" + (row.optionalString("shape_key") ?? "")
                members.byKey[key, default: []].append(try target(row))
            }
        }
        members.bytesBilled = result.bytesBilled
        return members
    }

    private static func region(_ scope: SurveyScope) -> String { "region-\(scope.location.lowercased())" }

    /// - Returns: `nil` if the views do not show what certainly exists (fact BQ-60).
    private func surveyRegion(_ scope: SurveyScope, _ tables: [NamedTable]) async throws -> SchemaSurvey? {
        let statement = SurveyStatement(source: .region(Self.region(scope)), scope: scope, tables: tables).summary
        let result = try await run(statement, location: scope.location, scope: .dataset)
        var survey = SchemaSurvey(groups: [], bytesBilled: result.bytesBilled)
        var isKnownShown: Bool?
        for row in result.rows {
            let members = try self.members(row)
            // The known table is a target without a subject. Its dataset has a row, too.
            guard members.first?.subject.isEmpty == true else {
                survey.groups.append(try group(row, members))
                if let extra = try extraColumns(row) { survey.add(extra) }
                continue
            }
            isKnownShown = try row.optionalString("shape") != nil
        }
        if scope.known == .targets { isKnownShown = Self.showsEachTarget(of: scope, survey) }
        // Without this row, an answer that was lost would look the same as no dataset.
        guard let isKnownShown else {
            throw WarehouseError(
                .unexpectedResult, operation: statement.purpose,
                message: "the answer has no row about \(scope.known), which every answer has", certainty: .done)
        }
        return isKnownShown ? survey : nil
    }

    private static func showsEachTarget(of scope: SurveyScope, _ survey: SchemaSurvey) -> Bool {
        guard case .datasets(let targets) = scope.targets else { return false }
        return datasets(in: survey.groups) == targets.count
    }

    /// The number of datasets that the views show.
    private static func datasets(in groups: [SchemaSurvey.Group]) -> Int {
        groups.reduce(0) { sum, group in
            if case .dataset = group.state { sum + group.count } else { sum }
        }
    }

    private func group(_ row: Row, _ members: [SurveyTarget]) throws -> SchemaSurvey.Group {
        let name = try row.string("table_name")
        let shape = try row.optionalString("shape")
        let state: SchemaSurvey.State
        switch (name, shape) {
        case ("", nil): state = .noDataset
        case ("", let shape?): state = .dataset(SurveyedTable.defaults(shape))
        case (_, nil): state = .noTable(name)
        case (_, let shape?): state = SurveyedTable.table(shape).map { .table(name, $0) } ?? .unreadableTable(name)
        }
        return SchemaSurvey.Group(
            state: state, count: Int(try row.int64("datasets")), members: members,
            key: "\(name):\(try row.optionalString("shape_key") ?? "")")
    }

    private func extraColumns(_ row: Row) throws -> SchemaSurvey.ExtraColumns? {
        let count = Int(try row.int64("extra_datasets"))
        guard count > 0 else { return nil }
        let lists = try row.string("extra_columns").split(separator: SurveyedTable.record)
        return SchemaSurvey.ExtraColumns(
            Set(lists.flatMap { $0.split(separator: SurveyedTable.unit).map(String.init) }),
            of: try row.string("table_name"), count: count, members: try members(row, "extra_members"))
    }

    /// Members as the summary has them: `acme=acme_prod,globex=globex_prod`. Neither part has a comma or an equals sign.
    private func members(_ row: Row, _ column: String = "members") throws -> [SurveyTarget] {
        try row.string(column).split(separator: ",").map { member in
            let parts = member.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw Self.unreadable(String(member)) }
            return try target(parts[0], parts[1])
        }
    }

    private func target(_ row: Row) throws -> SurveyTarget {
        try target(row.string("subject"), row.string("dataset"))
    }

    private func target(_ subject: String, _ dataset: String) throws -> SurveyTarget {
        guard let id = DatasetID(dataset) else { throw Self.unreadable(dataset) }
        return SurveyTarget(subject: subject, dataset: id)
    }

    private static func unreadable(_ text: String) -> WarehouseError {
        WarehouseError(
            .unexpectedResult, operation: "compare the datasets with the catalog",
            message: "the answer names \(quoted(text)) as a dataset", certainty: .done)
    }

    private func targets(_ scope: SurveyScope) async throws -> (targets: [SurveyTarget], bytesBilled: Int64) {
        if case .datasets(let targets) = scope.targets { return (targets, 0) }
        let result = try await run(SurveyStatement.targets(scope), location: scope.location, scope: .dataset)
        return (try result.rows.map(target), result.bytesBilled)
    }

    /// A query may reference 1,000 resources, and each view of a dataset is one.
    static let mostDatasetsPerQuery = 100

    /// The number of datasets that one query may be billed for. BigQuery bills at least 10 MB for each view of a dataset (fact BQ-08).
    /// https://cloud.google.com/bigquery/docs/best-practices-costs#limit_query_costs_by_restricting_the_number_of_bytes_billed
    private var datasetsPerQuery: Int {
        guard let bytes = maximumBytesBilled else { return Self.mostDatasetsPerQuery }
        let bytesOfDataset = Int64(SurveyStatement.viewsOfDataset) * 10_485_760
        return max(1, min(Self.mostDatasetsPerQuery, Int(bytes / bytesOfDataset)))
    }

    private func surveyByDataset(
        _ targets: [SurveyTarget], _ scope: SurveyScope, _ tables: [NamedTable]
    ) async throws -> SchemaSurvey {
        var existing = targets
        var missing: [SurveyTarget] = []
        if case .table = scope.known {
            let locations = try await locationsOfDatasets()
            let parts = targets.split {
                locations[$0.dataset]?.lowercased() == scope.location.lowercased()
            }
            (existing, missing) = (parts.matching, parts.others)
        }
        var survey = GroupedSurvey()
        survey.add(.noDataset, missing)
        try await surveyInBatches(existing, scope, tables, &survey)
        return survey.survey
    }

    /// One dataset that refuses the query or is missing fails the query for its whole batch, so the batch is halved until that
    /// dataset is alone. The tables of a dataset that refuses are then read one by one, so that its organization gets the error.
    private func surveyInBatches(
        _ targets: [SurveyTarget], _ scope: SurveyScope, _ tables: [NamedTable], _ survey: inout GroupedSurvey
    ) async throws {
        let size = datasetsPerQuery
        for start in stride(from: 0, to: targets.count, by: size) {
            let batch = targets[start..<min(start + size, targets.count)]
            try await halvingOnRefusal(batch, isRefusal: Self.concernsADataset) { part in
                let part = Array(part)
                var scope = scope
                scope.targets = .datasets(part)
                scope.known = .nothing
                scope.task = CloudRunTask()
                let statement = SurveyStatement(source: .datasets(part.map(\.dataset)), scope: scope, tables: tables)
                let result = try await run(statement.summary, location: scope.location, scope: .dataset)
                let groups = try result.rows.map { try group($0, members($0)) }
                guard Self.datasets(in: groups) == part.count else {
                    throw WarehouseError(
                        .unexpectedResult, operation: statement.summary.purpose,
                        message: "the answer does not have a row about each dataset", certainty: .done)
                }
                for group in groups { survey.add(group) }
                for extra in try result.rows.compactMap(extraColumns) { survey.survey.add(extra) }
                survey.survey.bytesBilled += result.bytesBilled
            } refused: { part, error in
                for target in part {
                    let isThere =
                        (error as? WarehouseError)?.code == .notFound ? false : try await mayBeThere(target.dataset)
                    guard isThere else {
                        survey.add(.noDataset, [target])
                        continue
                    }
                    survey.add(.dataset(DatasetDefaults()), [target])
                    for table in tables { survey.add(.unreadableTable(table.name), [target]) }
                }
            }
        }
    }

    private static func concernsADataset(_ error: any Error) -> Bool {
        guard let error = error as? WarehouseError else { return false }
        return [.accessDenied, .notFound, .resourcesExceeded].contains(error.code)
    }

    /// Whether the dataset may exist. If the account may not read the project's metadata, BigQuery refuses access to a missing
    /// dataset, too.
    private func mayBeThere(_ id: DatasetID) async throws -> Bool {
        do {
            return try await dataset(id) != nil
        } catch let error as WarehouseError where error.code == .accessDenied {
            return true
        }
    }
}

/// A survey in parts: the groups of one state become one.
private struct GroupedSurvey {
    var survey = SchemaSurvey(groups: [])
    private var indices: [SchemaSurvey.State: Int] = [:]

    mutating func add(_ group: SchemaSurvey.Group) { add(group.state, group.members) }

    mutating func add(_ state: SchemaSurvey.State, _ members: [SurveyTarget]) {
        guard !members.isEmpty else { return }
        if let index = indices[state] {
            survey.groups[index].members += members
            survey.groups[index].count += members.count
        } else {
            indices[state] = survey.groups.count
            survey.groups.append(
                SchemaSurvey.Group(
                    state: state, count: members.count, members: members, key: "\(survey.groups.count)"))
        }
    }
}
