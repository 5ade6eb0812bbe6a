import JobRuntime
import SchemaKit
import Warehouse
import WarehouseKit

/// The tables and columns of every active organization's dataset and of the service's own two datasets, against the files of
/// the catalog.
///
/// `INFORMATION_SCHEMA` has no past: it is read as it is now, and it lags. So before a table is named as incomplete, the table
/// itself is read. Only ``mostTables`` tables are; if more seem incomplete and none of these is, the invariant counts as not
/// read.
struct SchemaInspection: Sendable {
    static let service = Invariant(
        "service-schema", command: "./scripts/run-job.sh ENVIRONMENT bootstrap-sync -- --dry-run")
    static let organizations = Invariant(
        "organization-schema", command: "./scripts/run-job.sh ENVIRONMENT org-sync-all -- --dry-run")

    /// The tables of an invariant that are read one by one.
    static let mostTables = 20

    let catalog: Catalog
    let columns: QuotaColumns
    let environment: DeploymentEnvironment
    let location: String

    func inspection(of sql: any SQLWarehouse, _ schema: any SchemaWarehouse) -> Inspection {
        var inspection = statement().inspection(of: sql)
        inspection.confirm = { sight in try await confirmed(sight, by: schema) }
        return inspection
    }

    func statement() -> InspectionStatement {
        InspectionStatement(
            purpose: "check the tables and columns against the catalog",
            invariants: [Self.service, Self.organizations],
            tables: tables, findings: [finding],
            read: [
                Self.service.name: "(SELECT subject FROM datasets WHERE place != 'organization') AS service",
                Self.organizations.name: "(SELECT subject FROM datasets WHERE place = 'organization') AS tenants",
            ],
            parameters: { _ in
                [
                    SQLValue.Field("environment", .string(environment.rawValue)),
                    SQLValue.Field("columns", .array(of: wanted[0].type, wanted)),
                ]
            })
    }

    /// A column that the table of the counters may have under another name.
    private var otherNames: [String: String] {
        guard !columns.isChosen else { return [:] }
        let (own, other) = (QuotaColumns.standard.names, QuotaColumns.predecessor.names)
        return Dictionary(uniqueKeysWithValues: zip(other, own))
    }

    private func fields(of table: NamedTable, in group: Catalog.Group) -> [FieldSchema] {
        guard group == .organizations, table.name == QuotaColumns.table.table, columns.isChosen else {
            return table.table.schema.fields
        }
        let chosen = Dictionary(uniqueKeysWithValues: zip(QuotaColumns.standard.names, columns.names))
        return table.table.schema.fields.map { field in
            var field = field
            field.name = chosen[field.name] ?? field.name
            return field
        }
    }

    private var wanted: [SQLValue] {
        Catalog.Group.allCases.flatMap { group in
            catalog.tables(group).flatMap { table in
                fields(of: table, in: group).map { field in
                    .structure([
                        SQLValue.Field("place", .string(group.rawValue)),
                        SQLValue.Field("table_name", .string(table.name)),
                        SQLValue.Field("column_name", .string(field.name.lowercased())),
                        SQLValue.Field("data_type", .string(Self.type(of: field))),
                    ])
                }
            }
        }
    }

    /// The type without lengths, precisions and inner fields.
    private static func type(of field: FieldSchema) -> String {
        field.mode == .repeated ? "ARRAY<\(field.canonicalType)" : field.canonicalType
    }

    private var tables: String {
        let aliases = otherNames.sorted { $0.key < $1.key }.map { "WHEN '\($0.key)' THEN '\($0.value)'" }
        let name =
            aliases.isEmpty
            ? "LOWER(c.column_name)"
            : "CASE LOWER(c.column_name) \(aliases.joined(separator: " ")) ELSE LOWER(c.column_name) END"
        return """
            profiles AS (
              SELECT org_slug, MIN(NULLIF(TRIM(IFNULL(org_dataset_id, '')), '')) AS named
              FROM `organizations.org_profiles` \(InspectionStatement.asOf)
              WHERE status = 'ACTIVE'
              GROUP BY org_slug),
            datasets AS (
              SELECT
                'organization' AS place, org_slug AS subject,
                IF(
                  named IS NULL OR REGEXP_CONTAINS(named, '[^A-Za-z0-9_]'), org_slug || '_' || @environment, named) AS dataset
              FROM profiles
              UNION ALL SELECT 'organizations', 'organizations', '\(DatasetID.organizations)'
              UNION ALL SELECT 'operations', 'scheduler_jobs', '\(DatasetID.schedulerJobs)'),
            wanted AS (SELECT w.place, w.table_name, w.column_name, w.data_type FROM UNNEST(@columns) AS w),
            wanted_tables AS (SELECT place, table_name, COUNT(*) AS columns FROM wanted GROUP BY place, table_name),
            shown AS (
              SELECT c.table_schema AS dataset, w.place, w.table_name, COUNT(DISTINCT w.column_name) AS columns
              FROM `region-\(location.lowercased())`.INFORMATION_SCHEMA.COLUMNS AS c
              JOIN wanted AS w
              ON w.table_name = c.table_name AND w.column_name = \(name)
                AND (c.data_type = w.data_type OR c.data_type LIKE w.data_type || '(%'
                  OR c.data_type LIKE w.data_type || '<%' OR c.data_type LIKE w.data_type || '>%')
              GROUP BY c.table_schema, w.place, w.table_name)
            """
    }

    private var finding: String {
        """
        SELECT
          IF(d.place = 'organization', '\(Self.organizations.name)', '\(Self.service.name)') AS invariant,
          d.dataset || '.' || t.table_name AS subject,
          'has ' || CAST(IFNULL(s.columns, 0) AS STRING) || ' of ' || CAST(t.columns AS STRING) || ' columns' AS detail,
          t.columns - IFNULL(s.columns, 0) AS weight
        FROM datasets AS d
        JOIN wanted_tables AS t ON t.place = d.place
        LEFT JOIN shown AS s ON s.dataset = d.dataset AND s.place = d.place AND s.table_name = t.table_name
        WHERE IFNULL(s.columns, 0) < t.columns
        """
    }

    /// Reads the first tables themselves.
    private func confirmed(_ sight: Sight, by schema: any SchemaWarehouse) async throws -> Sight {
        var confirmed = sight
        confirmed.findings = []
        confirmed.counts = [:]
        for invariant in [Self.service, Self.organizations] {
            let found = sight.findings.filter { $0.invariant == invariant.name }
            let (looked, left) = (found.prefix(Self.mostTables), (sight.counts[invariant.name] ?? 0) - Self.mostTables)
            for finding in looked where try await lacks(finding, in: schema) { confirmed.add(finding) }
            guard left > 0 else { continue }
            if confirmed.counts[invariant.name] == nil { confirmed.rowsRead[invariant.name] = nil }
            confirmed.counts[invariant.name, default: 0] += left
        }
        return confirmed
    }

    private func lacks(_ finding: Finding, in schema: any SchemaWarehouse) async throws -> Bool {
        let parts = finding.subject.split(separator: ".").map(String.init)
        guard parts.count == 2, let dataset = DatasetID(parts[0]), let reference = TableReference(dataset, parts[1]),
            let table = try await schema.table(reference)
        else { return true }
        let group: Catalog.Group =
            switch dataset {
            case .organizations: .organizations
            case .schedulerJobs: .operations
            default: .organization
            }
        guard let named = catalog.tables(group).first(where: { $0.name == reference.table }) else { return true }
        let present = Set(
            table.schema.fields.map { field in
                let name = field.name.lowercased()
                return "\(otherNames[name] ?? name) \(Self.type(of: field))"
            })
        return !fields(of: named, in: group).allSatisfy {
            present.contains("\($0.name.lowercased()) \(Self.type(of: $0))")
        }
    }
}
