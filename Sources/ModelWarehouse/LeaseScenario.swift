package import JobRuntime
import Logging
import SchemaKit
import Synchronization
package import Warehouse
import WarehouseKit

/// Executions of one job that take its lease, write twice and release the lease: `JobLease` and its fence.
///
/// A write is an INSERT, the kind of statement that conflicts with nothing, so that only the lease and the fence keep writes apart.
package struct LeaseScenario: ModelScenario {
    package var bounds: ModelBounds
    /// `LEASE_SECONDS`
    package var validity: Duration
    /// Whether every other execution is of another job that takes the leases of both jobs.
    package var hasTwoJobs: Bool
    /// Whether the table has no row at the start. Otherwise each job has a free one.
    package var isEmpty: Bool

    package init(
        _ bounds: ModelBounds, validity: Duration = .seconds(720), hasTwoJobs: Bool = false, isEmpty: Bool = false
    ) {
        self.bounds = bounds
        self.validity = validity
        self.hasTwoJobs = hasTwoJobs
        self.isEmpty = isEmpty
    }

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
        let letter = ["A", "B", "C", "D"][execution]
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
                    if try await lease.sql.query(statement).affectedRows != 1 {
                        await lease.release()
                        return "wrote nothing"
                    }
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

    /// Writes of two executions never alternate, and each is done under the writer's own token. Nobody takes or frees a lease that
    /// another execution holds.
    package func committed(
        _ commit: ModelCommit, _ contents: inout ModelContents, _ notes: inout [Int]
    ) -> String? {
        if commit.purpose.hasPrefix("write") {
            contents.tables[1] = [:]
            let writer = commit.execution * 2 + commit.attempt
            defer { if !notes.contains(writer) { notes.append(writer) } }
            if notes.contains(writer), notes.last != writer {
                return "\(commit.name) wrote after another execution had written"
            }
            let token = commit.parameters.first { $0.name == "lease_token" }?.value
            let jobs = commit.parameters.first { $0.name == "lease_jobs" }?.value
            guard case .array(_, let names)? = jobs, case .string(let own)? = token else { return nil }
            // A row that two executions added at once may be free: it is a second row of the job.
            let leases = Self.leases(in: commit.before)
            let holdsAll = names.allSatisfy { name in leases.contains { .string($0.job) == name && $0.token == own } }
            let isForeign = leases.contains {
                names.contains(.string($0.job)) && $0.token != nil && $0.token != own
            }
            return isForeign || !holdsAll ? "\(commit.name) wrote although it did not hold the lease" : nil
        }
        guard case .timestamp(let now)? = commit.parameters.first(where: { $0.name == "now" })?.value,
            case .string(let own)? = commit.parameters.first(where: { $0.name == "token" })?.value
        else { return nil }
        for (number, row) in commit.before.tables[0] {
            let (old, new) = (Lease(row), contents.tables[0][number].map { Lease($0) })
            guard let token = old.token, token != own, old.expiry > now else { continue }
            guard new?.token != token || new?.expiry != old.expiry else { continue }
            return "\(commit.name) took, freed or shortened the lease of \(token), which had not expired"
        }
        return nil
    }

    package func ended(
        _ outcome: String, of execution: Int, faults: Int, _ contents: ModelContents, _ notes: [Int]
    ) -> String? {
        switch outcome {
        case "worked", "skipped": nil
        case "failed" where faults > 0: nil
        // A release that is done twice finds nothing the second time. The run fails, although its work is done.
        case let outcome where faults > 0 && outcome.hasPrefix("failed at the end"): nil
        case let outcome where hasTwoJobs && outcome.hasPrefix("refused") && outcome.contains("is held by"): nil
        default: "an execution ended so: \(outcome)"
        }
    }

    package func settled(
        _ contents: ModelContents, _ notes: [Int], at time: Timestamp, faults: Int, probe: String
    ) -> String? {
        if probe != "worked" { return "a later execution, alone, ended so: \(probe)" }
        let held = Self.leases(in: contents).filter { $0.token != nil }
        if faults == 0, !held.isEmpty { return "nothing went wrong, and the lease was not released" }
        if faults == 0, notes.isEmpty { return "nothing went wrong, and nobody worked" }
        let latest = time.adding(validity).adding(.seconds(20))
        return held.contains { $0.expiry > latest } ? "the lease lasts longer than LEASE_SECONDS" : nil
    }

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
            if case .string(let token) = row[2] { self.token = token }
        }
    }

    private static func leases(in contents: ModelContents) -> [Lease] { contents.tables[0].values.map { Lease($0) } }

    /// Each is a fault that the rules must notice.
    package static let mutants: [(mutant: ModelMutant, needsTwoJobs: Bool)] = [
        (ModelMutant("no fence", in: "write", replace: LeaseFence.sql, with: "TRUE"), false),
        (
            ModelMutant(
                "the fence does not compare the token", in: "write", replace: "AND fence.token = @lease_token", with: ""
            ),
            false
        ),
        (
            ModelMutant(
                "the fence accepts one of two leases", in: "write", replace: "= @lease_job_count", with: ">= 1"),
            true
        ),
        (
            ModelMutant("release does not compare the token", in: "release", replace: "AND token = @token", with: ""),
            false
        ),
        (ModelMutant("release does nothing", in: "release", replace: "AND token = @token", with: "AND FALSE"), false),
        (
            ModelMutant("no grace") {
                guard $0.purpose.hasPrefix("keep") else { return }
                let now = $0.parameters.first { $0.name == "now" }!.value
                for index in $0.parameters.indices where $0.parameters[index].name == "until" {
                    $0.parameters[index].value = now
                }
            }, false
        ),
        (
            ModelMutant(
                "keep does not compare the token", in: "keep", replace: "AND token = @token",
                with: "AND holder IS NOT NULL"), false
        ),
        (
            ModelMutant(
                "a held lease is taken", in: "take", replace: "held.expires_at > @now AND held.holder IS NOT NULL",
                with: "FALSE"), false
        ),
        (
            ModelMutant("a lease never expires", in: "take", replace: "held.expires_at > @now AND", with: ""), false
        ),
        (
            ModelMutant(
                "not all rows: a free row is taken while another is held", in: "take",
                replace: "WHERE held.job IN UNNEST(@jobs) AND held.expires_at > @now",
                with: "WHERE FALSE AND held.expires_at > @now"), false
        ),
        (
            ModelMutant(
                "not all rows: one row of two jobs is enough", in: "take", replace: "= @job_count", with: ">= 1"), true
        ),
        (
            ModelMutant(
                "the lease is taken without its token", in: "take", replace: "token = @token, acq", with: "acq"), false
        ),
        (
            ModelMutant("the lease expires after 10 s") {
                guard $0.purpose.hasPrefix("take"),
                    case .timestamp(let now)? = $0.parameters.first(where: { $0.name == "now" })?.value
                else { return }
                for index in $0.parameters.indices where $0.parameters[index].name == "expires_at" {
                    $0.parameters[index].value = .timestamp(now.adding(.seconds(10)))
                }
            }, false
        ),
    ]
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
