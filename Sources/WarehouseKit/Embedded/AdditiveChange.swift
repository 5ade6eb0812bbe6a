#if EmbeddedWarehouse
    /// What a new schema must keep of the old one: https://cloud.google.com/bigquery/docs/managing-table-schemas
    enum AdditiveChange {
        /// Why the change is refused, in BigQuery's words; `nil` if it only adds fields or relaxes REQUIRED to NULLABLE.
        static func complaint(from old: [FieldSchema], to new: [FieldSchema], path: String = "") -> String? {
            let proposed = Dictionary(new.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
            for field in old {
                let name = path + field.name
                guard let candidate = proposed[field.name.lowercased()] else {
                    return "Field \(name) is missing in new schema"
                }
                if candidate.canonicalType != field.canonicalType {
                    return "Field \(name) has changed type from \(field.canonicalType) to \(candidate.canonicalType)"
                }
                if candidate.mode != field.mode && !(field.mode == .required && candidate.mode == .nullable) {
                    return "Field \(name) has changed mode from \(field.mode.rawValue) to \(candidate.mode.rawValue)"
                }
                if let inner = complaint(from: field.fields, to: candidate.fields, path: name + ".") { return inner }
            }
            let names = Set(old.map { $0.name.lowercased() })
            return new.first { $0.mode == .required && !names.contains($0.name.lowercased()) }
                .map { "Cannot add required fields to an existing schema. (field: \(path + $0.name))" }
        }
    }
#endif
