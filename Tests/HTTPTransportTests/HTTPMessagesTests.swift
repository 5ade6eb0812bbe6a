import Foundation
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

@Suite struct ResponseMetadataTests {
    /// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
    private static let example = Date(timeIntervalSince1970: 784_111_777)

    private func retryAfter(_ value: String?, now: Date = example) -> Duration? {
        var response = HTTPResponse(status: 429)
        response.headers["retry-after"] = value
        return response.retryAfter(now: now)
    }

    @Test(arguments: [
        ("0", 0), ("1", 1), ("120", 120), ("007", 7), ("7200", 7200), ("1000000", 1_000_000),
        ("99999999999999999999999", 3_162_240_000),
    ])
    func aNumberIsADelayInSeconds(value: String, seconds: Int) {
        #expect(retryAfter(value) == .seconds(seconds))
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:50:07 GMT", "Sunday, 06-Nov-94 08:50:07 GMT", "Sun Nov  6 08:50:07 1994",
    ])
    func aDateIsADelayFromNow(value: String) {
        #expect(retryAfter(value) == .seconds(30))
        #expect(retryAfter(value, now: Self.example + 29.5) == .seconds(1))
        #expect(retryAfter(value, now: Self.example + 30) == .zero)
        #expect(retryAfter(value, now: Self.example + 3600) == .zero)
    }

    @Test(arguments: [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800), ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ("Wednesday, 01-Jan-31 00:00:00 GMT", 1_924_992_000),
    ])
    func datesAreCountedByTheCalendar(value: String, instant: Double) {
        #expect(retryAfter(value, now: Date(timeIntervalSince1970: instant - 1)) == .seconds(1))
    }

    @Test(arguments: [
        nil, "", " ", "-1", "+1", "1.5", "1 s", "soon", "٣", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Tue, 29 Feb 2100 00:00:00 GMT",
        "Sun, 06 Nov 994 08:49:37 GMT", "Son, 06 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT", "06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z",
    ])
    func aMalformedValueIsAbsent(value: String?) {
        #expect(retryAfter(value) == nil)
    }

    @Test(arguments: ["Request-Id", "X-Goog-Request-Id", "x-request-id"])
    func findsTheRequestID(name: String) {
        let response = HTTPResponse(status: 500, headers: [name: "req_77"])

        #expect(response.requestID == "req_77")
    }

    @Test func cutsALongRequestIDAndLeavesOutAMalformedOne() {
        let long = HTTPResponse(status: 500, headers: ["Request-Id": String(repeating: "a", count: 101)])
        let malformed = HTTPResponse(status: 500, headers: ["Request-Id": "a\u{1B}[31m", "X-Request-Id": "b"])
        let empty = HTTPResponse(status: 500, headers: ["Request-Id": ""])

        #expect(long.requestID == String(repeating: "a", count: 100))
        #expect(malformed.requestID == "b")
        #expect(empty.requestID == nil)
    }
}
