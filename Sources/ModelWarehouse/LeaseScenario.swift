package import JobRuntime
import Logging
import SchemaKit
import Synchronization
package import Warehouse
import WarehouseKit

/// Executions of one job that take its lease, write twice and release the lease: `JobLease` and its fence.
///
/// A write is an INSERT, the kind of statement that conflicts with nothing, so that only the lease and the fence keep writes apart.
/// The work does not look at the number of rows that it wrote, so that only the release says whether the work is done.
package struct LeaseScenario: ModelScenario {
    package var bounds: ModelBounds
    /// `LEASE_SECONDS`
    package var validity: Duration
    /// Whether every other execution is of another job that takes the leases of both jobs.
    package var hasTwoJobs: Bool
    /// Whether the table has no row at the start. Otherwise each job has a free one.
    package var isEmpty: Bool

    package init(
        _ bounds: ModelBounds, validity: Duration = .seconds(780), hasTwoJobs: Bool = false, isEmpty: Bool = false
    ) {
        self.bounds = bounds
        self.validity = validity
        self.hasTwoJobs = hasTwoJobs
        self.isEmpty = isEmpty
    }

    private static let letters = ["A", "B", "C", "D", "E"]
    private static let jobs = ["quota-reset-daily", "stale-cleanup"]
    private static let work = TableReference(DatasetID.schedulerJobs, "work")!

    package var tables: [(reference: TableReference, table: Table)] {
        get throws {
            let leases = try Catalog.embedded([.operations]).tables(.operations).first { $0.name == "job_leases" }!
                .table
            let columns = ["who", "step"].map { FieldSchema($0, "STRING") }
            return [
                (TableReference(DatasetID.schedulerJobs, "job_leases")!, leases),
                (Self.work, Table(fields: columns)),
            ]
        }
    }

    package func program(_ execution: Int, attempt: Int) -> ModelProgram {
        let letter = Self.letters[execution]
        let name = attempt == 0 ? letter : "\(letter)\(attempt + 1)"
        let isOther = hasTwoJobs && execution % 2 == 1
        let job = Self.jobs[isOther ? 1 : 0]
        return ModelProgram(name) { [validity] warehouse, now, sleep in
            let report = RunReport.silent()
            let lease = JobLease(
                warehouse: warehouse, job: job, excluding: isOther ? [Self.jobs[0]] : [],
                holder: "\(letter)/0/\(attempt)", validity: validity, report: report, now: now, sleep: sleep)
            do {
                try await lease.acquire()
            } catch is RunSkipped {
                return "skipped"
            } catch let failure as RunFailure {
                return "refused: \(failure)"
            } catch {
                return "failed"
            }
            do {
                for step in ["first", "second"] {
                    var statement = Statement(
                        "write the \(step) row",
                        """
                        INSERT INTO \(Self.work.sql) (who, step)
                        SELECT @who, @step FROM (SELECT 1 AS one) AS o WHERE \(LeaseFence.sql)
                        """, parameters: ["who": .string(name), "step": .string(step)])
                    statement.parameters += lease.fence.parameters
                    _ = try await lease.sql.query(statement)
                }
            } catch {
                await lease.release()
                return "failed"
            }
            await lease.release()
            let problem = report.record.withLock { $0.failures.kept.first.map { "\($0)" } }
            return problem.map { "failed at the end: \($0)" } ?? "worked"
        }
    }

    package var memoryAtStart: [Int]? { [0, 0, 0, 0, 0] }

    /// `JobLease` remembers the number of its tries, what it read in the present one, and whether a statement of the work may still
    /// be running. Of earlier tries it keeps nothing but a text for people.
    package func memory(_ memory: [Int], after request: String, _ reply: ModelReply.Content, number: Int) -> [Int] {
        var (tries, step, read, unknownTake, unknownWork) = (memory[0], memory[1], memory[2], memory[3], memory[4])
        step += 1
        switch (request, reply) {
        case (_, .unknown) where request.hasPrefix("write"): unknownWork = 1
        case (_, .unknown): unknownTake = 1
        case (_, .result(_, let rows)) where request.hasPrefix("take"):
            (tries, step, read) = rows ?? 0 > 0 ? (-1, 0, 0) : (tries + 1, 0, 0)
        case (_, .result) where request.hasPrefix("read"): read = number + 1
        case (_, .awake): (step, read) = (0, 0)
        default: break
        }
        return [tries, step, read, unknownTake, unknownWork]
    }

    package func fill(_ contents: inout ModelContents, at time: Timestamp) {
        guard !isEmpty else { return }
        for (number, job) in Self.jobs.prefix(hasTwoJobs ? 2 : 1).enumerated() {
            let time = SQLValue.timestamp(time)
            contents.tables[0][Int64(number + 1)] = [
                .string(job), .null(.string), .null(.string), .null(.timestamp), time, time,
            ]
        }
    }

    package func instants(in contents: ModelContents) -> [Timestamp] {
        Self.leases(in: contents).filter { $0.token != nil }.map(\.expiry)
    }

    /// What happened, as notes: the kind, and who did it (`execution * 2 + attempt`).
    private enum Note: Int {
        case firstWrite = 0, secondWrite = 10, release = 20
        /// Another execution took the lease after a release.
        case takenAfterRelease = 30
        /// Another execution wrote after a write.
        case overtaken = 40
        case somebodyWorked = 90

        func by(_ writer: Int) -> Int { rawValue + writer }
    }

    /// Writes of two executions never alternate, and each is done under the writer's own token. Nobody takes or frees a lease that
    /// another execution holds.
    package func committed(
        _ commit: ModelCommit, _ contents: inout ModelContents, _ notes: inout [Int]
    ) -> String? {
        defer { notes.sort() }
        let writer = commit.execution * 2 + commit.attempt
        if commit.purpose.hasPrefix("write") {
            contents.tables[1] = [:]
            return violation(ofWriteBy: writer, commit, &notes)
        }
        leaveOutTimes(&contents)
        guard case .timestamp(let now)? = commit.parameter("now"), case .string(let own)? = commit.parameter("token")
        else { return nil }
        // Only a reply that is lost makes a release come twice.
        if bounds.lostReplies > 0 {
            let others = notes.filter { $0 / 10 == 2 && $0 % 10 != writer }.map { $0 % 10 }
            let added =
                commit.purpose.hasPrefix("release")
                ? [Note.release.by(writer)]
                : commit.purpose.hasPrefix("take") ? others.map { Note.takenAfterRelease.by($0) } : []
            for note in added where !notes.contains(note) { notes.append(note) }
        }
        for (number, row) in commit.before.tables[0] {
            let (old, new) = (Lease(row), contents.tables[0][number].map { Lease($0) })
            guard let token = old.token, token != own, old.expiry > now else { continue }
            guard new?.token != token || new?.expiry != old.expiry else { continue }
            return "\(commit.name) took, freed or shortened the lease of \(token), which had not expired"
        }
        return nil
    }

    /// No statement reads the time of a change.
    private func leaveOutTimes(_ contents: inout ModelContents) {
        for number in contents.tables[0].keys {
            contents.tables[0][number]![5] = .timestamp(ModelEngine.beginning)
        }
    }

    /// The mark of a release is for its own execution, as are most notes.
    package func forget(_ execution: Int, attempt: Int, _ contents: inout ModelContents, _ notes: inout [Int]) {
        let writer = execution * 2 + attempt
        notes.removeAll { $0 < Note.somebodyWorked.rawValue && $0 % 10 == writer }
        let name = "\(attempt == 0 ? Self.letters[execution] : Self.letters[execution] + "2")-"
        for (number, row) in contents.tables[0] {
            guard case .string(let token) = row[2], token.hasPrefix("released \(name)") else { continue }
            contents.tables[0][number]![2] = .null(.string)
        }
    }

    private func violation(ofWriteBy writer: Int, _ commit: ModelCommit, _ notes: inout [Int]) -> String? {
        if notes.contains(Note.overtaken.by(writer)) {
            return "\(commit.name) wrote after another execution had written"
        }
        let others = Set(notes.filter { $0 < 20 && $0 % 10 != writer }.map { Note.overtaken.by($0 % 10) })
        let note = (commit.purpose.contains("first") ? Note.firstWrite : .secondWrite).by(writer)
        for note in others.union([note, Note.somebodyWorked.rawValue]).sorted() where !notes.contains(note) {
            notes.append(note)
        }
        guard case .array(_, let names)? = commit.parameter("lease_jobs"),
            case .string(let own)? = commit.parameter("lease_token")
        else { return nil }
        // A row that two executions added at once may be free: it is a second row of the job.
        let leases = Self.leases(in: commit.before)
        let holdsAll = names.allSatisfy { name in leases.contains { .string($0.job) == name && $0.token == own } }
        let isForeign = leases.contains { names.contains(.string($0.job)) && $0.token != nil && $0.token != own }
        return isForeign || !holdsAll ? "\(commit.name) wrote although it did not hold the lease" : nil
    }

    package func ended(
        _ outcome: String, of execution: Int, attempt: Int, faults: Int, _ contents: ModelContents, _ notes: [Int]
    ) -> String? {
        let writer = execution * 2 + attempt
        let isDone = notes.contains(Note.firstWrite.by(writer)) && notes.contains(Note.secondWrite.by(writer))
        switch outcome {
        case "worked": return isDone ? nil : "an execution reports success, and its work is not done"
        case "skipped": return nil
        case "failed" where faults > 0: return nil
        // Another execution took the lease between a release and its repetition, so the mark of the release is gone.
        case let outcome where outcome.hasPrefix("failed at the end") && isDone && faults > 0:
            return notes.contains(Note.takenAfterRelease.by(writer)) || outcome.contains("nobody knows")
                ? nil : "an execution reports a lost lease, and nobody took it: \(outcome)"
        case let outcome where outcome.hasPrefix("failed at the end") && faults > 0: return nil
        case let outcome where hasTwoJobs && outcome.hasPrefix("refused") && outcome.contains("is held by"):
            return nil
        default: return "an execution ended so: \(outcome)"
        }
    }

    package func settled(
        _ contents: ModelContents, _ notes: [Int], at time: Timestamp, faults: Int, probe: String,
        _ after: ModelContents
    ) -> String? {
        if probe != "worked" { return "a later execution, alone, ended so: \(probe)" }
        let held = Self.leases(in: contents).filter { $0.token != nil }
        if faults == 0, !held.isEmpty { return "nothing went wrong, and the lease was not released" }
        if faults == 0, notes.isEmpty { return "nothing went wrong, and nobody worked" }
        let fastest = (0..<bounds.executions).map { bounds.clock(of: $0) }.max() ?? .zero
        let latest = time.adding(validity).adding(fastest)
        return held.contains { $0.expiry > latest } ? "the lease lasts longer than LEASE_SECONDS" : nil
    }

    package func areAlike(_ one: Int, _ other: Int) -> Bool { !hasTwoJobs || one % 2 == other % 2 }

    package func mayFail(_ execution: Int) -> Bool { true }

    private struct Lease {
        var job: String
        var token: String?
        var expiry: Timestamp

        init(_ row: [SQLValue]) {
            guard case .string(let job) = row[0], case .timestamp(let expiry) = row[4] else {
                preconditionFailure("no row of job_leases: \(row)")
            }
            self.job = job
            self.expiry = expiry
            // A free row has the mark of its release.
            if case .string(let token) = row[2], row[1] != .null(.string) { self.token = token }
        }
    }

    private static func leases(in contents: ModelContents) -> [Lease] { contents.tables[0].values.map { Lease($0) } }
}

extension RunReport {
    /// A report that nobody reads.
    static func silent() -> RunReport {
        let console = Console(writeOutput: { _ in true }, writeError: { _ in })
        let logger = Logger(label: "model") { _ in SwiftLogNoOpLogHandler() }
        let progress = Progress(title: "model", style: .log, console: console, logger: logger, elapsed: { .zero })
        return RunReport(console: console, logger: logger, progress: progress, printsResults: false)
    }
}
