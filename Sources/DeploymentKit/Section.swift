import Foundation
import Yams

/// One mapping of the file, read key by key. A wrong value goes to the log, and the getter returns `nil`.
struct Section {
    /// The name in messages: `job org-sync-all`.
    let name: String
    var line: Int
    let log: ProblemLog
    private let members: [String: Located<Node>]
    /// Asked for a key that this section lacks.
    var fallback: [String: Located<Node>] = [:]

    /// `keys` are the keys that it may have; `nil` where they are free.
    init?(_ node: Node, _ name: String, keys: [String]?, log: ProblemLog) {
        guard case .mapping(let mapping) = node else {
            log.add(node.line, "\(name) must have keys and values")
            return nil
        }
        self.name = name
        self.log = log
        line = node.line
        var members: [String: Located<Node>] = [:]
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else {
                log.add(key.line, "\(name): a key must be a word")
                continue
            }
            if let keys, !keys.contains(scalar.string) {
                log.add(
                    key.line, "\(name) has the unknown key \(scalar.string)\(suggestion(for: scalar.string, in: keys))")
            }
            members[scalar.string] = Located(value, line: key.line)
        }
        self.members = members
    }

    /// The keys that are there, in the order of the file.
    var keys: [String] { members.sorted { $0.value.line < $1.value.line }.map(\.key) }

    var nodes: [String: Located<Node>] { members }

    func node(_ key: String) -> Located<Node>? { members[key] ?? fallback[key] }

    func lineOf(_ key: String) -> Int { node(key)?.line ?? line }

    func note(_ key: String, _ message: String) { log.add(lineOf(key), "\(owner(of: key)): \(message)") }

    /// The name that messages about a key use: a value of `defaults` is wrong once, not once for each job.
    private func owner(of key: String) -> String {
        members[key] == nil && fallback[key] != nil ? "defaults" : name
    }

    /// Notes the absence of a key that must be there.
    func required(_ key: String) -> Located<Node>? {
        if let found = node(key) { return found }
        log.add(line, "\(name) lacks \(key)")
        return nil
    }

    // MARK: Values

    /// The values of the declared fields. A field that is absent without being required, or that is wrong, has none.
    func values(of fields: [Field]) -> FieldValues {
        var values = FieldValues(line: line)
        for field in fields {
            guard field.isRequired ? required(field.key) != nil : node(field.key) != nil else { continue }
            if let value = value(of: field) { values.found[field.key] = Located(value, line: lineOf(field.key)) }
        }
        return values
    }

    private func value(of field: Field) -> FieldValues.Value? {
        let key = field.key
        switch field.form {
        case .list(let pattern): return list(key, pattern).map { .list($0) }
        case .variables: return .variables(map(key))
        case .roles: return .roles(roles(key))
        case .budget: return budget(key).map { .budget($0) }
        default: break
        }
        guard let text = text(key) else { return nil }
        switch field.form {
        case .text(let longest, let unit):
            if let longest, unit.count(text) > longest { note(key, "\(key) has more than \(longest) \(unit.rawValue)") }
            return .text(text)
        case .name(let pattern):
            if pattern.fits(text) { return .text(text) }
            note(key, pattern.complaint(text, key: key))
        case .integer(let range):
            if let number = Int(text), range.contains(number) { return .integer(number) }
            note(key, "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(text)")
        case .flag:
            if ["true", "false"].contains(text) { return .flag(text == "true") }
            note(key, "\(key) must be true or false, not \(text)")
        case .seconds(let range): return seconds(key, text, in: range)
        case .cpu:
            if let cpu = Int(text), TaskSize.memory[cpu] != nil { return .text(String(cpu)) }
            note(key, "cpu must be 1, 2, 4, 6 or 8, not \(text)")
        case .memory:
            if let mebibytes = TaskSize.mebibytes(text) { return .text(TaskSize.text(mebibytes: mebibytes)) }
            note(key, "memory must be a number and Mi or Gi, such as 512Mi, not \(text)")
        case .schedule: return schedule(key, text)
        case .timeZone:
            // TimeZone also takes abbreviations and offsets, which Cloud Scheduler does not.
            if text == "UTC" || text.contains("/"), TimeZone(identifier: text) != nil { return .text(text) }
            note(key, "\(text) is no time zone of the tz database, such as Europe/Berlin")
        case .list, .variables, .roles, .budget: break
        }
        return nil
    }

    func text(_ key: String) -> String? { node(key).flatMap { text(of: $0, key) } }

    /// Names and their texts in the order of the file; an absent map is empty.
    func map(_ key: String) -> [Variable] {
        guard let section = section(key) else { return [] }
        return section.keys.compactMap { name in
            section.text(name).map { Variable(name: name, value: $0, line: section.lineOf(name)) }
        }
    }

    private func seconds(_ key: String, _ text: String, in range: ClosedRange<Int>) -> FieldValues.Value? {
        let factors: [Character: Int] = ["s": 1, "m": 60, "h": 3600]
        guard let factor = text.last.flatMap({ factors[$0] }), let number = Int(text.dropLast()), number > 0 else {
            note(key, "\(key) must be a number and a unit, such as 90s, 10m or 2h, not \(text)")
            return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, range.contains(product) else {
            let bounds = "from \(Self.spoken(range.lowerBound)) to \(Self.spoken(range.upperBound))"
            note(key, "\(key) must be \(bounds), not \(text)")
            return nil
        }
        return .integer(product)
    }

    private static func spoken(_ seconds: Int) -> String {
        if seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        return seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s"
    }

    private func schedule(_ key: String, _ text: String) -> FieldValues.Value? {
        if text == "manual" { return .schedule(nil) }
        do {
            return .schedule(try Cron(text))
        } catch {
            note(key, "the schedule \(text) \(error)")
            return nil
        }
    }

    private func list(_ key: String, _ pattern: Pattern?) -> [Located<String>]? {
        guard let found = node(key) else { return nil }
        guard case .sequence(let sequence) = found.value else {
            note(key, "\(key) must be a list")
            return nil
        }
        let items = sequence.compactMap { node in
            text(of: Located(node, line: node.line), "an item of \(key)").map { Located($0, line: node.line) }
        }
        guard let pattern else { return items }
        for item in items where !pattern.fits(item.value) {
            log.add(item.line, "\(owner(of: key)): \(item.value) is not \(pattern.meaning)")
        }
        return items
    }

    private func roles(_ key: String) -> [RoleGrant] {
        guard let scopes = section(key) else { return [] }
        return scopes.keys.map {
            RoleGrant(scope: $0, line: scopes.lineOf($0), roles: scopes.list($0, nil) ?? [])
        }
    }

    private func budget(_ key: String) -> Budget? {
        guard let found = node(key),
            let parts = Section(found.value, "\(owner(of: key)), \(key)", keys: Budget.keys, log: log)
        else { return nil }
        if parts.nodes.isEmpty { note(key, "\(key) must have requests, bytes or both") }
        var budget = Budget()
        if let text = parts.text("requests") {
            budget.requests = Int(text).flatMap { Budget.allowedRequests.contains($0) ? $0 : nil }
            if budget.requests == nil { parts.note("requests", Budget.complaint(requests: text)) }
        }
        if let text = parts.text("bytes") {
            budget.bytes = Budget.bytes(text)
            if budget.bytes == nil { parts.note("bytes", Budget.complaint(bytes: text)) }
        }
        return budget
    }

    /// The keys under a key, which are free.
    private func section(_ key: String) -> Section? {
        node(key).flatMap { Section($0.value, "\(owner(of: key)), \(key)", keys: nil, log: log) }
    }

    private func text(of found: Located<Node>, _ key: String) -> String? {
        guard case .scalar(let scalar) = found.value, !scalar.string.isEmpty else {
            log.add(found.line, "\(name): \(key) must be a word or a number")
            return nil
        }
        return scalar.string
    }
}

extension Node {
    var line: Int { mark?.line ?? 1 }
}
