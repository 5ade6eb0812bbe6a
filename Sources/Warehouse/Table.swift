package import JobRuntime

/// A table of the catalog or of the warehouse, in the form of BigQuery's REST API. It has the members that this program
/// writes or compares.
package struct Table: Hashable, Sendable, Codable {
    package struct Schema: Hashable, Sendable, Codable {
        package var fields: [FieldSchema]

        package init(fields: [FieldSchema]) {
            self.fields = fields
        }

        /// BigQuery answers `"schema": {}` for a script of DDL and for a table without columns.
        package init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            fields = try container.decodeIfPresent([FieldSchema].self, forKey: .fields) ?? []
        }
    }

    /// `type` is HOUR, DAY, MONTH or YEAR; without a `field` the table is partitioned by ingestion time.
    package struct TimePartitioning: Hashable, Sendable, Codable {
        package var type: String
        package var field: String?
        /// The lifetime of a partition in milliseconds, as text.
        package var expirationMs: String?

        package init(type: String, field: String?, expirationMs: String? = nil) {
            self.type = type
            self.field = field
            self.expirationMs = expirationMs
        }

        package init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            type = try container.decode(String.self, forKey: .type)
            field = try container.decodeIfPresent(String.self, forKey: .field)
            expirationMs = try container.decodeIfPresent(WholeNumber.self, forKey: .expirationMs).map { "\($0.value)" }
        }
    }

    /// Partitions of the integers from `start` up to and without `end`, each `interval` wide.
    package struct RangePartitioning: Hashable, Sendable, Codable {
        package var field: String
        package var start: Int64
        package var end: Int64
        package var interval: Int64

        package init(field: String, start: Int64, end: Int64, interval: Int64) {
            self.field = field
            self.start = start
            self.end = end
            self.interval = interval
        }

        private enum CodingKeys: String, CodingKey {
            case field, range
        }

        private enum RangeKeys: String, CodingKey {
            case start, end, interval
        }

        /// A number that is missing is 0.
        package init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            field = try container.decode(String.self, forKey: .field)
            let range = try container.decodeIfPresent([String: WholeNumber].self, forKey: .range) ?? [:]
            start = range["start"]?.value ?? 0
            end = range["end"]?.value ?? 0
            interval = range["interval"]?.value ?? 0
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(field, forKey: .field)
            var range = container.nestedContainer(keyedBy: RangeKeys.self, forKey: .range)
            try range.encode(String(start), forKey: .start)
            try range.encode(String(end), forKey: .end)
            try range.encode(String(interval), forKey: .interval)
        }
    }

    package struct Clustering: Hashable, Sendable, Codable {
        package var fields: [String]

        package init(fields: [String]) {
            self.fields = fields
        }

        package init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            fields = try container.decodeIfPresent([String].self, forKey: .fields) ?? []
        }
    }

    package var description: String?
    package var schema: Schema
    package var timePartitioning: TimePartitioning?
    package var rangePartitioning: RangePartitioning?
    /// Whether queries must name partitions. A table that has it in its old place, within `timePartitioning`, has it here.
    package var requirePartitionFilter: Bool?
    package var clustering: Clustering?
    package var labels: [String: String]?
    /// The members of ``attributeNames`` that the table has. This program sends them and does not interpret them.
    package var attributes: [String: JSONValue] = [:]
    /// The version of the table's metadata, for `If-Match` (fact BQ-42). Only a table that was read has it.
    package var etag: String?
    /// TABLE, VIEW, EXTERNAL and so on. Only a table that was read has it.
    package var type: String?

    /// The members of BigQuery's `Table` that can be set when a table is created, and have no property of their own here.
    /// https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table
    package static let attributeNames: Set<String> = [
        "friendlyName", "expirationTime", "encryptionConfiguration", "defaultCollation", "defaultRoundingMode",
        "maxStaleness", "tableConstraints", "resourceTags", "managedTableType",
    ]

    package init(
        description: String? = nil, fields: [FieldSchema], timePartitioning: TimePartitioning? = nil,
        clustering: Clustering? = nil, labels: [String: String]? = nil
    ) {
        self.description = description
        self.schema = Schema(fields: fields)
        self.timePartitioning = timePartitioning
        self.clustering = clustering
        self.labels = labels
    }
}

extension Table {
    private enum CodingKeys: String, CodingKey {
        case description, schema, timePartitioning, rangePartitioning, requirePartitionFilter, clustering, labels, etag,
            type
    }

    private struct OldPartitionFilter: Decodable {
        var requirePartitionFilter: Bool?
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        description = try container.decodeIfPresent(String.self, forKey: .description)
        schema = try container.decodeIfPresent(Schema.self, forKey: .schema) ?? Schema(fields: [])
        timePartitioning = try container.decodeIfPresent(TimePartitioning.self, forKey: .timePartitioning)
        rangePartitioning = try container.decodeIfPresent(RangePartitioning.self, forKey: .rangePartitioning)
        requirePartitionFilter =
            try container.decodeIfPresent(Bool.self, forKey: .requirePartitionFilter)
            ?? container.decodeIfPresent(OldPartitionFilter.self, forKey: .timePartitioning)?.requirePartitionFilter
        clustering = try container.decodeIfPresent(Clustering.self, forKey: .clustering)
        labels = try container.decodeIfPresent([String: String].self, forKey: .labels)
        etag = try container.decodeIfPresent(String.self, forKey: .etag)
        type = try container.decodeIfPresent(String.self, forKey: .type)
        let members = try decoder.container(keyedBy: MemberName.self)
        for key in members.allKeys where Self.attributeNames.contains(key.stringValue) {
            attributes[key.stringValue] = try members.decode(JSONValue.self, forKey: key)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(description, forKey: .description)
        try container.encode(schema, forKey: .schema)
        try container.encodeIfPresent(timePartitioning, forKey: .timePartitioning)
        try container.encodeIfPresent(rangePartitioning, forKey: .rangePartitioning)
        try container.encodeIfPresent(requirePartitionFilter, forKey: .requirePartitionFilter)
        try container.encodeIfPresent(clustering, forKey: .clustering)
        try container.encodeIfPresent(labels, forKey: .labels)
        try container.encodeIfPresent(etag, forKey: .etag)
        try container.encodeIfPresent(type, forKey: .type)
        var members = encoder.container(keyedBy: MemberName.self)
        for (name, value) in attributes { try members.encode(value, forKey: MemberName(name)) }
    }
}

/// The name of a member that is known only at run time.
struct MemberName: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
}

/// A whole number, which BigQuery writes as text and reads as text or as a number (fact BQ-58).
private struct WholeNumber: Decodable {
    var value: Int64

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self), let value = Int64(text) {
            self.value = value
        } else if let value = try? container.decode(Int64.self) {
            self.value = value
        } else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a whole number")
        }
    }
}

/// A dataset of the catalog or of the warehouse.
package struct Dataset: Hashable, Sendable {
    package var id: DatasetID
    /// `US`, `EU` or a region such as `europe-west1`. Names compare without case.
    package var location: String
    package var description: String?
    package var labels: [String: String]

    package init(id: DatasetID, location: String, description: String? = nil, labels: [String: String] = [:]) {
        self.id = id
        self.location = location
        self.description = description
        self.labels = labels
    }
}

/// Whether BigQuery accepts the text as a value of a label: 1 to 63 lower-case ASCII letters, digits, `_` and `-`.
/// https://cloud.google.com/bigquery/docs/labels-intro
package func isLabelValue(_ text: String) -> Bool {
    (1...63).contains(text.utf8.count)
        && text.utf8.allSatisfy {
            $0 == UInt8(ascii: "-") || ($0.isWordCharacter && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0))
        }
}
