import JobRuntime

/// The members of BigQuery's `Table`, level by level, and what becomes of each in a catalog file: it is used, or ignored because
/// BigQuery alone sets it, or refused with the reason. A test compares the lists with BigQuery's discovery document.
/// https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table
enum TableMembers {
    enum Member: Sendable {
        case used(Shape)
        case ignored
        /// An empty object or list says nothing and is ignored.
        case refused(String)
    }

    indirect enum Shape: Sendable {
        case text
        case flag
        /// BigQuery writes it as text and reads it as text or as a number.
        case wholeNumber
        case choice([String])
        /// Any names, each with a text.
        case labels
        case list(Shape)
        case object([String: Member], required: [String] = [])
        /// The columns of a table, or the fields of a RECORD.
        case fields
    }

    static let table: [String: Member] = [
        "description": .used(.text),
        "friendlyName": .used(.text),
        "labels": .used(.labels),
        "resourceTags": .used(.labels),
        "schema": .used(.object(schema)),
        "timePartitioning": .used(
            .object(
                [
                    "type": .used(.text), "field": .used(.text), "expirationMs": .used(.wholeNumber),
                    "requirePartitionFilter": .used(.flag),
                ], required: ["type"])),
        "rangePartitioning": .used(
            .object(
                [
                    "field": .used(.text),
                    "range": .used(
                        .object([
                            "start": .used(.wholeNumber), "end": .used(.wholeNumber), "interval": .used(.wholeNumber),
                        ])),
                ], required: ["field"])),
        "requirePartitionFilter": .used(.flag),
        "clustering": .used(.object(["fields": .used(.list(.text))])),
        "expirationTime": .used(.wholeNumber),
        "encryptionConfiguration": .used(.object(["kmsKeyName": .used(.text)])),
        "defaultCollation": .used(.text),
        "defaultRoundingMode": .used(.choice(roundingModes)),
        "maxStaleness": .used(.text),
        "managedTableType": .used(.choice(["MANAGED_TABLE_TYPE_UNSPECIFIED", "NATIVE", "BIGLAKE"])),
        "tableConstraints": .used(
            .object([
                "primaryKey": .used(.object(["columns": .used(.list(.text))])),
                "foreignKeys": .refused("a foreign key names one dataset, and the catalog is used in many; remove it"),
            ])),

        "view": .refused("a view is not a table"),
        "materializedView": .refused("a materialized view is not a table"),
        "externalDataConfiguration": .refused("an external table has its data outside of BigQuery"),
        "snapshotDefinition": .refused("BigQuery creates a snapshot from another table, not from a schema"),
        "model": .refused("a model is not a table"),
        "biglakeConfiguration": .refused(
            "it names one place in Cloud Storage for the data, and the catalog is used in many datasets; remove it"),
        "externalCatalogTableOptions": .refused("it describes a table with its data outside of BigQuery; remove it"),

        "kind": .ignored, "etag": .ignored, "id": .ignored, "selfLink": .ignored, "tableReference": .ignored,
        "creationTime": .ignored, "lastModifiedTime": .ignored, "location": .ignored, "streamingBuffer": .ignored,
        "cloneDefinition": .ignored, "replicas": .ignored, "restrictions": .ignored, "tableReplicationInfo": .ignored,
        "materializedViewStatus": .ignored, "partitionDefinition": .ignored,
        "numActiveLogicalBytes": .ignored, "numActivePhysicalBytes": .ignored, "numBytes": .ignored,
        "numCurrentPhysicalBytes": .ignored, "numLongTermBytes": .ignored, "numLongTermLogicalBytes": .ignored,
        "numLongTermPhysicalBytes": .ignored, "numPartitions": .ignored, "numPhysicalBytes": .ignored,
        "numRows": .ignored, "numTimeTravelPhysicalBytes": .ignored, "numTotalLogicalBytes": .ignored,
        "numTotalPhysicalBytes": .ignored,
        // BigQuery alone sets it. It says whether the file shows a table.
        "type": .used(.text),
    ]

    static let schema: [String: Member] = [
        "fields": .used(.fields),
        "foreignTypeInfo": .refused("foreign types are for tables with their data outside of BigQuery"),
    ]

    static let field: [String: Member] = [
        "name": .used(.text),
        "type": .used(.text),
        "mode": .used(.choice(["NULLABLE", "REQUIRED", "REPEATED"])),
        "description": .used(.text),
        "fields": .used(.fields),
        "maxLength": .used(.wholeNumber),
        "precision": .used(.wholeNumber),
        "scale": .used(.wholeNumber),
        "timestampPrecision": .used(.wholeNumber),
        "rangeElementType": .used(.object(["type": .used(.text)], required: ["type"])),
        "collation": .used(.text),
        "roundingMode": .used(.choice(roundingModes)),
        "defaultValueExpression": .used(.text),
        "policyTags": .used(.object(["names": .used(.list(.text))])),
        "categories": .used(.object(["names": .used(.list(.text))])),
        "dataPolicies": .used(.list(.object(["name": .used(.text)]))),
        "dataPolicyList": .used(.object(["dataPolicies": .used(.list(.object(["name": .used(.text)])))])),
        "dataGovernanceTagsInfo": .used(.object(["dataGovernanceTags": .used(.labels)])),
        "generatedColumn": .used(
            .object([
                "generatedMode": .used(
                    .choice(["GENERATED_MODE_UNSPECIFIED", "GENERATED_ALWAYS", "GENERATED_BY_DEFAULT"])),
                "generatedExpressionInfo": .used(
                    .object([
                        "asynchronous": .used(.flag), "generationExpression": .used(.text), "stored": .used(.flag),
                    ])),
            ])),
        "foreignTypeDefinition": .refused("foreign types are for tables with their data outside of BigQuery"),
    ]

    private static let roundingModes = ["ROUNDING_MODE_UNSPECIFIED", "ROUND_HALF_AWAY_FROM_ZERO", "ROUND_HALF_EVEN"]
}

/// Reads the JSON of a catalog file. It keeps the members that are used, skips those that BigQuery alone sets, and notes every other
/// one as a problem.
struct MemberReader {
    private(set) var problems: [String] = []
    /// Whether a required member is missing or a value has another form. Then the rest cannot be read as a table.
    private(set) var isUnreadable = false

    /// - Returns: The value without the members that are ignored, refused, unknown or `null`; `nil` for another form of value.
    mutating func read(_ value: JSONValue, as shape: TableMembers.Shape, at path: String) -> JSONValue? {
        switch shape {
        case .text: return value.text == nil ? mismatch(path, wanted: "a string") : value
        case .flag:
            guard case .bool = value else { return mismatch(path, wanted: "a boolean") }
            return value
        case .wholeNumber: return value.wholeNumber == nil ? mismatch(path, wanted: "a whole number") : value
        case .choice(let names):
            guard let text = value.text else { return mismatch(path, wanted: "a string") }
            if text.isEmpty { return nil }
            guard names.contains(text.uppercased()) else {
                let list = names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
                problems.append("\(path): \(Self.name(of: path)) must be \(list)")
                return nil
            }
            return .string(text.uppercased())
        case .list(let element): return list(value, of: element, at: path)
        case .fields: return list(value, of: .object(TableMembers.field, required: ["name", "type"]), at: path)
        case .labels:
            guard let members = value.object else { return mismatch(path, wanted: "a JSON object") }
            return object(members.mapValues { _ in .used(.text) }, [], members, at: path)
        case .object(let known, let required):
            guard let members = value.object else { return mismatch(path, wanted: "a JSON object") }
            return object(known, required, members, at: path)
        }
    }

    private mutating func list(_ value: JSONValue, of element: TableMembers.Shape, at path: String) -> JSONValue? {
        guard let elements = value.array else { return mismatch(path, wanted: "a list") }
        return .array(elements.enumerated().compactMap { read($1, as: element, at: "\(path)[\($0)]") })
    }

    private mutating func object(
        _ known: [String: TableMembers.Member], _ required: [String], _ members: [String: JSONValue], at path: String
    ) -> JSONValue {
        var kept: [String: JSONValue] = [:]
        for name in required where (members[name] ?? .null) == .null {
            isUnreadable = true
            problems.append("\(path.isEmpty ? "the file" : path) has no \"\(name)\"")
        }
        for (name, value) in members.sorted(by: { $0.key < $1.key }) where value != .null {
            let place = path.isEmpty ? name : "\(path).\(name)"
            switch known[name] {
            case .used(let shape): kept[name] = read(value, as: shape, at: place)
            case .ignored: break
            case .refused(let reason):
                if value.array != [] && value.object != [:] { problems.append("\(place): \(reason)") }
            case nil:
                // BigQuery adds statistics from time to time.
                if path.isEmpty && name.hasPrefix("num") && known["schema"] != nil { continue }
                let similar = known.keys.sorted().first { $0.isSimilar(to: name) }
                problems.append("\(place): no such member" + (similar.map { "; did you mean \($0)?" } ?? ""))
            }
        }
        return .object(JSONObject(kept))
    }

    private mutating func mismatch(_ path: String, wanted noun: String) -> JSONValue? {
        isUnreadable = true
        problems.append("\(path.isEmpty ? "the file" : path) is not \(noun)")
        return nil
    }

    private static func name(of path: String) -> String { path.split(separator: ".").last.map(String.init) ?? path }
}

extension String {
    /// Whether the two differ in at most two letters, apart from case.
    func isSimilar(to other: String) -> Bool {
        let (left, right) = (Array(lowercased()), Array(other.lowercased()))
        var distances = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var diagonal = distances[0]
            distances[0] = row + 1
            for column in right.indices {
                let substitution = diagonal + (letter == right[column] ? 0 : 1)
                diagonal = distances[column + 1]
                distances[column + 1] = Swift.min(substitution, diagonal + 1, distances[column] + 1)
            }
        }
        return distances[right.count] <= 2
    }
}
