import Testing

@testable import JobRuntime

@Suite struct EnvironmentReaderTests {
    @Test func readsTypedValues() {
        var reader = EnvironmentReader([
            "S": "text", "I": "12", "B": "Yes", "C": "stage", "K": "hush\n",
        ])

        #expect(reader.string("S", expected: "a text", help: "h") == "text")
        #expect(reader.integer("I", default: 1, in: 1...12, help: "h") == 12)
        #expect(reader.boolean("B", default: false, help: "h") == true)
        #expect(reader.choice("C", of: ["test", "stage", "prod"], help: "h") == "stage")
        #expect(reader.secret("K", help: "h")?.value == "hush")
        #expect(reader.problems.isEmpty)
    }

    @Test func setButEmptyCountsAsNotSet() {
        var reader = EnvironmentReader(["S": "", "I": "", "B": "", "C": "", "K": "", "L": "\n"])

        #expect(reader.string("S", default: "fallback", expected: "a text", help: "h") == "fallback")
        #expect(reader.optionalString("S", expected: "a text", help: "h") == nil)
        #expect(reader.integer("I", default: 7, in: 1...9, help: "h") == 7)
        #expect(reader.optionalInteger("I", in: 1...9, help: "h") == nil)
        #expect(reader.boolean("B", default: true, help: "h") == true)
        #expect(reader.choice("C", of: ["a", "b"], default: "b", help: "h") == "b")
        #expect(reader.secret("K", help: "h") == nil)
        #expect(reader.secret("L", help: "h") == nil)
        #expect(reader.problems.isEmpty)
    }

    @Test func collectsEveryProblemWithWhatToDo() {
        var reader = EnvironmentReader(["I": "1e3", "B": "maybe", "C": "Prod", "S": "a b"])

        _ = reader.string("MISSING", expected: "the project's id", help: "h")
        _ = reader.integer("I", default: 1, in: 1...12, help: "h")
        _ = reader.boolean("B", default: false, help: "h")
        _ = reader.choice("C", of: ["test", "stage", "prod"], help: "h")
        _ = reader.string("S", expected: "one word", help: "h") { $0.contains(" ") ? "has a space" : nil }
        _ = reader.choice("D", of: ["x", "y"], help: "h")
        _ = reader.requiredSecret("KEY", expected: "the key of the root account", help: "h")
        reader.note(problem: "A and B exclude each other: set one of them", with: ["A", "B"])

        #expect(
            reader.problems == [
                "MISSING is not set: set it to the project's id",
                "I is \"1e3\": set it to a whole number from 1 to 12",
                "B is \"maybe\": set it to true or false",
                "C is \"Prod\", which is not known: set it to test, stage or prod",
                "S is \"a b\", which has a space: set it to one word",
                "D is not set: set it to x or y",
                "KEY is not set: set it to the key of the root account",
                "A and B exclude each other: set one of them",
            ])
    }

    @Test(arguments: ["0", "13", "-1", " 5", "5 ", "٣", "99999999999999999999", "0x5", "5.0"])
    func refusesWhatIsNoNumberInTheRange(text: String) {
        var reader = EnvironmentReader(["N": text])
        #expect(reader.integer("N", default: 4, in: 1...12, help: "h") == 4)
        #expect(reader.problems == ["N is \(quoted(text)): set it to a whole number from 1 to 12"])
    }

    @Test(arguments: ["a\u{0}b", "a\u{1B}[31mb", "a\r\nb", "a\u{202E}b"])
    func neverTakesControlCharacters(text: String) {
        var reader = EnvironmentReader(["N": text])
        #expect(reader.optionalString("N", expected: "a text", help: "h") == nil)
        #expect(reader.problems.count == 1)
        #expect(!reader.problems[0].unicodeScalars.contains { $0.value < 0x20 || $0 == "\u{202E}" })
    }

    @Test func aProblemWithASecretDoesNotShowIt() {
        var reader = EnvironmentReader(["K": "hush\nhush"])
        #expect(reader.secret("K", help: "h") == nil)
        #expect(reader.requiredSecret("K", expected: "the key", help: "h").value == "")
        #expect(reader.problems.count == 2)
        #expect(!reader.problems.joined().contains("hush"))
    }
}
