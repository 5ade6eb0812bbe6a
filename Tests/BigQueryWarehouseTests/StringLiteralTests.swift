import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import GoogleCredentials
@testable import Warehouse

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
