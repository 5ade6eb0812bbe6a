import JobRuntime
import Warehouse

/// Reads the text by which ``SurveyStatement`` describes a table.
///
/// A text that this type does not understand completely is `nil`, so that the table is read by `tables.get` instead.
struct SurveyedTable {
    /// Separates the members of a record.
    static let unit = "\u{1F}"
    /// Separates the records of a list: columns, field paths, options.
    static let record = "\u{1E}"
    /// Separates the parts of a shape.
    static let group = "\u{1D}"

    /// The table of a shape, as `tables.get` would show it, without the columns that the catalog does not have.
    static func table(_ shape: String) -> Table? {
        let parts = shape.parts(group)
        guard parts.count == 7 else { return nil }
        let type = parts[0]
        guard type == "BASE TABLE" || type == "CLONE" else {
            var table = Table(fields: [])
            table.type = type
            return table
        }
        let columns = parts[1].records
        guard columns.allSatisfy({ $0.count == 6 }), let attributes = attributes(of: parts[2]) else { return nil }
        let definitions = parts[6].isEmpty ? [:] : ColumnDefinitions.read(parts[6])
        guard let definitions else { return nil }
        var fields: [FieldSchema] = []
        var names: Set<String> = []
        for column in columns {
            guard let field = field(column, definitions, attributes), names.insert(field.name.lowercased()).inserted
            else { return nil }
            fields.append(field)
        }
        var table = Table(fields: fields)
        table.type = "TABLE"
        let clustering = columns.compactMap { column in Int(column[4]).map { (position: $0, name: column[0]) } }
        if !clustering.isEmpty {
            table.clustering = Table.Clustering(fields: clustering.sorted { $0.position < $1.position }.map(\.name))
        }
        let partitioning = columns.filter { $0[3] == "YES" }.map { $0[0] }
        guard setPartitioning(parts[4], column: partitioning.first, of: &table), partitioning.count < 2,
            setOptions(parts[3].records, of: &table)
        else { return nil }
        if let collation = value(parts[5]) { table.attributes["defaultCollation"] = .string(collation) }
        return table
    }

    /// The default expirations of a dataset.
    static func defaults(_ shape: String) -> DatasetDefaults {
        let options = Dictionary(
            shape.records.filter { $0.count == 2 }.map { ($0[0], $0[1]) }, uniquingKeysWith: { first, _ in first })
        return DatasetDefaults(
            tableExpirationDays: options["default_table_expiration_days"],
            partitionExpirationDays: options["default_partition_expiration_days"])
    }

    /// A column: name, type, is_nullable, is_partitioning_column, clustering position, default.
    private static func field(
        _ column: [String], _ definitions: [String: FieldSchema], _ attributes: [String: PathAttributes]
    ) -> FieldSchema? {
        guard var field = ColumnDefinitions.field(named: column[0], type: column[1]) else { return nil }
        if field.canonicalType == "STRUCT" {
            // Only the DDL shows the modes within a RECORD.
            guard let definition = definitions[column[0].lowercased()], definition.sqlType == field.sqlType else {
                return nil
            }
            field.fields = definition.fields
        }
        if field.mode != .repeated && column[2] == "NO" { field.mode = .required }
        if let text = value(column[5]) { field.attributes["defaultValueExpression"] = .string(text) }
        describe(&field, path: column[0], attributes)
        return field
    }

    private static func describe(_ field: inout FieldSchema, path: String, _ attributes: [String: PathAttributes]) {
        if let found = attributes[path.lowercased()] {
            field.description = found.description
            for (name, value) in found.members { field.attributes[name] = value }
        }
        for index in field.fields.indices {
            describe(&field.fields[index], path: "\(path).\(field.fields[index].name)", attributes)
        }
    }

    private struct PathAttributes {
        var description: String?
        var members: [String: JSONValue] = [:]
    }

    /// A field path: path, description, collation, rounding mode, policy tags.
    private static func attributes(of text: String) -> [String: PathAttributes]? {
        var attributes: [String: PathAttributes] = [:]
        for record in text.records {
            guard record.count == 5 else { return nil }
            var found = PathAttributes(description: record[1].isEmpty ? nil : record[1])
            if let collation = value(record[2]) { found.members["collation"] = .string(collation) }
            if let mode = value(record[3]) { found.members["roundingMode"] = .string(mode) }
            if !record[4].isEmpty {
                let names = record[4].split(separator: ",").map { JSONValue.string(String($0)) }
                found.members["policyTags"] = .object(["names": .array(names)])
            }
            attributes[record[0].lowercased()] = found
        }
        return attributes
    }

    /// Where nothing is set, the views show NULL, and some columns the word `NULL` (fact BQ-62):
    /// https://cloud.google.com/bigquery/docs/information-schema-columns#examples
    private static func value(_ text: String) -> String? { text.isEmpty || text == "NULL" ? nil : text }

    /// - Parameters:
    ///   - clause: The line of the DDL, `PARTITION BY DATE_TRUNC(day, MONTH)`, or empty.
    ///   - column: The partitioning column by the view, which has to agree with the clause.
    /// - Returns: `false` if the clause is in a form that is not known.
    private static func setPartitioning(_ clause: String, column: String?, of table: inout Table) -> Bool {
        let words = ColumnDefinitions.words(of: clause).filter { !["PARTITION", "BY"].contains($0) }
        /// Whether the word names what the partitions are made of: the column, or the time of ingestion.
        func isKey(_ word: String) -> Bool {
            column.map { $0.lowercased() == word.lowercased() } ?? ["_PARTITIONTIME", "_PARTITIONDATE"].contains(word)
        }
        switch words.count {
        case 0: return column == nil
        case 1 where isKey(words[0]), 2 where words[0] == "DATE" && isKey(words[1]):
            table.timePartitioning = Table.TimePartitioning(type: "DAY", field: column)
        case 3 where ["DATE_TRUNC", "DATETIME_TRUNC", "TIMESTAMP_TRUNC"].contains(words[0]) && isKey(words[1]):
            table.timePartitioning = Table.TimePartitioning(type: words[2], field: column)
        case 6 where words[0] == "RANGE_BUCKET" && isKey(words[1]):
            guard let column, let start = Int64(words[3]), let end = Int64(words[4]), let interval = Int64(words[5])
            else { return false }
            table.rangePartitioning = Table.RangePartitioning(
                field: column, start: start, end: end, interval: interval)
        default: return false
        }
        return true
    }

    /// Options as `TABLE_OPTIONS` shows them, with GoogleSQL literals (fact BQ-64).
    private static func setOptions(_ options: [[String]], of table: inout Table) -> Bool {
        for option in options {
            guard option.count == 2 else { return false }
            let text = option[1]
            switch option[0] {
            case "description":
                guard let value = SQLLiteral.string(text) else { return false }
                table.description = value
            case "friendly_name":
                guard let value = SQLLiteral.string(text) else { return false }
                table.attributes["friendlyName"] = .string(value)
            case "kms_key_name":
                guard let value = SQLLiteral.string(text) else { return false }
                table.attributes["encryptionConfiguration"] = .object(["kmsKeyName": .string(value)])
            case "default_rounding_mode":
                guard let value = SQLLiteral.string(text) else { return false }
                table.attributes["defaultRoundingMode"] = .string(value)
            case "labels":
                let strings = SQLLiteral.strings(in: text)
                guard let strings, strings.count.isMultiple(of: 2) else { return false }
                table.labels = stride(from: 0, to: strings.count, by: 2).reduce(into: [:]) {
                    $0[strings[$1]] = strings[$1 + 1]
                }
            case "expiration_timestamp": table.attributes["expirationTime"] = .string(text)
            case "require_partition_filter": table.requirePartitionFilter = text == "true"
            case "partition_expiration_days":
                // A number of days beyond what fits into milliseconds is in no form that BigQuery has.
                guard let days = Double(text), let milliseconds = Int64(exactly: (days * 86_400_000).rounded()) else {
                    return false
                }
                table.timePartitioning?.expirationMs = String(milliseconds)
            default: continue
            }
        }
        return true
    }
}

extension String {
    fileprivate func parts(_ separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }

    fileprivate var records: [[String]] {
        isEmpty ? [] : parts(SurveyedTable.record).map { $0.parts(SurveyedTable.unit) }
    }
}
