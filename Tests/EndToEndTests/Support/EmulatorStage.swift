import BigQueryWarehouse
import Foundation
import HTTPTransport
import JobRuntime
import Logging
import QuotaKit
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

/// A project of its own on a BigQuery emulator.
struct EmulatorStage: Stage {
    let emulator: EmulatorProcess
    let project: String

    init(_ emulator: EmulatorProcess, project: String = EmulatorStage.newProject()) {
        self.emulator = emulator
        self.project = project
    }

    static func newProject() -> String { "e2e-" + UUID().uuidString.lowercased().prefix(23) }

    /// On one of the emulators that all tests share.
    static var shared: EmulatorStage {
        get async throws {
            let project = newProject()
            return EmulatorStage(try await .shared(by: project), project: project)
        }
    }

    func delayRequests(milliseconds: Int) async throws {
        try await emulator.delay(project, milliseconds: milliseconds)
    }

    var environment: [String: String] {
        ["GCP_PROJECT_ID": project, "BIGQUERY_EMULATOR_HOST": emulator.url, "ENVIRONMENT": "test"]
    }

    func warehouse() throws -> any Warehouse {
        guard let id = ProjectID(project) else { throw CocoaError(.formatting) }
        return BigQueryWarehouse(
            project: id, location: "US", baseURL: emulator.url, transport: CurlTransport(), credentials: nil,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func progress() async throws -> Int { try await requests().total }

    func requests() async throws -> EmulatorRequestCounts { try await emulator.requestCounts(project: project) }

    static let queriesRoute = "POST /projects/*/queries"

    /// The number of queries so far.
    func queries() async throws -> Int { try await requests().routes[Self.queriesRoute] ?? 0 }

    /// Runs a job and counts its requests.
    func counting(_ job: JobExecutable, _ arguments: String..., with variables: [String: String] = [:]) async throws
        -> (outcome: JobOutcome, requests: EmulatorRequestCounts)
    {
        try await emulator.resetRequestCounts(project: project)
        let outcome = try await job.run(arguments, environment: with(variables))
        return (outcome, try await requests())
    }

    func state() async throws -> [String] {
        var lines: [String] = []
        for dataset in try await names("/datasets", list: "datasets", reference: "datasetReference", id: "datasetId") {
            lines.append(try await line("/datasets/\(dataset)"))
            let tables = try await names(
                "/datasets/\(dataset)/tables", list: "tables", reference: "tableReference", id: "tableId")
            for table in tables { lines.append(try await line("/datasets/\(dataset)/tables/\(table)")) }
        }
        return lines
    }

    private func names(_ path: String, list: String, reference: String, id: String) async throws -> [String] {
        guard case .object(let page) = try await resource(path + "?maxResults=10000"), page["nextPageToken"] == nil
        else {
            throw CocoaError(.coderReadCorrupt)
        }
        guard case .array(let items) = page[list] ?? .array([]) else { return [] }
        return items.compactMap { item in
            guard case .object(let members) = item, case .object(let names) = members[reference],
                case .string(let name) = names[id]
            else { return nil }
            return name
        }.sorted()
    }

    /// The resource without the parts that differ each time: versions, times and the project's name.
    private func line(_ path: String) async throws -> String {
        guard var members = try await resource(path).object else { throw CocoaError(.coderReadCorrupt) }
        for name in [
            "etag", "id", "selfLink", "creationTime", "lastModifiedTime", "datasetReference", "tableReference",
        ] {
            members[name] = nil
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return "\(path) " + String(decoding: try encoder.encode(members), as: UTF8.self)
    }

    private func resource(_ path: String) async throws -> JSONValue {
        try JSONDecoder().decode(
            JSONValue.self, from: await emulator.resource("/projects/\(project)\(path)"))
    }
}
