import COpenSSL
import FoundationEssentials
package import Warehouse

/// A kind of change of existing datasets: one table or column of the catalog, in whichever dataset. The approval of a plan is
/// about kinds, so that a new tenant in a known state needs no other approval.
///
/// ```swift
/// let kind = ChangeKind(table: "subscription_plans", .addColumn("notes", type: "STRING"))
/// print(kind)    // add subscription_plans.notes STRING
/// ```
package struct ChangeKind: Hashable, Comparable, Sendable, CustomStringConvertible {
    package enum Change: Hashable, Sendable {
        case createTable
        /// The path of a column, and its type in GoogleSQL.
        case addColumn(String, type: String)
        /// A kind of difference that `--apply` closes.
        case set(SchemaDifference.Kind)
    }

    package var table: String
    package var change: Change

    package init(table: String, _ change: Change) {
        self.table = table
        self.change = change
    }

    package var description: String {
        switch change {
        case .createTable: "create table \(table)"
        case .addColumn(let path, let type): "add \(table).\(path) \(type)"
        case .set(let kind): "set \(kind.rawValue) of \(table)"
        }
    }

    /// Six hexadecimal digits.
    var digest: String { hexDigest(of: description, length: 6) }

    package static func < (left: ChangeKind, right: ChangeKind) -> Bool { left.description < right.description }
}

/// What an operator approves: a version of the catalog, and kinds of change. As text: `3f9a1c07-5d20ee-a81b04`, the digest of the
/// catalog and one for each kind.
///
/// The text holds all that a run needs to decide about each kind, so nothing is stored. A kind that was not approved passes for one
/// of n approved ones with a probability of n in 16,777,216, and only if it stems from the same catalog.
package struct PlanDigest: Hashable, Sendable, CustomStringConvertible {
    package var catalog: String
    package var kinds: Set<String>

    init(catalog: String, kinds: some Sequence<ChangeKind>) {
        self.catalog = catalog
        self.kinds = Set(kinds.map(\.digest))
    }

    /// `nil` for a text that is no digest.
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        let isHex = { (part: String, length: Int) in
            part.utf8.count == length && part.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        }
        guard isHex(parts[0], 8), parts[1...].allSatisfy({ isHex($0, 6) }) else { return nil }
        catalog = parts[0]
        kinds = Set(parts[1...])
    }

    package var description: String { ([catalog] + kinds.sorted()).joined(separator: "-") }
}

/// The first hexadecimal digits of the SHA-256 of a text.
func hexDigest(of text: String, length: Int) -> String {
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    let bytes = Array(text.utf8)
    guard EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil) == 1 else {
        preconditionFailure("SHA-256 is part of every OpenSSL")
    }
    let digits = Array("0123456789abcdef")
    return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }.prefix(length))
}

/// Eight hexadecimal digits for everything that the tables' files say.
func catalogDigest(of tables: [NamedTable]) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let texts = tables.sorted { $0.name < $1.name }.map { named in
        guard let resource = try? encoder.encode(named.table) else { preconditionFailure("a table is always JSON") }
        return named.name + " " + String(decoding: resource, as: UTF8.self)
    }
    return hexDigest(of: texts.joined(separator: "\n"), length: 8)
}

extension SchemaPlan {
    /// Whether the dataset has none of the tables yet: a new tenant's, or one whose creation was cut off before its tables.
    package var isNew: Bool { createsDataset || fillsDataset }

    /// The kinds of change of an existing dataset, sorted. A new dataset has none: it is what the catalog says.
    package var kinds: [ChangeKind] {
        var kinds = isNew ? [] : newTables.map { ChangeKind(table: $0.name, .createTable) }
        for addition in additions {
            kinds += addition.diff.additions.map { ChangeKind(adding: $0, to: addition.table) }
        }
        for update in updates {
            kinds += Set(update.closed.map(\.difference.kind)).map { ChangeKind(table: update.table.name, .set($0)) }
        }
        return kinds.sorted()
    }
}

extension ChangeKind {
    init(adding path: String, to table: NamedTable) {
        let type = FieldSchema.find(path, in: table.table.schema.fields)?.sqlType ?? ""
        self.init(table: table.name, .addColumn(path, type: type))
    }
}

extension FieldSchema {
    /// The field at a path such as `address.city`, whatever its case.
    static func find(_ path: String, in fields: [FieldSchema]) -> FieldSchema? {
        let (name, rest) = (path.prefix { $0 != "." }, path.drop { $0 != "." }.dropFirst())
        guard let field = fields.first(where: { $0.name.lowercased() == name.lowercased() }) else { return nil }
        return rest.isEmpty ? field : find(String(rest), in: field.fields)
    }

    /// The fields beside the one at the path.
    static func siblings(of path: String, in fields: [FieldSchema]) -> [FieldSchema] {
        guard let dot = path.lastIndex(of: ".") else { return fields }
        return find(String(path[..<dot]), in: fields)?.fields ?? []
    }

    /// The name of a field that this one looks like a misspelling of: near in letters, the same type. Names that differ in their
    /// digits only, such as `tag_1` and `tag_2`, are meant.
    func lookalike(among fields: [FieldSchema]) -> String? {
        fields.first { other in
            let names = [name.lowercased(), other.name.lowercased()]
            let shorter = names.map(\.count).min() ?? 0
            guard sqlType == other.sqlType, names[0] != names[1], shorter >= 4 else { return false }
            guard names[0].filter({ !$0.isNumber }) != names[1].filter({ !$0.isNumber }) else { return false }
            return names[0].editDistance(to: names[1]) <= (shorter < 8 ? 1 : 2)
        }?.name
    }
}

extension String {
    /// How many letters have to be added, removed, replaced or swapped with their neighbor.
    fileprivate func editDistance(to other: String) -> Int {
        let (left, right) = (Array(self), Array(other))
        var rows = [Array(0...right.count)]
        for row in left.indices {
            var next = [row + 1]
            for column in right.indices {
                let substitution = rows[row][column] + (left[row] == right[column] ? 0 : 1)
                var least = Swift.min(substitution, rows[row][column + 1] + 1, next[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    least = Swift.min(least, rows[row - 1][column - 1] + 1)
                }
                next.append(least)
            }
            rows.append(next)
        }
        return rows[left.count][right.count]
    }
}
