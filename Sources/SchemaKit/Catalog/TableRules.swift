import JobRuntime
import Warehouse

/// BigQuery's rules for new tables that a catalog file can break.
/// https://cloud.google.com/bigquery/quotas#all_tables, and the pages that are named at each rule
enum TableRules {
    static func problems(of table: Table, named name: String) -> [String] {
        var problems: [String] = []
        if !TableReference.isValidTableID(name) {
            problems.append("the file's name is no table name: use ASCII letters, digits and underscores")
        }
        if table.schema.fields.isEmpty { problems.append("schema.fields is missing or empty") }
        problems += FieldRules.problems(of: table.schema.fields)
        let count = table.schema.fields.countWithNested
        if count > 10_000 {
            problems.append("schema.fields: \(count) columns, with the fields of RECORDs; BigQuery takes 10000")
        }
        let columns = Dictionary(
            table.schema.fields.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        problems += partitioningProblems(of: table, columns) + clusteringProblems(of: table, columns)
        problems += optionProblems(of: table) + labelProblems(of: table) + constraintProblems(of: table, columns)
        return problems
    }

    private static let units: [String: Set<String>] = [
        "DATE": ["DAY", "MONTH", "YEAR"], "TIMESTAMP": ["HOUR", "DAY", "MONTH", "YEAR"],
        "DATETIME": ["HOUR", "DAY", "MONTH", "YEAR"],
    ]

    /// https://cloud.google.com/bigquery/docs/partitioned-tables
    private static func partitioningProblems(of table: Table, _ columns: [String: FieldSchema]) -> [String] {
        switch (table.timePartitioning, table.rangePartitioning) {
        case (_?, _?): return ["timePartitioning and rangePartitioning exclude each other"]
        case (let time?, nil): return timeProblems(time, columns)
        case (nil, let range?): return rangeProblems(range, columns)
        case (nil, nil):
            return table.requirePartitionFilter == true
                ? ["requirePartitionFilter: the table has no partitions"] : []
        }
    }

    private static func timeProblems(
        _ partitioning: Table.TimePartitioning, _ columns: [String: FieldSchema]
    ) -> [String] {
        var problems: [String] = []
        if let expiration = partitioning.expirationMs, (Int64(expiration) ?? 0) <= 0 {
            problems.append("timePartitioning.expirationMs: \(expiration) is not above 0")
        }
        guard let name = partitioning.field else {
            return units["TIMESTAMP"]!.contains(partitioning.type)
                ? problems
                : problems + ["timePartitioning.type: \(quoted(partitioning.type)) is not HOUR, DAY, MONTH or YEAR"]
        }
        guard let column = columns[name.lowercased()] else {
            return problems + ["timePartitioning.field: no column \(name)"]
        }
        guard let units = units[column.canonicalType], column.mode != .repeated else {
            return problems + [
                "timePartitioning.field: \(name) is \(column.sqlType), not DATE, TIMESTAMP or DATETIME"
            ]
        }
        if !units.contains(partitioning.type) {
            problems.append(
                "timePartitioning.type: \(quoted(partitioning.type)) does not go with a \(column.canonicalType) column")
        }
        return problems
    }

    private static func rangeProblems(
        _ partitioning: Table.RangePartitioning, _ columns: [String: FieldSchema]
    ) -> [String] {
        var problems: [String] = []
        if let column = columns[partitioning.field.lowercased()] {
            if column.canonicalType != "INT64" || column.mode == .repeated {
                problems.append("rangePartitioning.field: \(partitioning.field) is \(column.sqlType), not INT64")
            }
        } else {
            problems.append("rangePartitioning.field: no column \(partitioning.field)")
        }
        if partitioning.interval <= 0 {
            problems.append("rangePartitioning.range.interval: \(partitioning.interval) is not above 0")
        } else if partitioning.start >= partitioning.end {
            problems.append(
                "rangePartitioning.range: the start, \(partitioning.start), is not below the end, \(partitioning.end)")
        } else {
            let width = UInt64(bitPattern: partitioning.end &- partitioning.start)
            let count = (width - 1) / UInt64(partitioning.interval) + 1
            if count > 10_000 {
                problems.append("rangePartitioning.range: \(count) partitions; BigQuery takes 10000")
            }
        }
        return problems
    }

    /// https://cloud.google.com/bigquery/docs/clustered-tables#limitations
    private static let clusterable: Set<String> = [
        "BIGNUMERIC", "BOOL", "DATE", "DATETIME", "GEOGRAPHY", "INT64", "NUMERIC", "RANGE", "STRING", "TIMESTAMP",
    ]

    private static func clusteringProblems(of table: Table, _ columns: [String: FieldSchema]) -> [String] {
        let names = table.clustering?.fields ?? []
        var problems = names.count > 4 ? ["clustering.fields: \(names.count) columns; BigQuery takes 4"] : []
        if Set(names.map { $0.lowercased() }).count < names.count {
            problems.append("clustering.fields: a column twice")
        }
        for name in names {
            guard let column = columns[name.lowercased()] else {
                problems.append(
                    name.contains(".")
                        ? "clustering.fields: \(name) is not a column of the table; BigQuery does not cluster by fields of RECORDs"
                        : "clustering.fields: no column \(name)")
                continue
            }
            if column.mode == .repeated || !clusterable.contains(column.canonicalType) {
                problems.append("clustering.fields: \(name) is \(column.sqlType), which BigQuery does not cluster by")
            }
        }
        return problems
    }

    private static func optionProblems(of table: Table) -> [String] {
        var problems: [String] = []
        if let description = table.description, description.unicodeScalars.count > 16_384 {
            problems.append("description: \(description.unicodeScalars.count) characters; BigQuery takes 16384")
        }
        if let expiration = table.attributes["expirationTime"]?.wholeNumber, expiration <= 0 {
            problems.append("expirationTime: \(expiration) is not above 0")
        }
        if let collation = table.attributes["defaultCollation"]?.text, !FieldRules.collations.contains(collation) {
            problems.append("defaultCollation: \(quoted(collation)) is not \"und:ci\" or empty")
        }
        if table.attributes["managedTableType"]?.text == "BIGLAKE" {
            problems.append("managedTableType: a BIGLAKE table needs a place of its own in Cloud Storage; remove it")
        }
        if let key = table.attributes["encryptionConfiguration"]?.object?["kmsKeyName"]?.text,
            !key.isResource(of: ["projects", "locations", "keyRings", "cryptoKeys"])
        {
            problems.append(
                "encryptionConfiguration.kmsKeyName: \(quoted(key)) is not "
                    + "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")
        }
        return problems
    }

    /// https://cloud.google.com/bigquery/docs/labels-intro#requirements
    private static func labelProblems(of table: Table) -> [String] {
        let labels = table.labels ?? [:]
        var problems = labels.count > 64 ? ["labels: \(labels.count) labels; BigQuery takes 64"] : []
        for (key, value) in labels.sorted(by: { $0.key < $1.key }) {
            let isNamed = key.unicodeScalars.first.map { $0.properties.isAlphabetic } ?? false
            if !isNamed || key.unicodeScalars.count > 63 || !key.unicodeScalars.allSatisfy(isOfLabel) {
                problems.append(
                    "labels: the key \(quoted(key)) is not a lower-case letter, then up to 62 of them, of digits, _ and -"
                )
            }
            if value.unicodeScalars.count > 63 || !value.unicodeScalars.allSatisfy(isOfLabel) {
                problems.append(
                    "labels.\(key): \(quoted(value)) is not up to 63 lower-case letters, digits, _ and -")
            }
        }
        return problems
    }

    private static func isOfLabel(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .lowercaseLetter, .modifierLetter, .otherLetter, .nonspacingMark, .spacingMark, .decimalNumber: true
        default: scalar == "_" || scalar == "-"
        }
    }

    /// https://cloud.google.com/bigquery/docs/primary-foreign-keys (fact BQ-57)
    private static func constraintProblems(of table: Table, _ columns: [String: FieldSchema]) -> [String] {
        guard let key = table.attributes["tableConstraints"]?.object?["primaryKey"]?.object else { return [] }
        let place = "tableConstraints.primaryKey.columns"
        let names = key["columns"]?.array?.compactMap(\.text) ?? []
        if names.isEmpty { return ["\(place) is missing or empty"] }
        var problems = names.count > 16 ? ["\(place): \(names.count) columns; BigQuery takes 16"] : []
        if Set(names.map { $0.lowercased() }).count < names.count { problems.append("\(place): a column twice") }
        for name in names {
            guard let column = columns[name.lowercased()] else {
                problems.append("\(place): no column \(name)")
                continue
            }
            if column.mode == .repeated || column.canonicalType == "STRUCT" {
                problems.append("\(place): \(name) is \(column.sqlType), which cannot be in a key")
            }
        }
        return problems
    }
}

/// BigQuery's rules for columns and for the fields of RECORDs.
/// https://cloud.google.com/bigquery/docs/schemas, https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
enum FieldRules {
    static func problems(of fields: [FieldSchema], path: String = "", depth: Int = 1) -> [String] {
        var problems: [String] = []
        var seen: Set<String> = []
        for field in fields {
            let name = "field \(path)\(field.name)"
            var found = ColumnName.problem(with: field.name).map { [$0] } ?? []
            if !seen.insert(field.name.lowercased()).inserted { found.append("there are two of that name") }
            found += self.problems(of: field) + (depth > 1 ? nestedProblems(of: field) : [])
            problems += found.map { "\(name): \($0)" }
            if depth > 15 {
                problems.append("\(name): nested more than 15 levels deep")
            } else {
                problems += self.problems(of: field.fields, path: "\(path)\(field.name).", depth: depth + 1)
            }
        }
        return problems
    }

    private static func problems(of field: FieldSchema) -> [String] {
        var problems: [String] = []
        if field.canonicalType == "FOREIGN" {
            problems.append("FOREIGN is a type for tables with their data outside of BigQuery")
        } else if !FieldSchema.knownTypes.contains(field.canonicalType) {
            problems.append("unknown type \(field.type)")
        }
        if (field.canonicalType == "STRUCT") == field.fields.isEmpty {
            problems.append("a RECORD has fields, and nothing else has")
        }
        if let description = field.description, description.unicodeScalars.count > 1024 {
            problems.append("a description of \(description.unicodeScalars.count) characters; BigQuery takes 1024")
        }
        return problems + parameterProblems(of: field) + valueProblems(of: field) + accessProblems(of: field)
    }

    private static func parameterProblems(of field: FieldSchema) -> [String] {
        var problems: [String] = []
        let length = number("maxLength", of: field)
        let (precision, scale) = (number("precision", of: field), number("scale", of: field))
        if let length {
            if !["STRING", "BYTES"].contains(field.canonicalType) {
                problems.append("maxLength is for STRING and BYTES only")
            } else if length < 1 {
                problems.append("maxLength \(length) is not above 0")
            }
        }
        if precision != nil || scale != nil {
            if let limits = decimals[field.canonicalType] {
                if let precision {
                    problems += problem(precision, scale ?? 0, limits, field.canonicalType).map { [$0] } ?? []
                } else {
                    problems.append("a scale needs a precision")
                }
            } else {
                problems.append("precision and scale are for NUMERIC and BIGNUMERIC only")
            }
        }
        if let precision = number("timestampPrecision", of: field) {
            if field.canonicalType != "TIMESTAMP" {
                problems.append("timestampPrecision is for TIMESTAMP only")
            } else if precision != 6 && precision != 12 {
                problems.append("timestampPrecision \(precision) is not 6 or 12")
            }
        }
        let element = field.attributes["rangeElementType"]?.object?["type"]?.text
        if field.canonicalType == "RANGE" {
            if !["DATE", "DATETIME", "TIMESTAMP"].contains(element?.uppercased()) {
                problems.append("a RANGE has the rangeElementType.type DATE, DATETIME or TIMESTAMP")
            }
        } else if element != nil {
            problems.append("rangeElementType is for RANGE only")
        }
        return problems
    }

    /// The most digits in front of the decimal point, and the most behind it.
    private static let decimals = ["NUMERIC": (whole: 29, scale: 9), "BIGNUMERIC": (whole: 38, scale: 38)]

    /// https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#parameterized_decimal_type
    private static func problem(
        _ precision: Int, _ scale: Int, _ limits: (whole: Int, scale: Int), _ type: String
    ) -> String? {
        if !(0...limits.scale).contains(scale) { return "the scale \(scale) of a \(type) is not 0 to \(limits.scale)" }
        let range = max(1, scale)...(limits.whole + scale)
        return range.contains(precision)
            ? nil
            : "the precision \(precision) of a \(type) is not \(range.lowerBound) to \(range.upperBound)"
                + (scale > 0 ? " with a scale of \(scale)" : "")
    }

    private static func number(_ name: String, of field: FieldSchema) -> Int? {
        field.attributes[name]?.wholeNumber
    }

    static let collations: Set<String> = ["", "und:ci"]

    private static func valueProblems(of field: FieldSchema) -> [String] {
        var problems: [String] = []
        if let collation = field.collation {
            if field.canonicalType != "STRING" {
                problems.append("collation is for STRING only")
            } else if !collations.contains(collation) {
                problems.append("the collation \(quoted(collation)) is not \"und:ci\" or empty")
            }
        }
        if field.roundingMode != nil, decimals[field.canonicalType] == nil {
            problems.append("roundingMode is for NUMERIC and BIGNUMERIC only")
        }
        return problems
    }

    /// https://cloud.google.com/bigquery/docs/column-level-security
    private static func accessProblems(of field: FieldSchema) -> [String] {
        var problems: [String] = []
        let tags = field.policyTags
        if tags.count > 1 { problems.append("\(tags.count) policy tags; BigQuery takes 1") }
        for tag in tags where !tag.isResource(of: ["projects", "locations", "taxonomies", "policyTags"]) {
            problems.append(
                "the policy tag \(quoted(tag)) is not "
                    + "projects/PROJECT/locations/LOCATION/taxonomies/TAXONOMY/policyTags/TAG")
        }
        let policies =
            (field.attributes["dataPolicies"]?.array ?? [])
            + (field.attributes["dataPolicyList"]?.object?["dataPolicies"]?.array ?? [])
        if policies.count > 9 { problems.append("\(policies.count) data policies; BigQuery takes 9") }
        let governance = field.attributes["dataGovernanceTagsInfo"]?.object?["dataGovernanceTags"]?.object ?? [:]
        if governance.count > 1 { problems.append("\(governance.count) data governance tags; BigQuery takes 1") }
        return problems
    }

    /// https://cloud.google.com/bigquery/docs/default-values (fact BQ-48)
    private static func nestedProblems(of field: FieldSchema) -> [String] {
        var problems: [String] = []
        if field.defaultValueExpression != nil {
            problems.append("a field of a RECORD has no default value of its own; the RECORD can have one")
        }
        if field.attributes["generatedColumn"] != nil { problems.append("generatedColumn is for columns only") }
        return problems
    }
}

extension [FieldSchema] {
    fileprivate var countWithNested: Int { reduce(0) { $0 + 1 + $1.fields.countWithNested } }
}

extension String {
    /// Whether it is a path of these collections, each with a name: `projects/p/locations/us`.
    fileprivate func isResource(of collections: [String]) -> Bool {
        let parts = split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 * collections.count
            && collections.enumerated().allSatisfy { parts[2 * $0] == $1 && !parts[2 * $0 + 1].isEmpty }
    }
}
