import COpenSSL
import FoundationEssentials
import JobRuntime
import Warehouse
import WarehouseKit

/// A row of `scheduler_jobs.verifications`: the result of one run of `verify`. Its digest covers all of its columns, and one of
/// them is the digest of the row before.
struct Verification: Hashable, Sendable {
    /// The place in the chain, from 1.
    var number: Int64
    /// The instant as of which the warehouse was read.
    var instant: Timestamp
    var verifiedAt: Timestamp
    /// `holds`, `broken` or `unreadable`.
    var verdict: String
    /// A JSON array with a member for each invariant. It is a text, because BigQuery writes JSON anew.
    var results: String
    var execution: String?
    var version: String
    /// The digest of the row before; `nil` in the first one.
    var previous: String?
    /// The digest that the table has for the row.
    var digest = ""

    /// The digest of the other columns: SHA-256 of the length and the text of each.
    var computedDigest: String {
        let texts: [String?] = [
            String(number), instant.description, verifiedAt.description, verdict, results, execution, version, previous,
        ]
        let joined = texts.map { text in text.map { "\($0.utf8.count):\($0)" } ?? "-" }.joined(separator: ",")
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let bytes = Array(joined.utf8)
        guard EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha256(), nil) == 1 else {
            preconditionFailure("SHA-256 is part of every OpenSSL")
        }
        let digits = Array("0123456789abcdef")
        return String(digest.prefix(Int(length)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    fileprivate init(_ row: Row) throws {
        number = try row.int64("number")
        instant = try row.timestamp("instant")
        verifiedAt = try row.timestamp("verified_at")
        verdict = try row.string("verdict")
        results = try row.string("results")
        execution = try row.optionalString("execution")
        version = try row.string("version")
        previous = try row.optionalString("previous")
        digest = try row.string("digest")
    }

    init(
        after head: Verification?, instant: Timestamp, verifiedAt: Timestamp, verdict: String, results: String,
        execution: String?
    ) {
        number = (head?.number ?? 0) + 1
        self.instant = instant
        self.verifiedAt = verifiedAt
        self.verdict = verdict
        self.results = results
        self.execution = execution
        version = serviceVersion
        previous = head?.digest
        digest = computedDigest
    }
}

/// The chain of the verifications in `scheduler_jobs.verifications`.
///
/// ## Invariant
///
/// For every number from 1 to the greatest one there is one row, and `previous` of each row is the digest of the row before.
///
/// - A row is appended by one INSERT with two conditions: no row has its number or a greater one, and the execution still holds
///   the lease of `verify`. If the statement runs again, it finds its own row and inserts nothing.
/// - Two INSERTs never conflict in BigQuery, so the first condition alone would not do. `verify` is exclusive: one execution at a
///   time reads the head and appends. What may outlive a lease is the argument of ``WarehouseKit/JobLease``.
/// - A run that is killed before the INSERT leaves no row, and one that is killed after it leaves a whole row.
/// - The row is read back. So a reply that was lost, or a row of another execution, is no success.
///
/// Each run computes the digests of the last ``length`` rows anew. A cell that was changed is found by the next run; so is a row
/// that was deleted, unless it was the last. The summary of each run has its digest, so the logs have the last one, too.
struct VerificationChain: Sendable {
    static let invariant = Invariant("chain", command: "./scripts/list-jobs.sh ENVIRONMENT --html jobs.html")
    static let table = TableReference(DatasetID.schedulerJobs, "verifications")!
    /// How many rows a run reads.
    static let length = 100

    let warehouse: MeteredWarehouse
    let fence: LeaseFence?

    /// The last rows, the last one first. Rows with one number are in the order of their digests.
    func latest() async throws -> [Verification] {
        try await warehouse.query(
            Statement(
                "read the chain of verifications", Self.latestSQL, parameters: ["length": .int64(Int64(Self.length))])
        ).rows.map { try Verification($0) }
    }

    /// The places at which the chain is broken.
    /// - Parameter rows: The last rows, the last one first.
    static func findings(in rows: [Verification]) -> [Finding] {
        var findings: [Finding] = []
        func note(_ row: Verification, _ detail: String) {
            findings.append(Finding(invariant.name, "row \(row.number)", detail))
        }
        for row in rows where row.computedDigest != row.digest { note(row, "its digest is not that of its columns") }
        for (row, before) in zip(rows, rows.dropFirst()) {
            if row.number == before.number {
                note(row, "there are several rows of this number")
            } else if row.number != before.number + 1 {
                note(row, "the row before it is missing")
            } else if row.previous != before.digest {
                note(row, "its digest of the row before is not the one that this row has")
            }
        }
        if let first = rows.last, rows.count < length, first.number != 1 {
            note(first, "the rows before it are missing")
        }
        if let first = rows.last, first.number == 1, first.previous != nil { note(first, "there is no row before it") }
        return findings
    }

    /// Appends a row, and reads it back.
    /// - Throws: ``RunFailure`` if another row has the number.
    func append(_ row: Verification) async throws {
        _ = try await warehouse.query(insertion(of: row))
        let found = try await warehouse.query(
            Statement(
                "read the verification back", Self.numberSQL, parameters: ["number": .int64(row.number)])
        ).rows.map { try $0.string("digest") }
        guard found == [row.digest] else {
            throw RunFailure(
                operation: "append to the chain of verifications",
                reason: found.isEmpty
                    ? "row \(row.number) was not written: the lease went to another execution; run the job again"
                    : "row \(row.number) is that of another execution, or there several times; run the job again")
        }
    }

    func insertion(of row: Verification) -> Statement {
        var statement = Statement(
            "append to the chain of verifications",
            Self.insertionSQL + (fence == nil ? "" : "\n  AND \(LeaseFence.sql)"),
            parameters: [
                "number": .int64(row.number), "instant": .timestamp(row.instant),
                "verified_at": .timestamp(row.verifiedAt), "verdict": .string(row.verdict),
                "results": .string(row.results), "execution": row.execution.map { .string($0) } ?? .null(.string),
                "version": .string(row.version), "previous": row.previous.map { .string($0) } ?? .null(.string),
                "digest": .string(row.digest),
            ])
        statement.parameters += fence?.parameters ?? []
        return statement
    }

    static let latestSQL = """
        SELECT number, instant, verified_at, verdict, results, execution, version, previous, digest FROM \(table.sql)
        ORDER BY number DESC, digest LIMIT @length
        """
    static let numberSQL = "SELECT digest FROM \(table.sql) WHERE number >= @number ORDER BY number, digest"
    static let insertionSQL = """
        INSERT INTO \(table.sql) (number, instant, verified_at, verdict, results, execution, version, previous, digest)
        SELECT @number, @instant, @verified_at, @verdict, @results, @execution, @version, @previous, @digest
        FROM (SELECT 1 AS one) AS o
        WHERE (SELECT COUNT(*) FROM \(table.sql) AS known WHERE known.number >= @number) = 0
        """
}
