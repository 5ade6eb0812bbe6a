import BigQueryWarehouse
import EmbeddedWarehouse
import Testing
import Warehouse

extension WarehouseContract {
    static let datasetClauses = [
        Clause("a dataset is read as it was created") { contract in
            let id = try contract.datasetID("dataset")
            let dataset = Dataset(
                id: id, location: contract.warehouse.location, description: "Costs of \"Acme\", café №1",
                labels: ["environment": "prod", "org": "acme"])

            #expect(try await contract.warehouse.createDataset(dataset))

            let found = try #require(try await contract.warehouse.dataset(id))
            #expect(found.id == id)
            #expect(found.location.lowercased() == dataset.location.lowercased())
            #expect(found.description == dataset.description)
            #expect(found.labels == dataset.labels)
        },
        Clause("a dataset created again is left as it is") { contract in
            let id = try contract.datasetID("dataset_again")
            let first = Dataset(
                id: id, location: contract.warehouse.location, description: "first", labels: ["org": "acme"])
            #expect(try await contract.warehouse.createDataset(first))

            let second = Dataset(
                id: id, location: contract.warehouse.location, description: "second", labels: ["org": "other"])
            #expect(try await contract.warehouse.createDataset(second) == false)

            let found = try #require(try await contract.warehouse.dataset(id))
            #expect(found.description == "first")
            #expect(found.labels == ["org": "acme"])
        },
        Clause("a dataset without description and labels has none") { contract in
            let id = try await contract.newDataset("plain_dataset")

            let found = try #require(try await contract.warehouse.dataset(id))
            #expect(found.description == nil)
            #expect(found.labels.isEmpty)
        },
        Clause("a missing dataset is nil and has no tables") { contract in
            let id = try contract.datasetID("missing_dataset")
            let reference = try contract.reference(id, "costs")

            #expect(try await contract.warehouse.dataset(id) == nil)
            #expect(try await contract.warehouse.table(reference) == nil)
            await contract.expect(.notFound) { _ = try await contract.warehouse.tables(in: id) }
        },
        Clause("tables are listed by name") { contract in
            let id = try await contract.newDataset("listed")
            #expect(try await contract.warehouse.tables(in: id) == [])
            let table = Table(fields: [FieldSchema("id", "STRING")])

            try await contract.warehouse.createTables(
                ["zeta", "alpha", "Mid", "beta_2"].map { NamedTable($0, table) }, in: id)

            #expect(try await contract.warehouse.tables(in: id) == ["Mid", "alpha", "beta_2", "zeta"])
        },
    ]
}
