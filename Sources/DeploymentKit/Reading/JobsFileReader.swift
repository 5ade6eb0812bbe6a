import Yams

/// Reads the text of `jobs.yaml` into values. Everything that is wrong is reported at once, with its line.
package struct JobsFileReader {
    let log = ProblemLog()

    /// - Parameter manifest: the text of `Package.swift`, if its executables are to be compared.
    ///
    /// What cannot be read is replaced by something harmless, so that everything else is still checked.
    package static func read(_ yaml: String, manifest: String? = nil) throws(Problems) -> JobsFile {
        let reader = JobsFileReader()
        guard let root = reader.root(of: yaml), let file = reader.file(root) else {
            throw Problems(reader.log.problems)
        }
        FileRules(file: file, log: reader.log).check()
        if let manifest { TargetRules().problems(file, manifest: manifest).forEach(reader.log.add) }
        guard reader.log.problems.isEmpty else { throw Problems(reader.log.problems) }
        return file
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
        return JobsFile(
            environments: environments, customRoles: roles, datasets: datasets,
            variables: defaults?.map("environment") ?? [], jobs: jobs)
    }

    /// The members of a mapping whose keys are names.
    private func named<Value>(
        _ top: Section, _ key: String, _ keys: [String], _ read: (String, Section) -> Value?
    ) -> [Value] {
        guard let found = top.required(key), let all = Section(found.value, key, keys: nil, log: log) else { return [] }
        if all.keys.isEmpty { log.add(found.line, "\(key) is empty") }
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
        if list.isEmpty { log.add(found.line, "jobs is empty") }
        return list.enumerated().compactMap { index, node in
            let title = node.mapping?["name"]?.scalar?.string ?? "number \(index + 1)"
            guard var section = Section(node, "job \(title)", keys: JobDefinition.keys, log: log) else { return nil }
            // Variables are added to those of the defaults; all else replaces them.
            section.fallback = defaults.filter { $0.key != "environment" }
            return job(section)
        }
    }

    private func customRole(_ name: String, _ section: Section) -> CustomRole? {
        let title = section.text("title")
        let permissions = section.list("permissions")
        if permissions.isEmpty { log.add(section.line, "\(section.name) lacks permissions") }
        return CustomRole(
            name: name, line: section.line, title: title?.value ?? "", permissions: permissions.map(\.value))
    }
}
