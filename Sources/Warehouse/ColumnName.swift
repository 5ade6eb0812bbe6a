import JobRuntime

/// BigQuery's rules for the names of columns and of fields within a RECORD, and their forms in SQL.
/// https://cloud.google.com/bigquery/docs/schemas#column_names
package enum ColumnName {
    /// Whether the name needs no quoting: a letter or `_`, then letters, digits and `_`, at most 300.
    package static func isPlain(_ name: String) -> Bool {
        (1...300).contains(name.utf8.count) && name.utf8.allSatisfy(\.isWordCharacter) && !name.utf8.first!.isDigit
    }

    /// Why BigQuery refuses the name; `nil` if it accepts it.
    /// https://cloud.google.com/bigquery/docs/schemas#flexible-column-names
    package static func problem(with name: String) -> String? {
        if name.isEmpty { return "a column needs a name" }
        if name.unicodeScalars.count > 300 { return "a name has at most 300 characters" }
        if let scalar = name.unicodeScalars.first(where: { !isAllowed($0) }) {
            return "a name cannot have \(description(of: scalar))"
        }
        if let prefix = reservedPrefixes.first(where: { name.lowercased().hasPrefix($0) }) {
            return "BigQuery keeps names with \(prefix) for itself"
        }
        return nil
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
            .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber, .connectorPunctuation,
            .dashPunctuation, .spaceSeparator:
            true
        default: "&%=+:'<>#|".unicodeScalars.contains(scalar)
        }
    }

    private static func description(of scalar: Unicode.Scalar) -> String {
        (0x21...0x7E).contains(scalar.value)
            ? "the character \(scalar)" : "the character U+\(String(scalar.value, radix: 16, uppercase: true))"
    }

    private static let reservedPrefixes = [
        "_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_sequence_number",
        "_change_type", "_change_timestamp",
    ]

    /// The name within backticks, for a statement. Nothing in it can end the quotes.
    package static func quoted(_ name: String) -> String {
        var result = "`"
        for scalar in name.unicodeScalars {
            if scalar == "`" || scalar == "\\" { result += "\\" }
            result.unicodeScalars.append(scalar)
        }
        return result + "`"
    }

    /// The name as BigQuery writes it within the text of a STRUCT type: quoted where it must be.
    static func inType(_ name: String) -> String {
        isPlain(name) && !reservedWords.contains(name.uppercased()) ? name : quoted(name)
    }

    /// https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#reserved_keywords
    private static let reservedWords: Set<String> = [
        "ALL", "AND", "ANY", "ARRAY", "AS", "ASC", "ASSERT_ROWS_MODIFIED", "AT", "BETWEEN", "BY", "CASE", "CAST",
        "COLLATE",
        "CONTAINS", "CREATE", "CROSS", "CUBE", "CURRENT", "DEFAULT", "DEFINE", "DESC", "DISTINCT", "ELSE", "END",
        "ENUM",
        "ESCAPE", "EXCEPT", "EXCLUDE", "EXISTS", "EXTRACT", "FALSE", "FETCH", "FOLLOWING", "FOR", "FROM", "FULL",
        "GROUP",
        "GROUPING", "GROUPS", "HASH", "HAVING", "IF", "IGNORE", "IN", "INNER", "INTERSECT", "INTERVAL", "INTO", "IS",
        "JOIN",
        "LATERAL", "LEFT", "LIKE", "LIMIT", "LOOKUP", "MERGE", "NATURAL", "NEW", "NO", "NOT", "NULL", "NULLS", "OF",
        "ON",
        "OR", "ORDER", "OUTER", "OVER", "PARTITION", "PRECEDING", "PROTO", "QUALIFY", "RANGE", "RECURSIVE", "RESPECT",
        "RIGHT", "ROLLUP", "ROWS", "SELECT", "SET", "SOME", "STRUCT", "TABLESAMPLE", "THEN", "TO", "TREAT", "TRUE",
        "UNBOUNDED", "UNION", "UNNEST", "USING", "WHEN", "WHERE", "WINDOW", "WITH", "WITHIN",
    ]
}
