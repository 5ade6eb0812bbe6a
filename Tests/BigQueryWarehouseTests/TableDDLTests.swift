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
            ], timePartitioning: Table.TimePartitioning(type: "DAY", field: "day"),
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
                OPTIONS (description = "Plans, \"all\" of them.", labels = [("a", "1"), ("b", "2")], require_partition_filter = TRUE);
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
        ranged.rangePartitioning = Table.RangePartitioning(field: "c", start: 0, end: 10, interval: 1)
        let tagged = FieldSchema("c", "STRING", attributes: ["policyTags": .object([:])])
        let sized = FieldSchema("c", "STRING", attributes: ["maxLength": .string("20")])

        var named = Table(fields: [sized])
        named.attributes["friendlyName"] = .string("Plans")
        // A statement with an expiration needs a permission to delete tables.
        let expiring = Table(
            fields: [FieldSchema("c", "DATE")],
            timePartitioning: Table.TimePartitioning(type: "DAY", field: "c", expirationMs: "129600000"))

        #expect(!TableDDL.canExpress(ranged))
        #expect(!TableDDL.canExpress(named))
        #expect(!TableDDL.canExpress(expiring))
        #expect(!TableDDL.canExpress(Table(fields: [tagged])))
        #expect(!TableDDL.canExpress(Table(fields: [FieldSchema("r", "RECORD", fields: [tagged])])))
        #expect(TableDDL.canExpress(Table(fields: [sized, FieldSchema("r", "RECORD", fields: [sized])])))
    }

    @Test func quotesFlexibleNames() {
        let table = Table(
            fields: [
                FieldSchema("Größe", "DATE"), FieldSchema("2nd", "STRING"),
                FieldSchema("order id", "RECORD", fields: [FieldSchema("a'b", "RANGE", attributes: Self.dates)]),
            ], timePartitioning: Table.TimePartitioning(type: "MONTH", field: "Größe"),
            clustering: Table.Clustering(fields: ["2nd"]))

        #expect(TableDDL.canExpress(table))
        #expect(
            TableDDL.statement(reference, table) == """
                CREATE TABLE IF NOT EXISTS `acme_test.plans` (
                  `Größe` DATE,
                  `2nd` STRING,
                  `order id` STRUCT<`a'b` RANGE<DATE>>
                )
                PARTITION BY DATE_TRUNC(`Größe`, MONTH)
                CLUSTER BY `2nd`;
                """)
    }

    private static let dates: [String: JSONValue] = ["rangeElementType": .object(["type": .string("DATE")])]

    @Test func addsColumns() {
        let old = [FieldSchema("a", "STRING", attributes: ["policyTags": .object(["names": .array([.string("t")])])])]
        let new = [
            FieldSchema("b", "STRING", description: "New.", attributes: ["collation": .string("und:ci")]),
            FieldSchema(
                "c", "NUMERIC", mode: .repeated,
                attributes: [
                    "precision": .string("10"), "scale": .string("0"), "roundingMode": .string("ROUND_HALF_EVEN"),
                ]),
            FieldSchema("d e", "RECORD", fields: [FieldSchema("f", "RANGE", attributes: Self.dates)]),
        ]

        #expect(
            TableDDL.additions(to: reference, from: old, to: old + new) == """
                ALTER TABLE `acme_test.plans`
                  ADD COLUMN IF NOT EXISTS `b` STRING COLLATE "und:ci" OPTIONS (description = "New."),
                  ADD COLUMN IF NOT EXISTS `c` ARRAY<NUMERIC(10)> OPTIONS (rounding_mode = "ROUND_HALF_EVEN"),
                  ADD COLUMN IF NOT EXISTS `d e` STRUCT<`f` RANGE<DATE>>;
                """)
    }

    @Test func leavesToTheAPIWhatAStatementCannotAdd() {
        let record = FieldSchema("r", "RECORD", fields: [FieldSchema("a", "STRING")])
        var wider = record
        wider.fields.append(FieldSchema("b", "STRING"))
        let tagged = FieldSchema("t", "STRING", attributes: ["policyTags": .object(["names": .array([.string("t")])])])
        let strict = FieldSchema("s", "RECORD", fields: [FieldSchema("a", "STRING", mode: .required)])

        for fields in [[wider], [wider, FieldSchema("b", "DATE")], [record, tagged], [record, strict], [record]] {
            #expect(TableDDL.additions(to: reference, from: [record], to: fields) == nil)
        }
    }

    @Test func createsInOneScriptWhatItCanAndTheRestOneByOne() async throws {
        let plain = NamedTable("plain", Table(fields: [FieldSchema("c", "DATE")]))
        let tagged = NamedTable(
            "tagged", Table(fields: [FieldSchema("c", "STRING", attributes: ["policyTags": .object([:])])]))
        let fixture = try BigQueryFixture([.json("{}"), .json(#"{"jobComplete": true, "schema": {}}"#)])

        try await fixture.warehouse.createTables([plain, tagged], in: reference.dataset, at: "US")

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

/// `TableDDL.literal` writes a text so that GoogleSQL reads exactly that text.
@Suite struct StringLiteralTests {
    /// Texts of characters that could end or change a literal, and of any others.
    private static func texts(_ count: Int, with others: [Unicode.Scalar]) -> [String] {
        var random = SplitMix64(seed: 20_260_131)
        let special: [Unicode.Scalar] =
            [
                "\"", "\\", "'", "`", "\n", "\r", "\t", "\u{85}", "\u{2028}", "\u{FEFF}", "@", "{", "-",
                "é", "e", "\u{301}", "n", "x", "0",
            ] + others
        return (0..<count).map { _ in
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                let isSpecial = Int.random(in: 0..<4, using: &random) > 0
                let other = Unicode.Scalar(UInt32.random(in: 0x20...0x1_FFFF, using: &random))
                text.append(isSpecial ? special.randomElement(using: &random)! : other ?? "?")
            }
            return String(text)
        }
    }

    @Test func isReadBackExactly() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "literal-tests")
        // DuckDB does not know the escape of a control character.
        let texts = Self.texts(400, with: []).map { $0.filter { $0 != "\u{7F}" } }

        let result = try await bigQuery.warehouse.query(
            Statement("read texts", "SELECT [\(texts.map(TableDDL.literal).joined(separator: ", "))] AS texts"))

        guard case .array(_, let values)? = result.rows.first?["texts"] else {
            Issue.record("no list of texts came")
            return
        }
        #expect(values.count == texts.count)
        for (text, value) in zip(texts, values) {
            guard case .string(let read) = value else {
                Issue.record("not a text: \(value)")
                continue
            }
            #expect(Array(read.unicodeScalars) == Array(text.unicodeScalars), "\(TableDDL.literal(text))")
        }
    }

    @Test func isOneLiteralForTheAnalyzer() async throws {
        let statements = Self.texts(200, with: ["\0", "\u{1}", "\u{1F}", "\u{7F}"]).enumerated().map { index, text in
            SQLAnalyzer.Statement(name: "\(index)", sql: "SELECT CONCAT(\(TableDDL.literal(text)), 'x')")
        }

        #expect(try await SQLAnalyzer(tables: []).problems(in: statements) == [])
    }

    @Test(arguments: [
        ("", #""""#), ("a\"b", #""a\"b""#), ("\\n", #""\\n""#), ("\n\r\t", #""\n\r\t""#),
        ("\u{1}\u{7F}", #""\x01\x7f""#),
        ("it's `é`", #""it's `é`""#),
    ])
    func isWritten(_ text: String, _ literal: String) {
        #expect(TableDDL.literal(text) == literal)
    }
}
