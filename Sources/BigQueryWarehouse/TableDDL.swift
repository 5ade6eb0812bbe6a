import Warehouse

/// Creates the `CREATE TABLE IF NOT EXISTS` statement for a table of the catalog.
///
/// With such statements, one script creates many tables of a dataset, while `tables.insert` is limited to ten calls per second.
enum TableDDL {
    static func statement(_ reference: TableReference, _ table: Table) -> String {
        var sql = "CREATE TABLE IF NOT EXISTS \(reference.sql) (\n"
        sql += table.schema.fields.map { "  " + column($0) }.joined(separator: ",\n")
        sql += "\n)"
        if let partitioning = partitioning(of: table) { sql += "\nPARTITION BY \(partitioning)" }
        if let fields = table.clustering?.fields, !fields.isEmpty {
            sql += "\nCLUSTER BY \(fields.map { "`\($0)`" }.joined(separator: ", "))"
        }
        let options = options(of: table)
        if !options.isEmpty { sql += "\nOPTIONS (\(options.joined(separator: ", ")))" }
        return sql + ";"
    }

    /// Whether a statement can express everything in the file. If not, `tables.insert` creates the table.
    static func canExpress(_ table: Table) -> Bool {
        table.rangePartitioning == nil && table.schema.fields.allSatisfy(canExpress)
    }

    private static func canExpress(_ field: FieldSchema) -> Bool {
        field.attributes.keys.allSatisfy { ["maxLength", "precision", "scale"].contains($0) }
            && field.fields.allSatisfy(canExpress)
    }

    private static func column(_ field: FieldSchema) -> String {
        "`\(field.name)` \(type(of: field))" + constraintAndDescription(field)
    }

    private static func type(of field: FieldSchema) -> String {
        var type = field.elementType
        if field.canonicalType == "STRUCT" {
            type = "STRUCT<\(field.fields.map(column).joined(separator: ", "))>"
        }
        return field.mode == .repeated ? "ARRAY<\(type)>" : type
    }

    private static func constraintAndDescription(_ field: FieldSchema) -> String {
        let constraint = field.mode == .required ? " NOT NULL" : ""
        return constraint + (field.description.map { " OPTIONS (description = \(literal($0)))" } ?? "")
    }

    private static func partitioning(of table: Table) -> String? {
        guard let partitioning = table.timePartitioning else { return nil }
        guard let field = partitioning.field else {
            return partitioning.type == "DAY"
                ? "_PARTITIONDATE" : "TIMESTAMP_TRUNC(_PARTITIONTIME, \(partitioning.type))"
        }
        let column = table.schema.fields.first { $0.name.lowercased() == field.lowercased() }
        switch (column?.canonicalType, partitioning.type) {
        case ("DATE", "DAY"): return "`\(field)`"
        case ("DATE", _): return "DATE_TRUNC(`\(field)`, \(partitioning.type))"
        case ("DATETIME", _): return "DATETIME_TRUNC(`\(field)`, \(partitioning.type))"
        default: return "TIMESTAMP_TRUNC(`\(field)`, \(partitioning.type))"
        }
    }

    private static func options(of table: Table) -> [String] {
        var options: [String] = []
        if let description = table.description { options.append("description = \(literal(description))") }
        if let labels = table.labels, !labels.isEmpty {
            let pairs = labels.sorted { $0.key < $1.key }.map { "(\(literal($0.key)), \(literal($0.value)))" }
            options.append("labels = [\(pairs.joined(separator: ", "))]")
        }
        if let milliseconds = table.timePartitioning?.expirationMs.flatMap({ Double($0) }) {
            options.append("partition_expiration_days = \(milliseconds / 86_400_000)")
        }
        if table.requirePartitionFilter == true { options.append("require_partition_filter = TRUE") }
        return options
    }

    /// Returns a GoogleSQL string literal that holds exactly this text.
    static func literal(_ text: String) -> String {
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
