import Yams

/// Reads the text of `jobs.yaml` into values. Everything that is wrong is reported at once, with its line.
package struct JobsFileReader {
    let log = ProblemLog()

    package static func read(_ yaml: String) throws(Problems) -> JobsFile {
        let reader = JobsFileReader()
        guard let file = reader.file(try root(of: yaml)) else { throw Problems(reader.log.problems) }
        FileRules(file: file, log: reader.log).check()
        guard reader.log.problems.isEmpty else { throw Problems(reader.log.problems) }
        return file
    }

    private static func root(of yaml: String) throws(Problems) -> Node {
        do {
            guard let node = try compose(yaml: yaml) else {
                throw Problems([Problem(line: 1, message: "the file is empty")])
            }
            return node
        } catch let problems as Problems {
            throw problems
        } catch {
            throw Problems([syntaxProblem(error)])
        }
    }

    private static func syntaxProblem(_ error: any Error) -> Problem {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            Problem(line: mark.line, message: "not YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            Problem(line: context.mark.line, message: "the key \(keys.joined(separator: ", ")) is there twice")
        default:
            Problem(line: 1, message: "not YAML: \(error)")
        }
    }

    private func file(_ root: Node) -> JobsFile? {
        guard let top = Section(root, "the file", keys: JobsFile.keys, log: log) else { return nil }
        let environments = named(top, "environments", EnvironmentDefinition.keys, environment)
        let roles = top.node("custom_roles") == nil ? [] : named(top, "custom_roles", CustomRole.keys, customRole)
        let defaults = top.node("defaults").flatMap {
            Section($0.value, "defaults", keys: JobDefinition.defaultKeys, log: log)
        }
        let jobs = jobs(top, defaults: defaults?.nodes ?? [:])
        let datasets = top.map("datasets").map { (name: $0.name, description: $0.text) }
        return JobsFile(environments: environments, customRoles: roles, datasets: datasets, jobs: jobs)
    }

    /// The members of a mapping whose keys are names.
    private func named<Value>(
        _ top: Section, _ key: String, _ keys: [String], _ read: (String, Section) -> Value?
    ) -> [Value] {
        guard let found = top.required(key), let all = Section(found.value, key, keys: nil, log: log) else { return [] }
        return all.keys.compactMap { name in
            guard let member = all.node(name) else { return nil }
            guard var section = Section(member.value, "\(key) \(name)", keys: keys, log: log) else { return nil }
            section.line = member.line
            return read(name, section)
        }
    }

    private func jobs(_ top: Section, defaults: [String: Located<Node>]) -> [JobDefinition] {
        guard let found = top.required("jobs") else { return [] }
        guard case .sequence(let list) = found.value else {
            log.add(found.line, "jobs must be a list")
            return []
        }
        return list.enumerated().compactMap { index, node in
            let title = node.mapping?["name"]?.scalar?.string ?? "number \(index + 1)"
            guard var section = Section(node, "job \(title)", keys: JobDefinition.keys, log: log) else { return nil }
            section.fallback = defaults
            return job(section)
        }
    }

    private func customRole(_ name: String, _ section: Section) -> CustomRole? {
        let title = section.text("title")
        let permissions = section.list("permissions")
        if permissions.isEmpty { log.add(section.line, "\(section.name) lacks permissions") }
        guard let title else { return nil }
        return CustomRole(name: name, line: section.line, title: title.value, permissions: permissions.map(\.value))
    }
}
