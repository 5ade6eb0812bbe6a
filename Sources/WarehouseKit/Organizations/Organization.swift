import JobRuntime

/// A customer organization, as `organizations.org_profiles` has it.
package struct Organization: Hashable, Sendable {
    /// Checked: 1 to 128 ASCII letters, digits and underscores, so that it may be part of a dataset's name.
    package let slug: String
    /// What the profile says; may be empty, or no dataset name at all.
    package let datasetName: String

    package init?(slug: String, datasetName: String) {
        guard Self.isValid(slug: slug) else { return nil }
        self.slug = slug
        self.datasetName = datasetName
    }

    package static func isValid(slug: String) -> Bool {
        (1...128).contains(slug.utf8.count) && slug.utf8.allSatisfy(\.isWordCharacter)
    }

    package static let slugRule = "1 to 128 ASCII letters, digits and underscores"

    /// The dataset that is the organization's: the one that the profile names, else `{slug}_{environment}`.
    package func dataset(in environment: DeploymentEnvironment) -> (id: DatasetID?, problem: String?) {
        let standard = DatasetID("\(slug)_\(environment.rawValue)")
        var trimmed = datasetName.drop { $0.isWhitespace }
        while trimmed.last?.isWhitespace == true { trimmed.removeLast() }
        let name = String(trimmed)
        guard !name.isEmpty else { return (standard, nil) }
        guard let id = DatasetID(name) else {
            return (
                standard,
                "org_dataset_id \(quoted(datasetName)) is no dataset name; \(standard?.name ?? "") was used instead"
            )
        }
        guard id.name.lowercased() != Catalog.organizationsDataset.name,
            id.name.lowercased() != Catalog.operationsDataset.name
        else { return (nil, "org_dataset_id \(id) is one of the service's own datasets") }
        return (id, nil)
    }
}
