import FoundationEssentials
import JobRuntime
import Warehouse

/// The reply of `jobs.query` and of `jobs.getQueryResults`; rows, schema and counts are absent until the job is complete.
struct QueryResponse: Decodable, Sendable {
    struct JobReference: Decodable, Sendable {
        var jobId: String
        var location: String?
    }

    var jobComplete: Bool?
    var jobReference: JobReference?
    var schema: Table.Schema?
    var pageToken: String?
    var numDmlAffectedRows: String?
    /// Only `jobs.query` and `jobs.get` have it (fact BQ-18).
    var dmlStats: RowCounts?
    var totalBytesBilled: String?
    /// Warnings too: only `jobs.get` tells whether the job failed.
    var errors: [BigQueryErrors.ErrorProto]?
    /// An error that came with status 200.
    var error: BigQueryErrors.Body?
    var status: JobStatus?
    /// The list of the rows as it came, for ``ResultReader``; `nil` if there is none.
    var rows: Data?

    private enum CodingKeys: String, CodingKey {
        case jobComplete, jobReference, schema, pageToken, numDmlAffectedRows, dmlStats, totalBytesBilled, errors,
            error,
            status
    }

    /// Decodes everything but the rows, of which there may be millions.
    init(reply: Data) throws {
        var rows: Range<Int>?
        try JSONReader.read(reply) { json in
            try json.open("{")
            while let key = try json.nextKey() {
                let kind = json.next
                let place = try json.skip()
                guard key == "rows" else { continue }
                guard rows == nil, kind == UInt8(ascii: "[") || kind == UInt8(ascii: "n") else { throw json.malformed }
                rows = place
            }
        }
        guard let rows else {
            self = try JSONDecoder().decode(QueryResponse.self, from: reply)
            return
        }
        let (start, end) = (reply.startIndex + rows.lowerBound, reply.startIndex + rows.upperBound)
        self = try JSONDecoder().decode(
            QueryResponse.self, from: reply[..<start] + Data("null".utf8) + reply[end...])
        if reply[start] == UInt8(ascii: "[") { self.rows = reply[start..<end] }
    }

    /// The statement has ended and nothing says how. The reply of a DML statement has an empty schema, or counts rows (fact BQ-19).
    var saysNothing: Bool { schema == nil && numDmlAffectedRows == nil }
}

/// `Job.status`: the job failed if it has an `errorResult`.
struct JobStatus: Decodable, Sendable {
    /// `PENDING`, `RUNNING` or `DONE`.
    var state: String?
    var errorResult: BigQueryErrors.ErrorProto?
}

struct JobResource: Decodable, Sendable {
    struct Statistics: Decodable, Sendable {
        struct Query: Decodable, Sendable {
            var dmlStats: RowCounts?
            var numDmlAffectedRows: String?
            var totalBytesBilled: String?
        }

        var query: Query?
    }

    var status: JobStatus?
    var statistics: Statistics?
}
