import EmbeddedWarehouse
import Foundation
import HTTPTransport
import JobRuntime
import Warehouse
import WarehouseKit

/// BigQuery's answer to the bulk comparison: what its statement over `INFORMATION_SCHEMA` returns, from the tables' definitions.
struct SurveyReply {
    struct Unreadable: Error {
        let reason: String
    }

    private let server: SimulatedBigQuery
    private let sql: String
    private let parameters: [SQLValue.Field]
    private static let unit = "\u{1F}"
    private static let record = "\u{1E}"
    private static let group = "\u{1D}"

    init(_ server: SimulatedBigQuery, _ sql: String, _ parameters: [SQLValue.Field]) {
        self.server = server
        self.sql = sql
        self.parameters = parameters
    }

    /// The world has no columns beyond the catalog's.
    private static let noExtras = [
        SQLValue.Field("extra_datasets", .int64(0)), SQLValue.Field("extra_columns", .null(.string)),
        SQLValue.Field("extra_members", .null(.string)),
    ]

    func rows() async throws -> [Row] {
        let (wanted, known) = try expectedTables()
        var groups: [(table: String, shape: String?, members: [String])] = []
        func add(_ table: String, _ shape: String?, _ member: String) {
            if let index = groups.firstIndex(where: { $0.table == table && $0.shape == shape }) {
                groups[index].members.append(member)
            } else {
                groups.append((table, shape, [member]))
            }
        }
        for (subject, name) in try await targets() {
            let member = "\(subject)=\(name)"
            guard let dataset = DatasetID(name), try await exists(dataset) else {
                // A dataset's own views are missing with it. Those of a region leave it out.
                guard sql.contains("`region-") else {
                    throw WarehouseError(
                        .notFound, operation: "compare",
                        message: "Not found: Dataset \(SimulatedBigQuery.project):\(name) was not found in location US")
                }
                add("", nil, member)
                continue
            }
            add("", "", member)
            for table in wanted {
                add(table, try await definition(dataset, table).map(Self.shape), member)
            }
        }
        var rows = groups.map { group in
            Row(
                [
                    SQLValue.Field("table_name", .string(group.table)),
                    SQLValue.Field("shape", group.shape.map { .string($0) } ?? .null(.string)),
                    SQLValue.Field("shape_key", group.shape.map { .string("\($0.utf8.count)") } ?? .null(.string)),
                    SQLValue.Field("datasets", .int64(Int64(group.members.count))),
                    SQLValue.Field("members", .string(group.members.sorted().joined(separator: ","))),
                ] + Self.noExtras)
        }
        if let known, let dataset = text("known_dataset").flatMap({ DatasetID($0) }) {
            let isThere = try await definition(dataset, known) != nil
            rows.append(
                Row(
                    [
                        SQLValue.Field("table_name", .string(known)),
                        SQLValue.Field("shape", isThere ? .string("") : .null(.string)),
                        SQLValue.Field("shape_key", .null(.string)), SQLValue.Field("datasets", .int64(1)),
                        SQLValue.Field("members", .string("=\(dataset)")),
                    ] + Self.noExtras))
        }
        return rows
    }

    private func text(_ name: String) -> String? {
        guard case .string(let text)? = parameters.first(where: { $0.name == name })?.value, !text.isEmpty else {
            return nil
        }
        return text
    }

    /// The names in the parameter `tables`: those to compare, and the one that certainly exists.
    private func expectedTables() throws -> (wanted: [String], known: String?) {
        guard case .array(_, let tables)? = parameters.first(where: { $0.name == "tables" })?.value else {
            throw Unreadable(reason: "the comparison names no tables")
        }
        var (wanted, known): ([String], String?) = ([], nil)
        for table in tables {
            guard case .structure(let fields) = table, case .string(let name)? = fields.first?.value else { continue }
            if fields.contains(where: { $0.name == "is_known" && $0.value == .bool(true) }) {
                known = name
            } else if !name.isEmpty {
                wanted.append(name)
            }
        }
        return (wanted, known)
    }

    /// The datasets are a parameter, or the rows of a SELECT within the statement.
    private func targets() async throws -> [(subject: String, dataset: String)] {
        guard let from = sql.range(of: "SELECT subject, dataset FROM ("),
            let to = sql.range(of: ") AS asked WHERE ABS(")
        else {
            throw Unreadable(reason: "the comparison has no targets")
        }
        var statement = Statement("list the targets", String(sql[from.upperBound..<to.lowerBound]))
        statement.parameters = parameters
        let asked = statement
        return try await SimulatedMachine.shared.outside { try await server.warehouse.query(asked) }.rows
            .map { (subject: try $0.string("subject"), dataset: try $0.string("dataset")) }
            .sorted { $0.subject < $1.subject }
    }

    private func exists(_ dataset: DatasetID) async throws -> Bool {
        try await SimulatedMachine.shared.outside { try await server.warehouse.dataset(dataset) } != nil
    }

    private func definition(_ dataset: DatasetID, _ table: String) async throws -> Table? {
        guard let reference = TableReference(dataset, table) else { return nil }
        return try await SimulatedMachine.shared.outside { try await server.warehouse.table(reference) }
    }

    /// The text by which the statement describes a table.
    private static func shape(of table: Table) -> String {
        let fields = table.schema.fields
        let clustering = table.clustering?.fields ?? []
        let partitioning = table.timePartitioning?.field ?? table.rangePartitioning?.field
        let columns = fields.map { field in
            let position = clustering.firstIndex(of: field.name).map { "\($0 + 1)" } ?? ""
            return [
                field.name, field.sqlType, field.mode == .nullable ? "YES" : "NO",
                field.name == partitioning ? "YES" : "NO", position, field.defaultValueExpression ?? "NULL",
            ].joined(separator: unit)
        }
        let paths = fields.map {
            [
                $0.name, $0.description ?? "", $0.collation ?? "NULL", $0.roundingMode ?? "",
                $0.policyTags.joined(separator: ","),
            ]
            .joined(separator: unit)
        }
        var options: [String] = []
        if let description = table.description { options.append("description\(unit)\(TableDDL.literal(description))") }
        if let labels = table.labels {
            let pairs = labels.sorted { $0.key < $1.key }.map {
                "STRUCT(\(TableDDL.literal($0.key)), \(TableDDL.literal($0.value)))"
            }
            options.append("labels\(unit)[\(pairs.joined(separator: ", "))]")
        }
        if let expiration = table.timePartitioning?.expirationMs.flatMap({ Double($0) }) {
            options.append("partition_expiration_days\(unit)\(expiration / 86_400_000)")
        }
        if table.requirePartitionFilter == true { options.append("require_partition_filter\(unit)true") }
        return [
            "BASE TABLE", columns.joined(separator: record), paths.joined(separator: record),
            options.joined(separator: record), clause(of: table), table.attributes["defaultCollation"]?.string ?? "",
            "",
        ].joined(separator: group)
    }

    private static func clause(of table: Table) -> String {
        guard let time = table.timePartitioning else { return "" }
        let type = table.schema.fields.first { $0.name == time.field }?.canonicalType
        let name = time.field ?? "_PARTITIONTIME"
        if time.type == "DAY" { return "PARTITION BY " + (type == "DATE" ? name : "DATE(\(name))") }
        let function = type == "DATE" ? "DATE_TRUNC" : "TIMESTAMP_TRUNC"
        return "PARTITION BY \(function)(\(name), \(time.type))"
    }
}
