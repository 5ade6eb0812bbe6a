/// A dataset that is there or is wanted.
package struct Dataset: Hashable, Sendable {
    package var id: DatasetID
    /// `US`, `EU` or a region such as `europe-west1`; names compare without case.
    package var location: String
    package var description: String?
    package var labels: [String: String]

    package init(id: DatasetID, location: String, description: String? = nil, labels: [String: String] = [:]) {
        self.id = id
        self.location = location
        self.description = description
        self.labels = labels
    }
}
