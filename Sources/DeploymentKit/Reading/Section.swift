import Yams

/// One mapping of the file, read key by key. What is wrong goes to the log, and the getter returns `nil`.
struct Section {
    /// What messages call it: `job org-sync-all`.
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
                let near = nearest(scalar.string, in: keys).map { "; did you mean \($0)?" } ?? ""
                log.add(key.line, "\(name) has the unknown key \(scalar.string)\(near)")
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

    func note(_ key: String, _ message: String) {
        log.add(lineOf(key), "\(owner(of: key)): \(message)")
    }

    /// Whom messages about a key name: a value of `defaults` is wrong once, not once for each job.
    func owner(of key: String) -> String {
        members[key] == nil && fallback[key] != nil ? "defaults" : name
    }

    /// Notes the absence of a key that must be there.
    func required(_ key: String) -> Located<Node>? {
        if let found = node(key) { return found }
        log.add(line, "\(name) lacks \(key)")
        return nil
    }
}

extension Node {
    var line: Int { mark?.line ?? 1 }
}
