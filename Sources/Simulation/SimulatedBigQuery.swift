import EmbeddedWarehouse
import Foundation
import HTTPTransport
import JobRuntime
import SchemaKit
import Warehouse
import WarehouseKit

/// BigQuery's REST API v2 as far as the jobs use it, over an SQLite database in memory.
///
/// - A query is a job of its own: it goes on when its client is gone, and a repeated `requestId` leads to the same job.
/// - Tables have an ETag, and `tables.patch` compares it with `If-Match`.
/// - The statements run on SQLite, one after the other. Two things are not simulated here: conflicts of concurrent statements, and
///   `INFORMATION_SCHEMA` that lags. `scripts/explore.sh` is about the first.
/// - The bulk comparison of `org-sync-all` is answered from the tables' own definitions, and `CREATE TABLE` scripts from the catalog
///   that is in force, because SQLite has neither.
final class SimulatedBigQuery: @unchecked Sendable {
    static let project = "cloudact-testing-1"

    /// A query and its end, as soon as it has one.
    struct Job {
        var sql: String
        var parameters: [SQLValue.Field]
        var purpose: String
        var reply: Reply?
        /// Called when the job ends.
        var onEnd: [(Reply) -> Void] = []
    }

    struct Reply {
        var status = 200
        /// For errors: https://cloud.google.com/bigquery/docs/error-messages
        var reason: String?
        var members: [String: JSONValue] = [:]
    }

    let warehouse: EmbeddedWarehouse
    private var machine: SimulatedMachine { .shared }
    private var jobs: [String: Job] = [:]
    private var jobOfRequest: [String: String] = [:]
    private var jobCount = 0
    /// Changes the statements and replies of a planted bug.
    var bug: PlantedBug?
    /// The tables that `CREATE TABLE` may name.
    var catalog: Catalog
    /// The time that the next query takes.
    var delay = Duration.zero
    /// The next query fails in BigQuery, after it was accepted, for this reason.
    var failure: (reason: String, message: String)?
    /// Hears of each statement before it runs.
    var onStatement: (_ sql: String, _ process: SimulatedMachine.ProcessID) -> Void = { _, _ in }

    init(catalog: Catalog) throws {
        warehouse = try EmbeddedWarehouse(path: ":memory:")
        self.catalog = catalog
    }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        let url = URLComponents(string: request.url)
        let query = Dictionary((url?.queryItems ?? []).map { ($0.name, $0.value ?? "") }, uniquingKeysWith: { $1 })
        var path = (url?.path ?? "").split(separator: "/").map(String.init)
        guard path.starts(with: ["bigquery", "v2", "projects", Self.project]) else {
            return Self.response(.notFound("URL"))
        }
        path.removeFirst(4)
        let body = request.body.flatMap { RequestBody.members(of: $0) } ?? [:]
        do {
            switch (request.method, path.first, path.count) {
            case (.post, "queries", 1): return Self.response(try await start(body))
            case (.get, "queries", 2): return Self.response(await results(of: path[1], query))
            case (.get, "jobs", 2): return Self.response(resource(of: path[1]))
            case (.post, "jobs", 3):
                return Self.response(Reply(members: ["kind": .string("bigquery#jobCancelResponse")]))
            case (_, "datasets", _):
                return Self.response(try await metadata(request, Array(path.dropFirst()), body))
            default: return Self.response(.notFound("URL \(request.url)"))
            }
        } catch {
            return Self.response(Self.reply(to: error))
        }
    }

    // MARK: Queries

    private func start(_ body: [String: JSONValue]) async throws -> Reply {
        let request = body["requestId"]?.string ?? ""
        if let known = jobOfRequest[request] { return reply(of: known) }
        jobCount += 1
        let id = "job_\(jobCount)"
        jobOfRequest[request] = id
        let parameters = try (body["queryParameters"]?.array ?? []).map { try RESTValue.parameter($0) }
        let sql = body["query"]?.string ?? ""
        onStatement(sql, machine.process)
        jobs[id] = Job(sql: sql, parameters: parameters, purpose: "")
        if let failure {
            self.failure = nil
            jobs[id]?.reply = Reply(status: 200, reason: failure.reason, members: ["message": .string(failure.message)])
            return reply(of: id)
        }
        guard delay > .zero else {
            await run(id)
            return reply(of: id)
        }
        let delay = delay
        self.delay = .zero
        machine.act(as: 0) {
            machine.after(delay) { Task.detached { await self.run(id) } }
        }
        return reply(of: id)
    }

    private func run(_ id: String) async {
        guard let job = jobs[id] else { return }
        let reply: Reply
        do {
            reply = Reply(members: try await execute(job))
        } catch {
            reply = Self.reply(to: error)
        }
        jobs[id]?.reply = reply
        let waiting = jobs[id]?.onEnd ?? []
        jobs[id]?.onEnd = []
        for end in waiting { end(reply) }
        // A year has a million of them, and a repeated request comes within minutes.
        if jobCount % 5000 == 0 {
            jobs = jobs.filter { $0.value.reply == nil }
            jobOfRequest = jobOfRequest.filter { jobs[$0.value] != nil }
        }
    }

    private func reply(of id: String) -> Reply {
        let reference: [String: JSONValue] = [
            "jobReference": .object([
                "projectId": .string(Self.project), "jobId": .string(id), "location": .string("US"),
            ])
        ]
        guard let reply = jobs[id]?.reply else {
            return Reply(members: reference.merging(["jobComplete": .bool(false)]) { $1 })
        }
        if reply.reason != nil { return reply }
        return Reply(members: reply.members.merging(reference) { $1 }.merging(["jobComplete": .bool(true)]) { $1 })
    }

    /// Waits for the end of the job as long as the client asks for.
    private func results(of id: String, _ query: [String: String]) async -> Reply {
        guard let job = jobs[id] else { return .notFound("Job \(Self.project):US.\(id)") }
        if job.reply == nil {
            let limit = Duration.milliseconds(Int(query["timeoutMs"] ?? "") ?? 10_000)
            let process = machine.process
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                var isOver = false
                let resume = {
                    guard !isOver else { return }
                    isOver = true
                    self.machine.act(as: process) { continuation.resume() }
                }
                jobs[id]?.onEnd.append { _ in resume() }
                machine.after(limit) { resume() }
            }
        }
        return reply(of: id)
    }

    private func resource(of id: String) -> Reply {
        guard let job = jobs[id] else { return .notFound("Job \(Self.project):US.\(id)") }
        guard let reply = job.reply else {
            return Reply(members: ["status": .object(["state": .string("RUNNING")])])
        }
        var status: [String: JSONValue] = ["state": .string("DONE")]
        if let reason = reply.reason {
            status["errorResult"] = .object([
                "reason": .string(reason), "message": reply.members["message"] ?? .string(""),
            ])
        }
        var query: [String: JSONValue] = ["totalBytesBilled": .string("10485760")]
        for key in ["dmlStats", "numDmlAffectedRows"] { query[key] = reply.members[key] }
        return Reply(members: [
            "status": .object(JSONObject(status)),
            "statistics": .object(["query": .object(JSONObject(query))]),
        ])
    }

    private func execute(_ job: Job) async throws -> [String: JSONValue] {
        var (sql, parameters) = (job.sql, job.parameters)
        bug?.change(&sql, &parameters)
        var members: [String: JSONValue] = ["totalBytesBilled": .string("10485760"), "cacheHit": .bool(false)]
        if sql.contains("INFORMATION_SCHEMA.") {
            var rows = try await SurveyReply(self, sql, parameters).rows()
            bug?.change(surveyRows: &rows)
            members.merge(RESTValue.table(rows)) { $1 }
        } else if sql.hasPrefix("CREATE TABLE") {
            try await createTables(of: sql)
        } else if sql.hasPrefix("MERGE") {
            let merge = try MergeText(sql, parameters).statement
            let result = try await machine.outside { try await warehouse.merge(merge) }
            members["numDmlAffectedRows"] = .string("\(result.inserted + result.updated)")
            members["dmlStats"] = .object([
                "insertedRowCount": .string("\(result.inserted)"), "updatedRowCount": .string("\(result.updated)"),
                "deletedRowCount": .string("0"),
            ])
            members["schema"] = .object([:])
        } else {
            var statement = Statement("run a query", sql)
            statement.parameters = parameters
            let result = try await machine.outside { try await warehouse.query(statement) }
            if let affected = result.affectedRows {
                members["numDmlAffectedRows"] = .string("\(affected)")
                members["schema"] = .object([:])
            } else {
                members.merge(RESTValue.table(result.rows)) { $1 }
            }
        }
        for statement in bug?.additions(to: job.sql, parameters) ?? [] {
            _ = try await machine.outside { try await warehouse.query(statement) }
        }
        return members
    }

    /// The names come from the script and the definitions from the catalog.
    private func createTables(of script: String) async throws {
        let start = "CREATE TABLE IF NOT EXISTS `"
        for line in script.split(separator: "\n") where line.hasPrefix(start) {
            let name = line.dropFirst(start.count).prefix { $0 != "`" }.split(separator: ".").map(String.init)
            guard name.count == 2, let dataset = DatasetID(name[0]), let reference = TableReference(dataset, name[1]),
                let table = catalog.table(reference)
            else { throw WarehouseError(.invalid, operation: "create", message: "no table \(name) in the catalog") }
            _ = try await machine.outside { try await warehouse.createTable(reference, table) }
        }
    }

    // MARK: Datasets and tables

    private func metadata(_ request: HTTPRequest, _ path: [String], _ body: [String: JSONValue]) async throws -> Reply {
        if path.isEmpty {
            guard request.method == .post else { return .notFound("list of datasets") }
            let name = body["datasetReference"]?.object?["datasetId"]?.string ?? ""
            guard let id = DatasetID(name) else { return Reply(status: 400, reason: "invalid") }
            let dataset = Dataset(
                id: id, location: body["location"]?.string ?? "US", description: body["description"]?.string,
                labels: (body["labels"]?.object ?? [:]).compactMapValues(\.string))
            let isNew = try await machine.outside { try await warehouse.createDataset(dataset) }
            guard isNew else { return .alreadyExists("Dataset \(Self.project):\(name)") }
            return Reply(members: body)
        }
        guard let id = DatasetID(path[0]), let dataset = try await machine.outside({ try await warehouse.dataset(id) })
        else { return .notFound("Dataset \(Self.project):\(path[0])") }
        switch (request.method, path.count) {
        case (.get, 1):
            return Reply(
                members: [
                    "datasetReference": .object(["projectId": .string(Self.project), "datasetId": .string(path[0])]),
                    "location": .string(dataset.location),
                    "labels": .object(JSONObject(dataset.labels.mapValues { .string($0) })),
                ].merging(dataset.description.map { ["description": .string($0)] } ?? [:]) { $1 })
        case (.get, 2):
            let names = try await machine.outside { try await warehouse.tables(in: id) }
            return Reply(members: [
                "tables": .array(
                    names.map {
                        .object(["tableReference": .object(["tableId": .string($0)]), "type": .string("TABLE")])
                    })
            ])
        case (.post, 2):
            let name = body["tableReference"]?.object?["tableId"]?.string ?? ""
            guard let reference = TableReference(id, name), let data = request.body else {
                return Reply(status: 400, reason: "invalid")
            }
            let table = try JSONDecoder().decode(Table.self, from: data)
            let isNew = try await machine.outside { try await warehouse.createTable(reference, table) }
            guard isNew else { return .alreadyExists("Table \(Self.project):\(id).\(name)") }
            return Reply(members: body)
        default: return try await table(request, id, path, body)
        }
    }

    private func table(
        _ request: HTTPRequest, _ dataset: DatasetID, _ path: [String], _ body: [String: JSONValue]
    ) async throws -> Reply {
        guard path.count == 3, let reference = TableReference(dataset, path[2]),
            let table = try await machine.outside({ try await warehouse.table(reference) })
        else { return .notFound("Table \(Self.project):\(path.joined(separator: "."))") }
        switch request.method {
        case .get:
            var members = JSONValue.members(of: try JSONEncoder().encode(table)) ?? [:]
            members["location"] = .string("US")
            members["type"] = .string("TABLE")
            return Reply(members: members)
        case .patch:
            guard let etag = request.headers["If-Match"], etag == table.etag else {
                return Reply(
                    status: 412, reason: "conditionNotMet", members: ["message": .string("Precondition check failed.")])
            }
            guard body.keys.allSatisfy({ $0 == "schema" }), let data = request.body else {
                return Reply(status: 501, reason: "notImplemented")
            }
            let fields = try JSONDecoder().decode(Table.self, from: data).schema.fields
            try await machine.outside { try await warehouse.updateSchema(of: reference, to: fields, ifMatch: etag) }
            return Reply(members: body)
        default: return .notFound("URL")
        }
    }

    // MARK: Replies

    private static func reply(to error: any Error) -> Reply {
        guard let error = error as? WarehouseError else {
            return Reply(status: 500, reason: "internalError", members: ["message": .string("\(error)")])
        }
        let (status, reason) =
            switch error.code {
            case .notFound: (404, "notFound")
            case .alreadyExists: (409, "duplicate")
            case .preconditionFailed: (412, "conditionNotMet")
            default: (400, "invalidQuery")
            }
        return Reply(status: status, reason: reason, members: ["message": .string(error.message)])
    }

    static func response(_ reply: Reply) -> HTTPResponse {
        guard let reason = reply.reason else { return json(JSONValue.object(JSONObject(reply.members))) }
        let message = reply.members["message"] ?? .string(reason)
        let status = reply.status == 200 ? 400 : reply.status
        return json(
            .object([
                "error": .object([
                    "code": .integer(status), "message": message,
                    "errors": .array([
                        .object(["reason": .string(reason), "message": message, "domain": .string("global")])
                    ]),
                ])
            ]), status: status)
    }

    static func json(_ value: JSONValue, status: Int = 200) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: ["Content-Type": "application/json; charset=UTF-8"],
            body: Data(value.description.utf8))
    }
}

extension SimulatedBigQuery.Reply {
    static func notFound(_ what: String) -> Self {
        Self(status: 404, reason: "notFound", members: ["message": .string("Not found: \(what)")])
    }

    static func alreadyExists(_ what: String) -> Self {
        Self(status: 409, reason: "duplicate", members: ["message": .string("Already Exists: \(what)")])
    }
}

extension Catalog {
    /// The definition that the table should have.
    func table(_ reference: TableReference) -> Table? {
        let group: Group =
            switch reference.dataset {
            case .organizations: .organizations
            case .schedulerJobs: .operations
            default: .organization
            }
        return tables(group).first { $0.name == reference.table }?.table
    }
}
