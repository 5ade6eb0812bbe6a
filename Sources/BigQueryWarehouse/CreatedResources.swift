import HTTPTransport
import JobRuntime
import Logging
import Synchronization
import Warehouse

/// The datasets and tables that this run created. BigQuery may not find them for a while (fact BQ-55):
/// https://github.com/cloudquery/cloudquery/issues/5444, https://github.com/dataform-co/dataform/issues/1975
final class CreatedResources: Sendable {
    private let datasets = Mutex<Set<DatasetID>>([])
    private let tables = Mutex<Set<TableReference>>([])

    func insert(_ dataset: DatasetID) { datasets.withLock { _ = $0.insert(dataset) } }

    func insert(_ table: TableReference) { tables.withLock { _ = $0.insert(table) } }

    /// Whether an error is about one of them. A table that this run did not create is really missing, also in a dataset that
    /// this run created.
    ///
    /// - Parameters:
    ///   - dataset: Where the work goes on; `nil` for a statement, whose error names what is missing, as in "Not found: Dataset
    ///     PROJECT:NAME was not found" (facts BQ-04 and BQ-05).
    func concern(_ error: WarehouseError, in dataset: DatasetID?, _ table: TableReference?) -> Bool {
        let words = Set(
            error.message.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }.map(String.init))
        if error.detail == .missingDataset {
            return datasets.withLock { datasets in
                dataset.map(datasets.contains) ?? datasets.contains { words.contains($0.name) }
            }
        }
        return tables.withLock { tables in
            table.map(tables.contains) ?? tables.contains { words.contains("\($0.dataset).\($0.table)") }
        }
    }
}

extension BigQueryWarehouse {
    /// Does the work again while BigQuery does not find what this run created, for up to a minute. A dataset that it does not
    /// find for another reason is asked for once more, because such an answer may be wrong, too:
    /// https://github.com/googleapis/google-cloud-python/issues/15691
    ///
    /// - Parameters:
    ///   - dataset: Where the work goes on; `nil` for a statement, whose error names what is missing.
    ///   - confirms: Whether a missing dataset that this run did not create is asked for once more.
    func whileNotVisible<Value>(
        _ dataset: DatasetID?, _ table: TableReference? = nil, confirms: Bool = false,
        _ work: () async throws -> Value
    ) async throws -> Value {
        var attempts = Attempts(RetryPolicy(firstDelay: .seconds(2), budget: .seconds(60)), on: api.time)
        while true {
            do {
                return try await work()
            } catch let error as WarehouseError
                where error.code == .notFound && error.detail != .missingJob && error.certainty == .notDone
            {
                let isOurs = created.concern(error, in: dataset, table)
                let limit = confirms && error.detail == .missingDataset ? 2 : 1
                try await attempts.pause(
                    after: error, .retry(), limit: isOurs ? nil : limit, noting: api.logger.tryingAgain)
            }
        }
    }
}
