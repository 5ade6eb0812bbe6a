/// What `jobs.yaml` says.
package struct JobsFile: Sendable {
    package static let keys = ["environments", "custom_roles", "datasets", "defaults", "jobs"]

    package var environments: [EnvironmentDefinition]
    package var customRoles: [CustomRole]
    /// Datasets that roles are given on, with their descriptions.
    package var datasets: [(name: String, description: Located<String>)]
    /// Variables that every job has everywhere.
    package var variables: [(name: String, text: Located<String>)]
    package var jobs: [JobDefinition]

    /// What is allowed, but seldom meant.
    package var warnings: [Problem] { FileWarnings(file: self).all }
}

/// A role of our own, where no predefined one is narrow enough.
package struct CustomRole: Sendable {
    package static let keys = ["title", "permissions"]

    package var name: String
    package var line: Int
    package var title: String
    package var permissions: [String]
}
