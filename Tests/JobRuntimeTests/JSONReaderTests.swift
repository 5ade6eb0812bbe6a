import Foundation
import JobRuntime
import Testing

/// Documents from elsewhere. `Tests/FuzzTests` compares millions of them with Foundation's decoder.
@Suite struct JSONReaderTests {
    @Test(arguments: [
        ("null", JSONValue.null), (" true ", .bool(true)), ("-0", .integer(0)), ("1e2", .integer(100)),
        ("1.5", .number(1.5)),
        ("9223372036854775807", .integer(.max)), ("9223372036854775808", .number(9_223_372_036_854_775_808)),
        (#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#, .string("a\"\\/\u{8}\u{C}\n\r\té😀")), ("[]", .array([])),
        ("[1,]", .array([.integer(1)])),
        (#"{"b":{},"a":[null]}"#, .object([("b", .object([])), ("a", .array([.null]))])),
        ("\u{FEFF}{}", .object([])),
    ])
    func isRead(_ text: String, _ expected: JSONValue) {
        #expect(JSONValue(document: Data(text.utf8)) == expected)
    }

    @Test(arguments: [
        "", " ", "nul", "truex", "01", "1.", ".5", "1e", "+1", "1e400", "-", "[", "[1 2]", "[,]", "[1,,2]", "]", "{",
        "{a:1}", #"{"a"}"#,
        #"{"a":1 "b":2}"#, #"{"a":}"#, "{} {}", #"""#, #""\x""#, #""\u12g4""#, #""\ud83d""#, #""\ude00""#,
        #""\ud83d\u0041""#, "\"a\nb\"", #""\"#,
    ])
    func isRefused(_ text: String) {
        #expect(JSONValue(document: Data(text.utf8)) == nil)
    }

    @Test func bytesThatAreNotUTF8AreRefused() {
        #expect(JSONValue(document: Data([0x22, 0xC3, 0x22])) == nil)
        #expect(JSONValue(document: Data([0x22, 0xED, 0xA0, 0x80, 0x22])) == nil)
    }

    /// PowerShell writes such files.
    @Test func aFileInUTF16IsRead() throws {
        let file = try #require(#"{"type":"é"}"#.data(using: .utf16))

        #expect(JSONValue.members(of: file) == ["type": .string("é")])
    }

    @Test func theOrderOfMembersIsKept() {
        #expect(JSONValue(document: Data(#"{"b":1,"a":2}"#.utf8))?.description == #"{"b":1,"a":2}"#)
    }

    /// Foundation's decoder took 1.7 s for each of these documents of 1,024 bytes, even in a release build.
    @Test func deepNestingTakesNoLongerThanItsBytes() {
        let text = String(repeating: "[", count: 512) + String(repeating: "]", count: 512)

        let time = ContinuousClock().measure {
            for _ in 0..<10 { #expect(JSONValue(document: Data(text.utf8)) != nil) }
        }

        #expect(time < .seconds(4))
        #expect(JSONValue(document: Data("[\(text)]".utf8)) == nil)
    }

    /// Foundation's decoder of Swift 6.3 ends the process for this document.
    @Test func oneBracketTooManyIsAnError() {
        let document = Data(String(repeating: "[", count: 513).utf8)

        #expect(throws: JSONReader.Malformed.self) { try JSONReader.decode([String].self, from: document) }
        #expect(JSONValue.members(of: document) == nil)
    }

    @Test func aValueWithinADecodedDocumentHasAtMost64Levels() throws {
        func document(_ levels: Int) -> Data {
            Data((#"{"a":"# + String(repeating: "[", count: levels) + String(repeating: "]", count: levels) + "}").utf8)
        }

        #expect(throws: Never.self) { try JSONDecoder().decode([String: JSONValue].self, from: document(60)) }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([String: JSONValue].self, from: document(100)) }
    }
}
