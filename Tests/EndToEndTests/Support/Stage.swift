import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// A warehouse of one test, on which built jobs run.
protocol Stage: Sendable {
    /// The variables with which a job finds it.
    var environment: [String: String] { get }
    /// The same warehouse, opened in this process to put organizations into it.
    func warehouse() throws -> any Warehouse
    /// The stored datasets and tables, one sorted line each. Equal lines mean an equal state.
    func state() async throws -> [String]
    /// A number that grows while a job works.
    func progress() async throws -> Int
    /// Makes each later request wait, so that a test can interrupt a run; 0 ends that.
    func delayRequests(milliseconds: Int) async throws
}

extension Stage {
    /// The default does nothing: SQLite takes no requests.
    func delayRequests(milliseconds: Int) async throws {}

    /// The environment with more variables; an empty value removes one.
    func with(_ variables: [String: String]) -> [String: String] {
        environment.merging(variables) { $1 }.filter { !$0.value.isEmpty }
    }

    @discardableResult
    func run(
        _ job: JobExecutable, _ arguments: String..., with variables: [String: String] = [:]
    ) async throws -> JobOutcome {
        try await job.run(arguments, environment: with(variables))
    }

    func start(
        _ job: JobExecutable, _ arguments: String..., with variables: [String: String] = [:]
    ) throws -> RunningJob {
        try job.start(arguments, environment: with(variables))
    }

    /// Runs bootstrap and adds organizations.
    func prepare(_ slugs: [String], with variables: [String: String] = [:]) async throws {
        _ = try await run(.bootstrap, with: variables).succeeded()
        try await add(slugs)
    }

    func add(_ slugs: [String], dataset: String = "", status: String = "ACTIVE") async throws {
        guard !slugs.isEmpty else { return }
        _ = try await warehouse().query(
            Statement(
                "add organizations",
                """
                INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, created_at)
                SELECT slug, 'Company', 'admin@acme.example', @dataset, @status, @instant
                FROM UNNEST(@slugs) AS slug
                """,
                parameters: [
                    "slugs": .strings(slugs), "dataset": .string(dataset), "status": .string(status),
                    "instant": .timestamp(Timestamp(startOf: CivilDate("2026-01-31")!)),
                ]))
    }

    func table(_ dataset: String, _ name: String) async throws -> Table? {
        guard let id = DatasetID(dataset), let reference = TableReference(id, name) else { return nil }
        return try await warehouse().table(reference)
    }

    /// The names of the tables of a dataset; `nil` if there is no such dataset.
    func tables(in dataset: String) async throws -> [String]? {
        guard let id = DatasetID(dataset), try await warehouse().dataset(id) != nil else { return nil }
        return try await warehouse().tables(in: id)
    }
}
