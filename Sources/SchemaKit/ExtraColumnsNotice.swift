import JobRuntime
import Warehouse
import WarehouseKit

/// Reports columns that tables have and no catalog has: of a customer, or of an older catalog. The history says who added them.
///
/// A run that finds no such column sends no request.
struct ExtraColumnsNotice {
    let sql: any SQLWarehouse
    let differences: DifferenceLog

    private static let mostNamed = 5

    /// - Parameter tables: The catalog, with the names of the counters that the warehouse has.
    func add(_ found: [SchemaSurvey.ExtraColumns], besides tables: [NamedTable]) async throws {
        let known = Dictionary(
            tables.map { ($0.name, Set($0.table.schema.fields.map { $0.name.lowercased() })) },
            uniquingKeysWith: { first, _ in first })
        let extras = found.compactMap { extra -> SchemaSurvey.ExtraColumns? in
            var extra = extra
            extra.columns = extra.columns.filter { known[extra.table]?.contains($0.lowercased()) != true }
            return extra.columns.isEmpty ? nil : extra
        }
        guard !extras.isEmpty else { return }
        let origin = try await origins(of: extras)
        for extra in extras {
            let names = extra.columns.sorted()
            let more = names.count > Self.mostNamed ? ", \(names.count - Self.mostNamed) more" : ""
            differences.add(
                SchemaDifference(
                    .extraColumns, names.prefix(Self.mostNamed).joined(separator: ", ") + more, expected: "none",
                    actual: origin(extra.table)),
                of: extra.table, in: extra.members.map(\.dataset), count: extra.count)
        }
    }

    /// Who added the columns of a table, as text.
    private func origins(
        of extras: [SchemaSurvey.ExtraColumns]
    ) async throws -> (_ table: String) -> String {
        let rows: [Row]
        do {
            rows = try await sql.query(Self.query(extras)).rows
        } catch let error as WarehouseError where !error.endsRun {
            return { _ in "\(SchemaHistory.table) could not be read: \(error.code)" }
        }
        var texts: [String: String] = [:]
        for row in rows {
            let execution = try row.optionalString("execution").map { "execution \($0)" } ?? "\(try row.string("job"))"
            let day = try row.timestamp("applied_at").date
            let count = try row.int64("executions")
            texts[try row.string("table_name")] =
                count > 1
                ? "added by \(count) executions, last by \(execution) on \(day)" : "added by \(execution) on \(day)"
        }
        return { texts[$0] ?? "\(SchemaHistory.table) has no row that added them" }
    }

    static func query(_ extras: [SchemaSurvey.ExtraColumns]) -> Statement {
        let names = extras.flatMap { extra in extra.columns.map { "\(extra.table).\($0.lowercased())" } }
        return Statement("find who added the columns", querySQL, parameters: ["columns": .strings(names.sorted())])
    }

    static let querySQL = """
        WITH
          additions AS (
            SELECT table_name, job, execution, applied_at, change_id, IFNULL(execution, job) AS origin
            FROM \(SchemaHistory.table.sql)
            WHERE
              change = 'add column' AND failure IS NULL AND table_name || '.' || LOWER(column_name) IN UNNEST(@columns)),
          counts AS (SELECT table_name, COUNT(DISTINCT origin) AS executions FROM additions GROUP BY table_name),
          placed AS (
            SELECT
              table_name, job, execution, applied_at,
              ROW_NUMBER() OVER (PARTITION BY table_name ORDER BY applied_at DESC, change_id) AS place
            FROM additions)
        SELECT p.table_name, p.job, p.execution, p.applied_at, c.executions
        FROM placed AS p
        JOIN counts AS c ON c.table_name = p.table_name
        WHERE p.place = 1
        """
}
