/// Creates the `CREATE TABLE IF NOT EXISTS` statement for a table of the catalog, and the `ALTER TABLE` statements that add
/// columns or set descriptions and defaults.
///
/// With such statements, one script creates many tables of a dataset, while `tables.insert` is limited to ten calls per second.
package enum TableDDL {
    /// - Parameter ifMissing: Whether a table that exists is left alone. Otherwise it is an error.
    package static func statement(_ reference: TableReference, _ table: Table, ifMissing: Bool = true) -> String {
        var sql = "CREATE TABLE \(ifMissing ? "IF NOT EXISTS " : "")\(reference.sql) (\n"
        sql += table.schema.fields.map { "  " + column($0) }.joined(separator: ",\n")
        sql += "\n)"
        if let partitioning = partitioning(of: table) { sql += "\nPARTITION BY \(partitioning)" }
        if let fields = table.clustering?.fields, !fields.isEmpty {
            sql += "\nCLUSTER BY \(fields.map(ColumnName.quoted).joined(separator: ", "))"
        }
        let options = options(of: table)
        if !options.isEmpty { sql += "\nOPTIONS (\(options.joined(separator: ", ")))" }
        return sql + ";"
    }

    /// Whether a statement can express everything in the file. If not, `tables.insert` creates the table.
    ///
    /// A statement could express an expiration, but it would need `bigquery.tables.delete`, which `tables.insert` does not:
    /// https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_table_statement
    package static func canExpress(_ table: Table) -> Bool {
        table.attributes.isEmpty && table.rangePartitioning == nil && table.timePartitioning?.expirationMs == nil
            && table.schema.fields.allSatisfy { canExpress($0, of: typeAttributes) }
    }

    /// The statement that adds the columns that `fields` has and the table has not; `nil` if a statement cannot express the
    /// change: it adds a field to a RECORD, or a column with an attribute that only the API can set.
    ///
    /// Unlike `tables.patch` it does not send the other columns, so it needs no permission for their policy tags. It may run
    /// twice, and does nothing about a column that another client has added.
    package static func additions(to reference: TableReference, from old: [FieldSchema], to fields: [FieldSchema])
        -> String?
    {
        let known = Dictionary(old.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        var columns: [String] = []
        for field in fields {
            if let existing = known[field.name.lowercased()] {
                guard existing == field else { return nil }
                continue
            }
            guard field.mode != .required, field.fields.allSatisfy(isNullable),
                canExpress(field, of: typeAttributes.union(columnAttributes))
            else { return nil }
            columns.append("ADD COLUMN IF NOT EXISTS " + column(field))
        }
        return columns.isEmpty ? nil : "ALTER TABLE \(reference.sql)\n  " + columns.joined(separator: ",\n  ") + ";"
    }

    /// The statement that sets other descriptions and defaults of columns; `nil` if the columns differ in something else, or
    /// within a RECORD, which a statement does not reach. It may run twice.
    package static func alterations(of reference: TableReference, from old: [FieldSchema], to fields: [FieldSchema])
        -> String?
    {
        guard old.count == fields.count else { return nil }
        var actions: [String] = []
        for (before, after) in zip(old, fields) where before != after {
            var same = after
            same.description = before.description
            same.attributes["defaultValueExpression"] = before.attributes["defaultValueExpression"]
            guard same == before else { return nil }
            let column = "ALTER COLUMN \(ColumnName.quoted(after.name))"
            if before.description != after.description {
                actions.append("\(column) SET OPTIONS (description = \(after.description.map(literal) ?? "NULL"))")
            }
            if before.defaultValueExpression != after.defaultValueExpression {
                actions.append(
                    "\(column) \(after.defaultValueExpression.map { "SET DEFAULT \($0)" } ?? "DROP DEFAULT")")
            }
        }
        return actions.isEmpty ? nil : "ALTER TABLE \(reference.sql)\n  " + actions.joined(separator: ",\n  ") + ";"
    }

    private static let typeAttributes: Set<String> = ["maxLength", "precision", "scale", "rangeElementType"]
    private static let columnAttributes: Set<String> = ["collation", "roundingMode"]

    private static func canExpress(_ field: FieldSchema, of attributes: Set<String>) -> Bool {
        field.attributes.keys.allSatisfy(attributes.contains)
            && field.fields.allSatisfy { canExpress($0, of: typeAttributes) }
    }

    private static func isNullable(_ field: FieldSchema) -> Bool {
        field.mode != .required && field.fields.allSatisfy(isNullable)
    }

    private static func column(_ field: FieldSchema) -> String {
        var sql = ColumnName.quoted(field.name) + " " + type(of: field)
        if let value = field.defaultValueExpression { sql += " DEFAULT \(value)" }
        if field.mode == .required { sql += " NOT NULL" }
        var options = field.roundingMode.map { ["rounding_mode = \(literal($0))"] } ?? []
        if let description = field.description { options.append("description = \(literal(description))") }
        if !options.isEmpty { sql += " OPTIONS (\(options.joined(separator: ", ")))" }
        return sql
    }

    private static func type(of field: FieldSchema) -> String {
        var type = field.elementType
        if field.canonicalType == "STRUCT" {
            type = "STRUCT<\(field.fields.map(column).joined(separator: ", "))>"
        }
        if let collation = field.collation { type += " COLLATE \(literal(collation))" }
        return field.mode == .repeated ? "ARRAY<\(type)>" : type
    }

    private static func partitioning(of table: Table) -> String? {
        if let range = table.rangePartitioning {
            let name = ColumnName.quoted(range.field)
            return "RANGE_BUCKET(\(name), GENERATE_ARRAY(\(range.start), \(range.end), \(range.interval)))"
        }
        guard let partitioning = table.timePartitioning else { return nil }
        guard let field = partitioning.field else {
            return partitioning.type == "DAY"
                ? "_PARTITIONDATE" : "TIMESTAMP_TRUNC(_PARTITIONTIME, \(partitioning.type))"
        }
        let column = table.schema.fields.first { $0.name.lowercased() == field.lowercased() }
        let name = ColumnName.quoted(field)
        switch (column?.canonicalType, partitioning.type) {
        case ("DATE", "DAY"): return name
        case ("DATE", _): return "DATE_TRUNC(\(name), \(partitioning.type))"
        case ("DATETIME", _): return "DATETIME_TRUNC(\(name), \(partitioning.type))"
        default: return "TIMESTAMP_TRUNC(\(name), \(partitioning.type))"
        }
    }

    private static func options(of table: Table) -> [String] {
        var options: [String] = []
        if let description = table.description { options.append("description = \(literal(description))") }
        if let labels = table.labels, !labels.isEmpty {
            let pairs = labels.sorted { $0.key < $1.key }.map { "(\(literal($0.key)), \(literal($0.value)))" }
            options.append("labels = [\(pairs.joined(separator: ", "))]")
        }
        if let milliseconds = table.timePartitioning?.expirationMs.flatMap({ Double($0) }), milliseconds > 0 {
            options.append("partition_expiration_days = \(milliseconds / 86_400_000)")
        }
        if table.requirePartitionFilter == true { options.append("require_partition_filter = TRUE") }
        return options
    }

    /// Returns a GoogleSQL string literal that holds exactly this text.
    package static func literal(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                result += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
