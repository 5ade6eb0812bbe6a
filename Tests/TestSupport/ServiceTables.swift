import Foundation
package import JobRuntime
package import SchemaKit
package import Warehouse
import WarehouseKit

extension SchemaWarehouse {
    /// Creates the service's own datasets with all of their tables, and returns the warehouse.
    ///
    /// ```swift
    /// let warehouse = try await EmbeddedWarehouse(path: ":memory:").bootstrapped()
    /// ```
    /// - Parameter catalog: Other tables than the built-in ones.
    @discardableResult
    package func bootstrapped(_ catalog: Catalog? = nil) async throws -> Self {
        try await Bootstrap(
            warehouse: self, catalog: try catalog ?? Catalog.embedded([.organizations, .operations]),
            environment: .test, report: ReportFixture().report
        ).create()
        return self
    }
}

extension SQLWarehouse {
    /// Inserts rows of which a test names only the columns that matter to it.
    ///
    /// ```swift
    /// try await warehouse.insert(into: "organizations.org_usage_quotas", [
    ///     ["org_slug": "acme", "usage_date": "2026-01-31", "pipelines_failed_today": 2],
    ///     ["org_slug": "globex", "usage_date": "2026-01-31"],
    /// ])
    /// ```
    ///
    /// The catalog supplies the rest: a REQUIRED column that is not named gets its own name as a text, 0, `false`, or
    /// ``ServiceTables/longAgo``; every other one is NULL. A text in a TIMESTAMP, DATE or JSON column becomes a value of that type.
    /// - Parameter catalog: The catalog that the tables were created from, unless it is the built-in one.
    package func insert(
        into table: String, _ rows: [[String: SQLValue]], catalog: Catalog? = nil
    ) async throws {
        guard !rows.isEmpty else { return }
        let fields = try ServiceTables.fields(of: table, in: catalog)
        let columns = try ServiceTables.columns(of: rows, fields)
        let structures = try rows.map { row in
            SQLValue.structure(
                try columns.map { SQLValue.Field($0.name, try ServiceTables.value(of: $0, in: row)) })
        }
        let names = columns.map { "`\($0.name)`" }.joined(separator: ", ")
        let values = columns.map { "r.`\($0.name)`" }.joined(separator: ", ")
        _ = try await query(
            Statement(
                "insert the rows of a test",
                "INSERT INTO `\(table)` (\(names)) SELECT \(values) FROM UNNEST(@rows) AS r",
                parameters: ["rows": .array(of: structures[0].type, structures)]))
    }

    /// All rows of a table.
    package func rows(of table: String, orderedBy column: String? = nil) async throws -> [Row] {
        let order = column.map { " ORDER BY `\($0)`" } ?? ""
        return try await query(Statement("read the rows of a test", "SELECT * FROM `\(table)`\(order)")).rows
    }

    /// Runs a statement of a test, for what ``insert(into:_:)`` cannot do.
    @discardableResult
    package func run(
        _ sql: String, _ parameters: KeyValuePairs<String, SQLValue> = [:]
    ) async throws -> QueryResult {
        try await query(Statement("prepare a test", sql, parameters: parameters))
    }
}

/// The tables of the catalog, for tests that put rows into them.
package enum ServiceTables {
    /// The time in required columns that a test does not name.
    package static let longAgo = Timestamp("2023-05-01T10:00:00Z")!

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static let builtIn = Result { try Catalog.embedded(Catalog.Group.allCases) }

    /// The tables of a dataset. A dataset that is not the service's own is an organization's.
    private static func group(of dataset: String) -> Catalog.Group {
        switch dataset {
        case DatasetID.organizations.name: .organizations
        case DatasetID.schedulerJobs.name: .operations
        default: .organization
        }
    }

    fileprivate static func fields(of table: String, in catalog: Catalog?) throws -> [FieldSchema] {
        let parts = table.split(separator: ".").map(String.init)
        let catalog = try catalog ?? builtIn.get()
        guard parts.count == 2,
            let named = catalog.tables(group(of: parts[0])).first(where: { $0.name == parts[1] })
        else { throw Failure(description: "the catalog has no table \(table)") }
        return named.table.schema.fields
    }

    /// The columns that any row names, and the required ones.
    fileprivate static func columns(of rows: [[String: SQLValue]], _ fields: [FieldSchema]) throws -> [FieldSchema] {
        let named = rows.reduce(into: Set<String>()) { $0.formUnion($1.keys) }
        let unknown = named.subtracting(fields.map(\.name)).sorted()
        guard unknown.isEmpty else { throw Failure(description: "no such column: \(unknown.joined(separator: ", "))") }
        return fields.filter { named.contains($0.name) || $0.mode == .required }
    }

    fileprivate static func value(of field: FieldSchema, in row: [String: SQLValue]) throws -> SQLValue {
        let type = SQLType(scalarName: field.type)
        guard let value = row[field.name] else {
            guard let type, field.mode != .repeated else {
                throw Failure(description: "\(field.name) must be named in every row")
            }
            return field.mode == .required ? plausible(type, field.name) : .null(type)
        }
        guard case .string(let text) = value else { return value }
        switch type {
        case .timestamp: return try Timestamp(text).map { .timestamp($0) } ?? refuse(text, field.name)
        case .date: return try CivilDate(text).map { .date($0) } ?? refuse(text, field.name)
        case .json: return .json(text)
        default: return value
        }
    }

    private static func refuse(_ text: String, _ column: String) throws -> SQLValue {
        throw Failure(description: "\(text) is no value for \(column)")
    }

    private static func plausible(_ type: SQLType, _ column: String) -> SQLValue {
        switch type {
        case .string: .string(column)
        case .int64: .int64(0)
        case .float64: .float64(0)
        case .numeric: .numeric("0")
        case .bool: .bool(false)
        case .timestamp: .timestamp(longAgo)
        case .date: .date(longAgo.date)
        case .json: .json("{}")
        default: .null(type)
        }
    }
}

extension SQLValue: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .int64(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }

    /// The number, or NULL.
    package static func optional(_ number: Int64?) -> SQLValue { number.map { .int64($0) } ?? .null(.int64) }
}

extension SQLAnalyzer {
    /// An analyzer that knows all tables of the catalog.
    ///
    /// ```swift
    /// let problems = try await SQLAnalyzer.ofServiceTables().problems(in: [
    ///     Statement("count the rows", "SELECT COUNT(*) AS n FROM `organizations.org_profiles`").forAnalysis()
    /// ])
    /// #expect(problems == [])
    /// ```
    ///
    /// - Parameters:
    ///   - catalog: The catalog to use instead of the built-in one.
    ///   - organization: The dataset that has an organization's tables.
    package static func ofServiceTables(
        _ catalog: Catalog? = nil, organization: DatasetID = DatasetID("acme_test")!
    ) throws -> SQLAnalyzer {
        let catalog = try catalog ?? Catalog.embedded(Catalog.Group.allCases)
        let datasets: [(Catalog.Group, DatasetID)] = [
            (.organizations, .organizations), (.operations, .schedulerJobs), (.organization, organization),
        ]
        return SQLAnalyzer(
            tables: try datasets.flatMap { group, dataset in
                try catalog.tables(group).map {
                    try Table(dataset: dataset.name, name: $0.name, resource: try JSONEncoder().encode($0.table))
                }
            })
    }
}

extension Statement {
    /// The statement for the analyzer, with the types of its own parameters.
    /// - Parameter name: The name in a problem; the statement's purpose by default.
    package func forAnalysis(named name: String? = nil) -> SQLAnalyzer.Statement {
        SQLAnalyzer.Statement(
            name: name ?? purpose, sql: sql,
            parameters: Dictionary(
                parameters.map { ($0.name, $0.value.type.text) }, uniquingKeysWith: { first, _ in first }))
    }
}

/// A moment of a test, in RFC 3339.
package func instant(_ text: String) -> Timestamp { Timestamp(text)! }
