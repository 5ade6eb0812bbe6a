import Foundation

/// What each job uses in BigQuery: `deploy/access.json`. A test records it from the requests and statements that the jobs send
/// (`scripts/record-access.sh`), and fails where it is not what they use.
package struct AccessList: Sendable {
    struct Use: Decodable, Sendable {
        /// `project`, a dataset, or `dataset.table`. What concerns the datasets of organizations is on the project.
        var on: String
        /// In words, such as `reads rows, deletes rows`.
        var does: String
        var permissions: Set<String>

        /// `nil` for the project.
        var dataset: String? { on == "project" ? nil : String(on.prefix { $0 != "." }) }
    }

    let uses: [String: [Use]]

    package init(_ json: String) throws {
        uses = try JSONDecoder().decode([String: [Use]].self, from: Data(json.utf8))
    }
}

/// A role of a job's account on `project`, a dataset or `dataset.table`.
struct AccessGrant: Hashable {
    var job: String
    var on: String
    var role: String
}

extension JobsFile {
    /// The roles of a job: those of `jobs.yaml`, and the narrowest ones for everything that the job uses beside them. Uses that no
    /// role covers are noted.
    ///
    /// - A role on the project holds for its datasets, and one on a dataset for its tables.
    /// - A job that creates the tables of a dataset has all of its roles there on the dataset. It uses the tables as soon as it has
    ///   created them, before anybody could bind a role to them.
    func grants(of job: JobDefinition, noting uncovered: (AccessList.Use) -> Void = { _ in }) -> [AccessGrant] {
        var held: [String: Set<String>] = [:]
        var grants: [AccessGrant] = []
        func give(_ role: String, on place: String) {
            grants.append(AccessGrant(job: job.name, on: place, role: role))
            held[place, default: []].formUnion(permissions(of: role))
        }
        for given in job.roles { given.roles.forEach { give($0.value, on: given.scope) } }
        let uses = access?.uses[job.name] ?? []
        let own = Set(uses.filter { $0.permissions.contains("bigquery.tables.create") }.map(\.on))
        var needs: [String: Set<String>] = [:]
        for use in uses {
            let place = use.dataset.flatMap { own.contains($0) ? $0 : nil } ?? use.on
            needs[place, default: []].formUnion(use.permissions)
        }
        // The project comes first, then datasets, then tables.
        let places = needs.keys.sorted { (level(of: $0), $0) < (level(of: $1), $1) }
        for place in places {
            let above = ["project", String(place.prefix { $0 != "." }), place].compactMap { held[$0] }
            let missing = above.reduce(needs[place] ?? []) { $0.subtracting($1) }
            guard let roles = narrowestRoles(with: missing, on: place) else {
                uncovered(AccessList.Use(on: place, does: "", permissions: missing))
                continue
            }
            roles.forEach { give($0, on: place) }
        }
        return grants
    }

    private func level(of place: String) -> Int { place == "project" ? 0 : place.contains(".") ? 2 : 1 }

    func permissions(of role: String) -> Set<String> {
        customRoles.first { $0.name == role }.map { Set($0.permissions) } ?? AccessRules.predefined[role] ?? []
    }

    /// At most three roles that have these permissions together, and the fewest others; `nil` if there are none.
    private func narrowestRoles(with permissions: Set<String>, on place: String) -> [String]? {
        if permissions.isEmpty { return [] }
        let names = customRoles.map(\.name) + AccessRules.predefined.keys.sorted()
        let roles = names.filter { !(place == "project" && AccessRules.onDatasetsOnly.contains($0)) }
            .map { (name: $0, permissions: self.permissions(of: $0)) }
            .filter { !$0.permissions.isDisjoint(with: permissions) }
        var sets = [(names: [String](), permissions: Set<String>())]
        for role in roles {
            sets += sets.filter { $0.names.count < 3 }.map {
                ($0.names + [role.name], $0.permissions.union(role.permissions))
            }
        }
        return sets.filter { permissions.isSubset(of: $0.permissions) }
            .min { ($0.permissions.count, $0.names.count) < ($1.permissions.count, $1.names.count) }?.names
    }
}
