import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import GoogleCredentials
@testable import Warehouse

@Suite struct TableDDLTests {
    private let reference = TableReference(DatasetID("acme_test")!, "plans")!

    private static func partitioned(_ type: String, _ unit: String, field: String? = "c") -> Table {
        Table(
            fields: [FieldSchema("c", type)], timePartitioning: Table.TimePartitioning(type: unit, field: field))
    }

    @Test func saysEverythingThatAFileSays() {
        var table = Table(
            description: "Plans, \"all\" of them.",
            fields: [
                FieldSchema("day", "DATE", mode: .required, description: "Of use."),
                FieldSchema("name", "STRING", attributes: ["maxLength": .string("20")]),
                FieldSchema("price", "NUMERIC", attributes: ["precision": .string("10"), "scale": .string("2")]),
                FieldSchema("tags", "STRING", mode: .repeated, description: "Own."),
                FieldSchema(
                    "periods", "RECORD", mode: .repeated, description: "Both.",
                    fields: [
                        FieldSchema("start", "TIMESTAMP", mode: .required, description: "From."),
                        FieldSchema("of", "RECORD", fields: [FieldSchema("n", "INTEGER")]),
                    ]),
            ], timePartitioning: Table.TimePartitioning(type: "DAY", field: "day", expirationMs: "129600000"),
            clustering: Table.Clustering(fields: ["name", "price"]), labels: ["b": "2", "a": "1"])
        table.requirePartitionFilter = true

        #expect(
            TableDDL.statement(reference, table) == #"""
                CREATE TABLE IF NOT EXISTS `acme_test.plans` (
                  `day` DATE NOT NULL OPTIONS (description = "Of use."),
                  `name` STRING(20),
                  `price` NUMERIC(10, 2),
                  `tags` ARRAY<STRING> OPTIONS (description = "Own."),
                  `periods` ARRAY<STRUCT<`start` TIMESTAMP NOT NULL OPTIONS (description = "From."), `of` STRUCT<`n` INT64>>> OPTIONS (description = "Both.")
                )
                PARTITION BY `day`
                CLUSTER BY `name`, `price`
                OPTIONS (description = "Plans, \"all\" of them.", labels = [("a", "1"), ("b", "2")], partition_expiration_days = 1.5, require_partition_filter = TRUE);
                """#)
    }

    @Test(arguments: [
        (partitioned("DATE", "DAY"), "`c`"), (partitioned("DATE", "MONTH"), "DATE_TRUNC(`c`, MONTH)"),
        (partitioned("TIMESTAMP", "DAY"), "TIMESTAMP_TRUNC(`c`, DAY)"),
        (partitioned("TIMESTAMP", "HOUR"), "TIMESTAMP_TRUNC(`c`, HOUR)"),
        (partitioned("DATETIME", "YEAR"), "DATETIME_TRUNC(`c`, YEAR)"),
        (partitioned("DATE", "DAY", field: nil), "_PARTITIONDATE"),
        (partitioned("DATE", "HOUR", field: nil), "TIMESTAMP_TRUNC(_PARTITIONTIME, HOUR)"),
    ])
    func partitions(_ table: Table, _ expression: String) {
        let statement = TableDDL.statement(reference, table)

        #expect(statement.hasSuffix("\n)\nPARTITION BY \(expression);"))
    }

    @Test func saysNothingThatTheFileDoesNotSay() {
        #expect(
            TableDDL.statement(reference, Table(fields: [FieldSchema("c", "DATE")])) == """
                CREATE TABLE IF NOT EXISTS `acme_test.plans` (
                  `c` DATE
                );
                """)
    }

    @Test func leavesToTheAPIWhatAStatementCannotSay() throws {
        var ranged = Table(fields: [FieldSchema("c", "INT64")])
        ranged.rangePartitioning = try .text(#"{"field": "c"}"#)
        let tagged = FieldSchema("c", "STRING", attributes: ["policyTags": .object([:])])
        let sized = FieldSchema("c", "STRING", attributes: ["maxLength": .string("20")])

        #expect(!TableDDL.canExpress(ranged))
        #expect(!TableDDL.canExpress(Table(fields: [tagged])))
        #expect(!TableDDL.canExpress(Table(fields: [FieldSchema("r", "RECORD", fields: [tagged])])))
        #expect(TableDDL.canExpress(Table(fields: [sized, FieldSchema("r", "RECORD", fields: [sized])])))
    }

    @Test func createsInOneScriptWhatItCanAndTheRestOneByOne() async throws {
        let plain = NamedTable("plain", Table(fields: [FieldSchema("c", "DATE")]))
        let tagged = NamedTable(
            "tagged", Table(fields: [FieldSchema("c", "STRING", attributes: ["policyTags": .object([:])])]))
        let fixture = try BigQueryFixture([.json("{}"), .json(#"{"jobComplete": true}"#)])

        try await fixture.warehouse.createTables([plain, tagged], in: reference.dataset)

        let requests = fixture.server.requests
        #expect(
            requests.map(\.path) == [
                "\(BigQueryFixture.path)/datasets/acme_test/tables", "\(BigQueryFixture.path)/queries",
            ])
        #expect(
            requests[1].jsonBody["query"]?.string
                == "CREATE TABLE IF NOT EXISTS `acme_test.plain` (\n  `c` DATE\n);")
    }
}
