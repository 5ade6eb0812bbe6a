import FoundationEssentials
import HTTPTransport

extension BigQueryWarehouse {
    package func dataset(_ id: DatasetID) async throws -> Dataset? {
        let call = BigQueryAPI.Call(
            method: .datasetsGet, path: "/datasets/\(id)", operation: "read dataset \(id)", scope: .dataset)
        return try await whereFound {
            try api.decode(DatasetResource.self, from: try await api.send(call), of: call).dataset
        }
    }

    package func createDataset(_ dataset: Dataset) async throws -> Bool {
        let call = BigQueryAPI.Call(
            method: .datasetsInsert, verb: .post, path: "/datasets",
            body: try JSONEncoder().encode(DatasetResource(dataset, in: api.project)),
            operation: "create dataset \(dataset.id)",
            scope: .project)
        return try await isCreated {
            _ = try await api.send(call)
        } isAsMade: {
            guard try await self.dataset(dataset.id)?.location.lowercased() == dataset.location.lowercased() else {
                return false
            }
            return try await tables(in: dataset.id).isEmpty
        }
    }

    /// Every dataset of the project with its location. One request for each thousand.
    func locationsOfDatasets() async throws -> [DatasetID: String] {
        var locations: [DatasetID: String] = [:]
        var pageToken = ""
        repeat {
            let call = BigQueryAPI.Call(
                method: .datasetsList, path: "/datasets", query: page(pageToken), operation: "list the datasets",
                scope: .project)
            let page = try api.decode(DatasetList.self, from: try await api.send(call), of: call)
            for item in page.datasets ?? [] {
                if let id = DatasetID(item.datasetReference.datasetId) { locations[id] = item.location ?? location }
            }
            pageToken = page.nextPageToken ?? ""
        } while !pageToken.isEmpty
        return locations
    }

    func page(_ token: String) -> [(name: String, value: String)] {
        [("maxResults", "1000")] + (token.isEmpty ? [] : [("pageToken", token)])
    }

    func whereFound<Value>(_ read: () async throws -> Value?) async throws -> Value? {
        do {
            return try await read()
        } catch let error as WarehouseError where error.code == .notFound {
            return nil
        }
    }

    /// - Parameter isAsMade: Is asked where the thing is there and an earlier attempt may have made it: whether it looks as if
    ///   it had just been made. It counts as created then, and nobody needs to look at it again.
    func isCreated(
        _ create: () async throws -> Void, isAsMade: () async throws -> Bool
    ) async throws -> Bool {
        do {
            try await create()
            return true
        } catch let error as WarehouseError where error.code == .alreadyExists {
            return error.mayHaveBeenDone ? try await isAsMade() : false
        }
    }
}

/// https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets#Dataset
private struct DatasetResource: Codable {
    struct Reference: Codable {
        var projectId: String?
        var datasetId: String
    }

    var datasetReference: Reference
    var location: String?
    var description: String?
    var labels: [String: String]?

    init(_ dataset: Dataset, in project: ProjectID) {
        datasetReference = Reference(projectId: project.name, datasetId: dataset.id.name)
        location = dataset.location
        description = dataset.description
        labels = dataset.labels.isEmpty ? nil : dataset.labels
    }

    var dataset: Dataset? {
        DatasetID(datasetReference.datasetId).map {
            Dataset(id: $0, location: location ?? "US", description: description, labels: labels ?? [:])
        }
    }
}

private struct DatasetList: Decodable {
    struct Item: Decodable {
        struct Reference: Decodable {
            var datasetId: String
        }

        var datasetReference: Reference
        var location: String?
    }

    var datasets: [Item]?
    var nextPageToken: String?
}
