import HTTPTransport
import Testing

@Suite struct HTTPHeadersTests {
    @Test func namesCompareWithoutCase() {
        let headers: HTTPHeaders = ["Content-Type": "a", "ETag": "b"]

        #expect(headers["content-type"] == "a")
        #expect(headers["CONTENT-TYPE"] == "a")
        #expect(headers["etag"] == "b")
        #expect(headers["Content-Typ"] == nil)
        #expect(headers["Content_Type"] == nil)
    }

    @Test func settingReplacesAllOfThatName() {
        var headers: HTTPHeaders = ["Vary": "a"]
        headers.append("b", for: "vary")

        #expect(headers.fields.map(\.value) == ["a", "b"])
        headers["VARY"] = "c"
        #expect(headers.fields.map(\.value) == ["c"])
        headers["vary"] = nil
        #expect(headers.fields.isEmpty)
    }

    /// `[` and `{` differ by the same bit as upper and lower case, and are no letters.
    @Test func onlyLettersHaveCase() {
        let headers: HTTPHeaders = ["x~": "a", "y^": "b"]

        #expect(headers["x^"] == nil)
        #expect(headers["y~"] == nil)
    }
}
