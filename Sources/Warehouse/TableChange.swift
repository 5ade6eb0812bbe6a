/// A change of what an existing table says about itself: its clustering, descriptions, labels and defaults. No row changes.
///
/// ```swift
/// let change = TableChange(closing: diff.differences, of: actual, as: catalog)
/// if !change.isEmpty { try await warehouse.update(reference, with: change, ifMatch: etag) }
/// ```
///
/// Invariants:
/// - What the change does not name stays as it is: other labels, other columns, other members of a column.
/// - After the change was applied, the differences that it closes are gone. Applying it again changes nothing.
package struct TableChange: Hashable, Sendable {
    /// The kinds of differences that such a change can close.
    package static let kinds: [SchemaDifference.Kind] = [.clustering, .description, .labels, .defaultValue]

    /// Without fields, the table loses its clustering.
    package var clustering: Table.Clustering?
    package var description: String?
    /// The labels to set. Other labels of the table stay.
    package var labels: [String: String] = [:]
    /// The whole schema as the table has it, with other descriptions or defaults; `nil` if it does not change.
    package var fields: [FieldSchema]?

    package init(
        clustering: Table.Clustering? = nil, description: String? = nil, labels: [String: String] = [:],
        fields: [FieldSchema]? = nil
    ) {
        self.clustering = clustering
        self.description = description
        self.labels = labels
        self.fields = fields
    }

    /// - Parameter differences: Differences of the two tables, as ``SchemaDiff`` found them. Those of other kinds are left out.
    package init(closing differences: [SchemaDifference], of actual: Table, as expected: Table) {
        self.init()
        var texts: [String: SchemaDifference] = [:]
        var defaults: [String: SchemaDifference] = [:]
        for difference in differences {
            switch difference.kind {
            case .clustering: clustering = expected.clustering ?? Table.Clustering(fields: [])
            case .labels: labels[difference.path] = expected.labels?[difference.path]
            case .description where difference.path.isEmpty: description = expected.description
            case .description: texts[difference.path] = difference
            case .defaultValue: defaults[difference.path] = difference
            default: break
            }
        }
        guard !texts.isEmpty || !defaults.isEmpty else { return }
        fields = Self.changed(actual.schema.fields, as: expected.schema.fields, texts, defaults, path: "")
    }

    package var isEmpty: Bool { self == TableChange() }

    private static func changed(
        _ fields: [FieldSchema], as expected: [FieldSchema], _ texts: [String: SchemaDifference],
        _ defaults: [String: SchemaDifference], path: String
    ) -> [FieldSchema] {
        let wanted = Dictionary(expected.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        return fields.map { field in
            let name = path + field.name
            guard let model = wanted[field.name.lowercased()] else { return field }
            var field = field
            if texts[name] != nil { field.description = model.description }
            if defaults[name] != nil {
                field.attributes["defaultValueExpression"] = model.attributes["defaultValueExpression"]
            }
            field.fields = changed(field.fields, as: model.fields, texts, defaults, path: name + ".")
            return field
        }
    }
}

extension TableChange: Encodable {
    private enum CodingKeys: String, CodingKey {
        case clustering, description, labels, schema
    }

    /// The body of `tables.patch`. A member with `null` removes what the table has.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if let clustering {
            if clustering.fields.isEmpty {
                try container.encodeNil(forKey: .clustering)
            } else {
                try container.encode(clustering, forKey: .clustering)
            }
        }
        try container.encodeIfPresent(description, forKey: .description)
        if !labels.isEmpty { try container.encode(labels, forKey: .labels) }
        try container.encodeIfPresent(fields.map { Table.Schema(fields: $0) }, forKey: .schema)
    }
}
