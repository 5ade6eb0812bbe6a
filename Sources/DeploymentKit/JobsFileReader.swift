import Yams

/// Reads the text of `jobs.yaml` into values. Everything that is wrong is reported at once, with its line.
package struct JobsFileReader {
    private let log = ProblemLog()

    /// - Parameters:
    ///   - manifest: The text of `Package.swift`, if its executables are to be compared.
    ///   - access: What the jobs use.
    ///
    /// A value that cannot be read is replaced by a harmless one, so that everything else is still checked.
    package static func read(
        _ yaml: String, manifest: String? = nil, access: AccessList? = nil
    ) throws(Problems) -> JobsFile {
        let reader = JobsFileReader()
        guard let root = reader.root(of: yaml), var file = reader.file(root) else {
            throw Problems(reader.log.problems)
        }
        file.access = access
        FileRules(file: file, log: reader.log).check()
        if let manifest { TargetRules(file: file).problems(manifest: manifest).forEach(reader.log.add) }
        guard reader.log.problems.isEmpty else { throw Problems(reader.log.problems) }
        return file
    }

    private func file(_ root: Node) -> JobsFile? {
        guard let top = Section(root, "the file", keys: JobsFile.keys, log: log) else { return nil }
        let environments = named(top, "environments", EnvironmentDefinition.fields, environment)
        let roles = top.node("custom_roles") == nil ? [] : named(top, "custom_roles", CustomRole.fields, customRole)
        let defaults = top.node("defaults").flatMap {
            Section($0.value, "defaults", keys: JobDefinition.fields.filter(\.mayBeDefault).map(\.key), log: log)
        }
        let jobs = jobs(top, defaults: defaults?.nodes ?? [:])
        return JobsFile(
            environments: environments, customRoles: roles, datasets: top.map("datasets"),
            variables: defaults?.map("environment") ?? [], jobs: jobs)
    }

    /// The members of a mapping whose keys are names.
    private func named<Value>(
        _ top: Section, _ key: String, _ fields: [Field], _ read: (String, Section) -> Value
    ) -> [Value] {
        guard let found = top.required(key), let all = Section(found.value, key, keys: nil, log: log) else { return [] }
        if all.keys.isEmpty { log.add(found.line, "\(key) is empty") }
        return all.keys.compactMap { name in
            guard let member = all.node(name) else { return nil }
            let title = "\(key) \(name)"
            guard var section = Section(member.value, title, keys: fields.map(\.key), log: log) else { return nil }
            section.line = member.line
            return read(name, section)
        }
    }

    private func environment(_ name: String, _ section: Section) -> EnvironmentDefinition {
        if !EnvironmentDefinition.names.contains(name) {
            let names = EnvironmentDefinition.names.joined(separator: ", ")
            log.add(section.line, "\(section.name): the jobs know the environments \(names)")
        }
        return EnvironmentDefinition(name: name, values: section.values(of: EnvironmentDefinition.fields))
    }

    private func customRole(_ name: String, _ section: Section) -> CustomRole {
        let role = CustomRole(name: name, values: section.values(of: CustomRole.fields))
        if section.node("permissions") != nil, role.permissions.isEmpty {
            log.add(section.line, "\(section.name) has no permissions")
        }
        return role
    }

    private func jobs(_ top: Section, defaults: [String: Located<Node>]) -> [JobDefinition] {
        guard let found = top.required("jobs") else { return [] }
        guard case .sequence(let list) = found.value else {
            log.add(found.line, "jobs must be a list")
            return []
        }
        if list.isEmpty { log.add(found.line, "jobs is empty") }
        return list.enumerated().compactMap { index, node in
            let title = "job \(node.mapping?["name"]?.scalar?.string ?? "number \(index + 1)")"
            guard var section = Section(node, title, keys: JobDefinition.fields.map(\.key), log: log) else {
                return nil
            }
            // Variables are added to those of the defaults; all else replaces them.
            section.fallback = defaults.filter { $0.key != "environment" }
            return job(section)
        }
    }

    private func job(_ section: Section) -> JobDefinition {
        let values = section.values(of: JobDefinition.fields)
        if let cpu = values.text("cpu").flatMap({ Int($0) }), let range = TaskSize.memory[cpu],
            let memory = values.text("memory").flatMap(TaskSize.mebibytes), !range.contains(memory)
        {
            let bounds = "\(range.lowerBound)Mi to \(range.upperBound)Mi"
            section.note("memory", "with cpu \(cpu) memory must be from \(bounds), not \(section.text("memory") ?? "")")
        }
        // A name in a wrong form is still a name: the file may have it twice.
        let name = section.node("name").flatMap(\.value.scalar?.string)
        return JobDefinition(name: name ?? "", values: values)
    }

    // MARK: YAML

    /// The tree of the text. A key that appears twice is reported, and its second mention is left out.
    private func root(of yaml: String) -> Node? {
        var text = yaml
        while true {
            do {
                if let node = try compose(yaml: text) { return node }
                log.add(1, "the file is empty")
                return nil
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                log.add(context.mark.line, "the key \(keys.joined(separator: ", ")) appears twice")
                guard let key = keys.first, let rest = Self.text(text, withoutSecond: key, after: context.mark) else {
                    return nil
                }
                text = rest
            } catch {
                noteSyntax(error)
                return nil
            }
        }
    }

    private func noteSyntax(_ error: any Error) {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            log.add(mark.line, "not YAML: \(problem)")
        default:
            log.add(1, "not YAML: \(error)")
        }
    }

    /// Blanks the second mention of a key, with what is indented below it; `nil` if it does not begin a line.
    private static func text(_ text: String, withoutSecond key: String, after first: Mark) -> String? {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let margin = String(repeating: " ", count: first.column - 1)
        guard let start = lines.indices.dropFirst(first.line).first(where: { lines[$0].hasPrefix("\(margin)\(key):") })
        else { return nil }
        lines[start] = ""
        for index in lines.indices.dropFirst(start + 1) {
            let line = lines[index]
            let belongs = ["\(margin) ", "\(margin)- "].contains { line.hasPrefix($0) }
            guard belongs || line.allSatisfy({ $0 == " " }) else { break }
            lines[index] = ""
        }
        return lines.joined(separator: "\n")
    }
}
