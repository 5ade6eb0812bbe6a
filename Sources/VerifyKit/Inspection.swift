import JobRuntime
import Warehouse

/// A statement about the warehouse that is true whenever all jobs have done their work, and the next step where it is not.
struct Invariant: Hashable, Sendable {
    /// The name in the table, in the summary and in `scheduler_jobs.verifications`, such as `quota-counters`.
    let name: String
    /// The next command to run if the invariant is broken. `ENVIRONMENT` stands for the name of the environment.
    let command: String

    init(_ name: String, command: String) {
        self.name = name
        self.command = command
    }
}

/// A place where an invariant is broken.
struct Finding: Hashable, Sendable {
    let invariant: String
    /// The row and the column, such as `acme 2026-12-01 daily`. It is the same in every look.
    let subject: String
    let detail: String

    init(_ invariant: String, _ subject: String, _ detail: String) {
        (self.invariant, self.subject, self.detail) = (invariant, subject, detail)
    }

    /// How a later look asks for it.
    var key: String { "\(invariant) \(subject)" }
    var description: String { "\(subject): \(detail)" }
}

/// The answer to one look at some invariants.
struct Sight: Sendable {
    /// The worst findings, the worst first; at most ``InspectionStatement/mostFindings`` of an invariant.
    var findings: [Finding] = []
    /// All findings by invariant.
    var counts: [String: Int] = [:]
    /// How many rows were read for an invariant. An invariant that is absent was not read.
    var rowsRead: [String: Int] = [:]
    var bytesBilled: Int64 = 0

    mutating func add(_ finding: Finding) {
        findings.append(finding)
        counts[finding.invariant, default: 0] += 1
    }
}

/// Invariants that one statement checks, so that they are read together or not at all.
struct Inspection: Sendable {
    let purpose: String
    let invariants: [Invariant]
    /// Looks at the warehouse as it was at an instant.
    /// - Parameter asked: The keys of the findings in question; `nil` for all.
    let look: @Sendable (_ instant: Timestamp, _ asked: [String]?) async throws -> Sight
    /// Looks again at findings, and keeps those that are still there. By default at earlier instants.
    var confirm: (@Sendable (_ sight: Sight) async throws -> Sight)?
}

/// An inspection in SQL: tables as of an instant, and a query for each way in which an invariant may be broken.
///
/// Every table is read once, in a common table expression with ``asOf``, so that all of them are read at one instant. The answer
/// has a row for each finding and a row for each invariant with the number of rows that were read for it: an answer without the
/// latter is no answer.
struct InspectionStatement: Sendable {
    /// Behind the name of every table of data. The embedded warehouse has no past and leaves it out.
    static let asOf = "FOR SYSTEM_TIME AS OF @instant"
    /// The most findings of an invariant that a look names, and about which a later look asks.
    static let mostFindings = 1000

    let purpose: String
    let invariants: [Invariant]
    /// The common table expressions.
    let tables: String
    /// SELECTs of `invariant`, `subject`, `detail` and `weight`.
    let findings: [String]
    /// The common table expression whose rows were read for an invariant.
    let read: [String: String]
    let parameters: @Sendable (_ instant: Timestamp) -> [SQLValue.Field]

    var sql: String {
        let reads = invariants.map { invariant in
            "SELECT 'read', '\(invariant.name)', '', '', (SELECT COUNT(*) FROM \(read[invariant.name]!)), 0"
        }
        return """
            WITH
            \(tables),
            found AS (
            \(findings.joined(separator: "\nUNION ALL\n"))),
            placed AS (
              SELECT
                invariant, subject, detail, COUNT(*) OVER (PARTITION BY invariant) AS number,
                ROW_NUMBER() OVER (PARTITION BY invariant ORDER BY weight DESC, subject, detail) AS place
              FROM found
              WHERE @asks_for_all OR invariant || ' ' || subject IN UNNEST(@asked))
            SELECT 'found' AS kind, invariant, subject, detail, number, place FROM placed WHERE place <= \(Self.mostFindings)
            UNION ALL
            \(reads.joined(separator: "\nUNION ALL\n"))
            ORDER BY kind, invariant, place
            """
    }

    func statement(at instant: Timestamp, asking asked: [String]?) -> Statement {
        var statement = Statement(
            purpose, sql,
            parameters: [
                "instant": .timestamp(instant), "asks_for_all": .bool(asked == nil), "asked": .strings(asked ?? []),
            ])
        statement.parameters += parameters(instant)
        return statement
    }

    func sight(_ result: QueryResult) throws -> Sight {
        var sight = Sight(bytesBilled: result.bytesBilled)
        for row in result.rows {
            let (name, number) = (try row.string("invariant"), Int(try row.int64("number")))
            guard try row.string("kind") == "found" else {
                sight.rowsRead[name] = number
                continue
            }
            sight.findings.append(Finding(name, try row.string("subject"), try row.string("detail")))
            sight.counts[name] = number
        }
        return sight
    }

    func inspection(of warehouse: any SQLWarehouse) -> Inspection {
        Inspection(purpose: purpose, invariants: invariants) { instant, asked in
            try sight(try await warehouse.query(statement(at: instant, asking: asked)))
        }
    }
}

/// SQL that more than one inspection needs.
enum InspectionSQL {
    /// A finding for each row that a CASE expression gives a reason.
    static func rows(
        _ invariant: Invariant, of table: String, subject: String, cases: [(condition: String, reason: String)]
    ) -> String {
        let reason = cases.map { "WHEN \($0.condition) THEN \($0.reason)" }.joined(separator: "\n    ")
        return """
            SELECT '\(invariant.name)' AS invariant, subject, detail, 1 AS weight
            FROM (
              SELECT \(subject) AS subject,
                CASE
                \(reason)
                END AS detail
              FROM \(table)) AS checked
            WHERE detail IS NOT NULL
            """
    }

    /// A finding for each key that several rows have.
    static func repeated(_ invariant: Invariant, in table: String, key: String) -> String {
        """
        SELECT '\(invariant.name)' AS invariant, \(key) AS subject, 'there are ' || CAST(COUNT(*) AS STRING) || ' of it' AS detail,
          COUNT(*) AS weight
        FROM \(table) GROUP BY subject HAVING COUNT(*) > 1
        """
    }

    static func text(_ column: String) -> String { "IFNULL(CAST(\(column) AS STRING), 'NULL')" }
    /// Microseconds from one TIMESTAMP to another one.
    static func microseconds(from start: String, to end: String) -> String {
        "(UNIX_MICROS(\(end)) - UNIX_MICROS(\(start)))"
    }
    /// Whether a TIMESTAMP is so many seconds after another one.
    static func isLater(_ end: String, than start: String, by seconds: Int) -> String {
        "UNIX_MICROS(\(end)) > UNIX_MICROS(\(start)) + \(seconds)000000"
    }
}
