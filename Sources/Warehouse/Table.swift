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
        /// The lifetime of a partition in milliseconds, as text. It is set when the table is created, and never compared.
        package var expirationMs: String?

        package init(type: String, field: String?, expirationMs: String? = nil) {
            self.type = type
            self.field = field
            self.expirationMs = expirationMs
        }
    }

    package struct Clustering: Hashable, Sendable, Codable {
        package var fields: [String]

        package init(fields: [String]) {
            self.fields = fields
        }
    }

    package var description: String?
    package var schema: Schema
    package var timePartitioning: TimePartitioning?
    package var rangePartitioning: JSONValue?
    /// This is set when the table is created, and never compared.
    package var requirePartitionFilter: Bool?
    package var clustering: Clustering?
    package var labels: [String: String]?
    /// The version of the table's metadata, for `If-Match`. Only a table that was read has it.
    package var etag: String?
    /// TABLE, VIEW, EXTERNAL and so on. Only a table that was read has it.
    package var type: String?

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

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        description = try container.decodeIfPresent(String.self, forKey: .description)
        schema = try container.decodeIfPresent(Schema.self, forKey: .schema) ?? Schema(fields: [])
        timePartitioning = try container.decodeIfPresent(TimePartitioning.self, forKey: .timePartitioning)
        clustering = try container.decodeIfPresent(Clustering.self, forKey: .clustering)
        labels = try container.decodeIfPresent([String: String].self, forKey: .labels)
        etag = try container.decodeIfPresent(String.self, forKey: .etag)
        type = try container.decodeIfPresent(String.self, forKey: .type)
        rangePartitioning = try container.decodeIfPresent(JSONValue.self, forKey: .rangePartitioning)
        requirePartitionFilter = try container.decodeIfPresent(Bool.self, forKey: .requirePartitionFilter)
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
