extension FieldSchema {
    /// The type in GoogleSQL, as `INFORMATION_SCHEMA.COLUMNS.data_type` shows it: `STRING(20)`, `ARRAY<STRUCT<a INT64, b STRING>>`.
    package var sqlType: String {
        mode == .repeated ? "ARRAY<\(elementType)>" : elementType
    }

    /// The type of one element, leaving out whether the field is repeated.
    var elementType: String {
        if canonicalType == "STRUCT" {
            return "STRUCT<\(fields.map { "\($0.name) \($0.sqlType)" }.joined(separator: ", "))>"
        }
        return canonicalType + typeParameters
    }

    /// `(20)` of STRING(20), `(10, 2)` of NUMERIC(10, 2), or nothing.
    private var typeParameters: String {
        let parameters = ["maxLength", "precision", "scale"].compactMap { attributes[$0]?.string }
        return parameters.isEmpty ? "" : "(\(parameters.joined(separator: ", ")))"
    }
}
