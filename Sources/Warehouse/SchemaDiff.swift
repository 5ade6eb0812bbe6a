/// The differences between a table of the catalog and the actual table, and the schema that adds what is missing.
///
/// ```swift
/// let diff = SchemaDiff(expected: wanted, actual: table)
/// if !diff.additions.isEmpty {
///     try await warehouse.updateSchema(of: reference, to: diff.merged, ifMatch: etag)
/// }
/// ```
///
/// Invariants:
/// - `merged` has every field of the actual table, unchanged and in the same order. New fields follow them at each level, so
///   applying `merged` loses nothing.
/// - After `merged` was applied, a new comparison has no additions.
/// - Fields match by name without case. Fields that only the table has do not count as a difference.
package struct SchemaDiff: Hashable, Sendable {
    /// Paths of the missing fields, such as `address.city` for a nested one.
    package private(set) var additions: [String] = []
    /// The additions that are REQUIRED or have a default value in the catalog. BigQuery refuses both on an existing table, so
    /// they are added as NULLABLE and without the default: https://cloud.google.com/bigquery/docs/managing-table-schemas
    package private(set) var relaxed: [String] = []
    package private(set) var conflicts: [SchemaConflict] = []
    package private(set) var merged: [FieldSchema] = []

    package init(expected: Table, actual: Table) {
        if let type = actual.type, type != "TABLE" {
            conflicts.append(SchemaConflict(subject: "table", expected: "TABLE", actual: type))
            merged = actual.schema.fields
            return
        }
        merged = merge(expected.schema.fields, into: actual.schema.fields, path: "")
        compare("partitioning", expected.partitioningText, actual.partitioningText)
        compare("clustering", expected.clusteringText, actual.clusteringText)
    }

    /// Whether nothing is missing and nothing conflicts.
    package var isConforming: Bool { additions.isEmpty && conflicts.isEmpty }

    private mutating func merge(_ expected: [FieldSchema], into actual: [FieldSchema], path: String) -> [FieldSchema] {
        var result = actual
        let indices = Dictionary(
            actual.enumerated().map { ($1.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        for field in expected {
            if let index = indices[field.name.lowercased()] {
                result[index] = merge(field, into: actual[index], path: path)
            } else {
                result.append(addition(field, path: path))
            }
        }
        return result
    }

    private mutating func merge(_ expected: FieldSchema, into actual: FieldSchema, path: String) -> FieldSchema {
        let name = path + actual.name
        guard expected.canonicalType == actual.canonicalType,
            expected.canonicalType == "STRUCT" || expected.elementType == actual.elementType,
            (expected.mode == .repeated) == (actual.mode == .repeated)
        else {
            conflicts.append(SchemaConflict(subject: name, expected: expected.shortType, actual: actual.shortType))
            return actual
        }
        // REQUIRED in the catalog and NULLABLE in the table agree: BigQuery adds a REQUIRED column only as NULLABLE.
        if expected.mode == .nullable && actual.mode == .required {
            conflicts.append(SchemaConflict(subject: name, expected: "NULLABLE", actual: "REQUIRED"))
        }
        var result = actual
        result.fields = merge(expected.fields, into: actual.fields, path: name + ".")
        return result
    }

    private mutating func addition(_ field: FieldSchema, path: String) -> FieldSchema {
        additions.append(path + field.name)
        var field = field
        let losesDefault = field.attributes.removeValue(forKey: "defaultValueExpression") != nil
        if field.mode == .required || losesDefault { relaxed.append(path + field.name) }
        if field.mode == .required { field.mode = .nullable }
        return field
    }

    private mutating func compare(_ subject: String, _ expected: String, _ actual: String) {
        if expected.lowercased() != actual.lowercased() {
            conflicts.append(SchemaConflict(subject: subject, expected: expected, actual: actual))
        }
    }
}

/// A difference that no addition can fix. It is reported, and the table does not change.
package struct SchemaConflict: Hashable, Sendable, CustomStringConvertible {
    /// A field path, `partitioning`, `clustering`, or `table` if the object is not a table.
    package var subject: String
    package var expected: String
    package var actual: String

    package var description: String { "\(subject) is \(actual), the catalog says \(expected)" }
}

extension FieldSchema {
    /// The type without the inner fields of a RECORD, which are compared on their own.
    fileprivate var shortType: String {
        let element = canonicalType == "STRUCT" ? "STRUCT" : elementType
        return mode == .repeated ? "ARRAY<\(element)>" : element
    }
}

extension Table {
    package var partitioningText: String {
        if rangePartitioning != nil { return "by a range of integers" }
        guard let timePartitioning else { return "none" }
        return "\(timePartitioning.type) of \(timePartitioning.field ?? "ingestion time")"
    }

    package var clusteringText: String {
        guard let fields = clustering?.fields, !fields.isEmpty else { return "none" }
        return fields.joined(separator: ", ")
    }
}
