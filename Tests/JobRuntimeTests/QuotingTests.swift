import Testing

@testable import JobRuntime

@Suite struct QuotingTests {
    @Test(arguments: [
        ("plain", "\"plain\""), ("a\"b", "\"a\\\"b\""), ("a\nb\tc\r", "\"a\\nb\\tc\\r\""),
        ("\u{1B}[31m", "\"\\u{1B}[31m\""), ("a\u{202E}b\u{200B}", "\"a\\u{202E}b\\u{200B}\""), ("ü 😀", "\"ü 😀\""),
    ])
    func showsAValueOnOneLine(value: String, expected: String) {
        #expect(quoted(value) == expected)
    }

    @Test func cutsLongValues() {
        #expect(quoted(String(repeating: "x", count: 60)) == "\"" + String(repeating: "x", count: 60) + "\"")
        #expect(quoted(String(repeating: "x", count: 61)) == "\"" + String(repeating: "x", count: 60) + "…\"")
    }
}
