import BigQueryWarehouse
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing
import Warehouse

/// What goes over the wire for datasets and tables.
@Suite struct ResourceRequestTests {
    private let dataset = DatasetID("acme_test")!
    private let reference = TableReference(DatasetID("acme_test")!, "plans")!

    @Test func readsADataset() async throws {
        let fixture = try BigQueryFixture([
            .json(
                #"{"datasetReference": {"projectId": "acme-test-1", "datasetId": "acme_test", "projectId": "p"}, "location": "EU", "description": "d", "labels": {"a": "b"}, "etag": "x"}"#
            )
        ])

        let found = try await fixture.warehouse.dataset(dataset)

        #expect(found == Dataset(id: dataset, location: "EU", description: "d", labels: ["a": "b"]))
        let request = try #require(fixture.server.requests.first)
        #expect(request.method == "GET")
        #expect(request.target == "\(BigQueryFixture.path)/datasets/acme_test")
    }

    @Test func createsADataset() async throws {
        let fixture = try BigQueryFixture([.json("{}")])

        let isNew = try await fixture.warehouse.createDataset(
            Dataset(id: dataset, location: "EU", description: "d", labels: ["env": "test"]))

        #expect(isNew)
        let request = try #require(fixture.server.requests.first)
        #expect(request.method == "POST")
        #expect(request.target == "\(BigQueryFixture.path)/datasets")
        #expect(request.headers["Content-Type"] == "application/json")
        #expect(
            request.jsonBody
                == (try .text(
                    #"{"datasetReference": {"projectId": "acme-test-1", "datasetId": "acme_test"}, "location": "EU", "description": "d", "labels": {"env": "test"}}"#
                )))
    }

    @Test func readsATableWithoutItsStatistics() async throws {
        let fixture = try BigQueryFixture([
            .json(
                #"{"kind": "bigquery#table", "etag": "e1", "type": "TABLE", "schema": {"fields": [{"name": "a", "type": "INTEGER", "mode": "REQUIRED"}]}, "numRows": "0"}"#
            )
        ])

        let table = try await fixture.warehouse.table(reference)

        #expect(table?.etag == "e1")
        #expect(table?.schema.fields == [FieldSchema("a", "INTEGER", mode: .required)])
        #expect(
            fixture.server.requests[0].target == "\(BigQueryFixture.path)/datasets/acme_test/tables/plans?view=BASIC")
    }

    @Test func readsATableWithoutColumns() async throws {
        let fixture = try BigQueryFixture([.json(#"{"etag": "e1", "type": "TABLE", "schema": {}}"#)])

        #expect(try await fixture.warehouse.table(reference)?.schema.fields == [])
    }

    @Test func listsTablesPageByPage() async throws {
        let fixture = try BigQueryFixture([
            .json(
                #"{"tables": [{"tableReference": {"tableId": "b"}}, {"tableReference": {"tableId": "c"}}], "nextPageToken": "p 2/="}"#
            ),
            .json(#"{"tables": [{"tableReference": {"tableId": "a"}}], "nextPageToken": ""}"#),
        ])

        let names = try await fixture.warehouse.tables(in: dataset)

        #expect(names == ["a", "b", "c"])
        let requests = fixture.server.requests
        #expect(requests.map(\.path) == Array(repeating: "\(BigQueryFixture.path)/datasets/acme_test/tables", count: 2))
        #expect(requests[0].query == ["maxResults": "1000"])
        #expect(requests[1].query == ["maxResults": "1000", "pageToken": "p 2/="])
    }

    @Test func listsNoTablesOfAnEmptyDataset() async throws {
        let fixture = try BigQueryFixture([.json(#"{"kind": "bigquery#tableList", "totalItems": 0}"#)])

        #expect(try await fixture.warehouse.tables(in: dataset) == [])
    }

    @Test func createsATable() async throws {
        var table = Table(
            description: "Plans.",
            fields: [
                FieldSchema("day", "DATE", mode: .required, description: "Of use."),
                FieldSchema(
                    "r", "RECORD", mode: .repeated,
                    fields: [FieldSchema("b", "STRING", attributes: ["maxLength": .string("20")])]),
            ], timePartitioning: Table.TimePartitioning(type: "DAY", field: "day", expirationMs: "1000"),
            clustering: Table.Clustering(fields: ["day"]), labels: ["a": "b"])
        table.requirePartitionFilter = true
        let fixture = try BigQueryFixture([.json("{}")])

        let isNew = try await fixture.warehouse.createTable(reference, table)

        #expect(isNew)
        let request = try #require(fixture.server.requests.first)
        #expect(request.method == "POST")
        #expect(request.target == "\(BigQueryFixture.path)/datasets/acme_test/tables")
        #expect(
            request.jsonBody
                == (try .text(
                    """
                    {"tableReference": {"projectId": "acme-test-1", "datasetId": "acme_test", "tableId": "plans"}, "description": "Plans.",
                     "schema": {"fields": [
                       {"name": "day", "type": "DATE", "mode": "REQUIRED", "description": "Of use."},
                       {"name": "r", "type": "RECORD", "mode": "REPEATED", "fields": [
                         {"name": "b", "type": "STRING", "mode": "NULLABLE", "maxLength": "20"}]}]},
                     "timePartitioning": {"type": "DAY", "field": "day", "expirationMs": "1000"},
                     "requirePartitionFilter": true, "clustering": {"fields": ["day"]}, "labels": {"a": "b"}}
                    """)))
    }

    @Test func compressesALargeTable() async throws {
        let fields = (0..<200).map { FieldSchema("column_\($0)", "STRING", description: "Column number \($0).") }
        let fixture = try BigQueryFixture([.json("{}")])

        _ = try await fixture.warehouse.createTable(reference, Table(fields: fields))

        let request = try #require(fixture.server.requests.first)
        #expect(request.headers["Content-Encoding"] == "gzip")
        #expect(request.rawBody.count < request.body.count)
        #expect(request.jsonBody["schema"]?["fields"]?.array?.count == 200)
    }

    @Test func replacesASchemaInTheVersionThatWasRead() async throws {
        let fixture = try BigQueryFixture([.json("{}")])

        try await fixture.warehouse.updateSchema(
            of: reference, to: [FieldSchema("a", "STRING", mode: .required), FieldSchema("b", "DATE")],
            ifMatch: "e1==")

        let request = try #require(fixture.server.requests.first)
        #expect(request.method == "PATCH")
        #expect(request.target == "\(BigQueryFixture.path)/datasets/acme_test/tables/plans")
        #expect(request.headers["If-Match"] == "e1==")
        #expect(
            request.jsonBody
                == (try .text(
                    #"{"schema": {"fields": [{"name": "a", "type": "STRING", "mode": "REQUIRED"}, {"name": "b", "type": "DATE", "mode": "NULLABLE"}]}}"#
                )))
    }

    @Test func answersNilForWhatIsNotThere() async throws {
        let fixture = try BigQueryFixture([.refusal(404, "notFound"), .refusal(404, "notFound")])

        #expect(try await fixture.warehouse.dataset(dataset) == nil)
        #expect(try await fixture.warehouse.table(reference) == nil)
    }

    @Test func saysWhatWasThereBefore() async throws {
        let fixture = try BigQueryFixture([.refusal(409, "duplicate"), .refusal(409, "duplicate")])

        #expect(try await fixture.warehouse.createDataset(Dataset(id: dataset, location: "US")) == false)
        #expect(try await fixture.warehouse.createTable(reference, Table(fields: [])) == false)
    }

    @Test func throwsForTheTablesOfADatasetThatIsNotThere() async throws {
        let fixture = try BigQueryFixture([.refusal(404, "notFound")])

        let error = await fixture.failure { _ = try await $0.tables(in: dataset) }

        #expect(error?.code == .notFound)
        #expect(error?.operation == "list the tables of acme_test")
    }
}
