/// The reply of `jobs.query` and of `jobs.getQueryResults`; rows, schema and counts are absent until the job is complete.
struct QueryResponse: Decodable, Sendable {
    struct JobReference: Decodable, Sendable {
        var jobId: String
        var location: String?
    }

    var jobComplete: Bool?
    var jobReference: JobReference?
    var schema: Table.Schema?
    var rows: [ResultRow]?
    var pageToken: String?
    var numDmlAffectedRows: String?
    /// Only `jobs.query` and `jobs.get` have it.
    var dmlStats: RowCounts?
    var totalBytesBilled: String?
    /// Warnings too: only `jobs.get` tells whether the job failed.
    var errors: [BigQueryErrors.ErrorProto]?
    /// Where an error came with status 200.
    var error: BigQueryErrors.Body?
    var status: JobStatus?
}

/// `Job.status`: the job failed if it has an `errorResult`.
struct JobStatus: Decodable, Sendable {
    var errorResult: BigQueryErrors.ErrorProto?
}

struct JobResource: Decodable, Sendable {
    struct Statistics: Decodable, Sendable {
        struct Query: Decodable, Sendable {
            var dmlStats: RowCounts?
            var totalBytesBilled: String?
        }

        var query: Query?
    }

    var status: JobStatus?
    var statistics: Statistics?
}

/// BigQuery's `DmlStats`: what a DML statement did, by kind.
struct RowCounts: Decodable, Hashable, Sendable {
    var insertedRowCount: String?
    var updatedRowCount: String?
}

/// `{"f": [{"v": ...}, ...]}`
struct ResultRow: Decodable, Sendable {
    struct Cell: Decodable, Sendable {
        var v: ResultValue
    }

    var f: [Cell]
}

/// The value of a cell: a text for scalars, cells for a REPEATED field, a row for a RECORD.
indirect enum ResultValue: Decodable, Sendable {
    case null
    case scalar(String)
    case repeated([ResultRow.Cell])
    case record(ResultRow)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let text = try? container.decode(String.self) {
            self = .scalar(text)
        } else if let cells = try? container.decode([ResultRow.Cell].self) {
            self = .repeated(cells)
        } else {
            self = .record(try container.decode(ResultRow.self))
        }
    }
}
