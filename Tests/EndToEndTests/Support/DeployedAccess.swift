import Foundation
import TestSupport
import Testing

/// The `iam.json` of an environment, and changes of it.
struct DeployedAccess {
    private var members: [String: Any]

    init(environment: String) throws {
        let data = try Data(contentsOf: URL(filePath: Repository.path("deploy/generated/\(environment)/iam.json")))
        members = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    var json: Data { get throws { try JSONSerialization.data(withJSONObject: members) } }

    /// Before the tables exist, nothing can be bound to them.
    var withoutTables: DeployedAccess {
        var copy = self
        copy.members["tables"] = [Any]()
        return copy
    }

    /// Without the bindings of one job's account on a table, a dataset or the project.
    func without(_ job: String, on name: String) throws -> DeployedAccess {
        var copy = self
        var removed = 0
        func reduced(_ bindings: Any?) -> [[String: Any]] {
            (bindings as? [[String: Any]] ?? []).map { binding in
                var binding = binding
                let all = binding["members"] as? [String] ?? []
                let left = all.filter { !$0.contains("-\(job)@") }
                removed += all.count - left.count
                binding["members"] = left
                return binding
            }
        }
        if name == "project" { copy.members["project"] = reduced(members["project"]) }
        for kind in ["datasets", "tables"] {
            copy.members[kind] = (members[kind] as? [[String: Any]] ?? []).map { place in
                var place = place
                if place["name"] as? String == name { place["bindings"] = reduced(place["bindings"]) }
                return place
            }
        }
        try #require(removed > 0, "\(job) has nothing on \(name)")
        return copy
    }
}
