package import JobRuntime
package import Warehouse
package import WarehouseKit

/// Checks every invariant of the service as of one instant, and appends the result to the chain of verifications. It has SQL of
/// its own and shares no decision with the jobs that it checks.
///
/// - Every table of data is read `FOR SYSTEM_TIME AS OF` one instant, the same in all statements. `INFORMATION_SCHEMA` and the
///   chain are read as they are now.
/// - What seems broken is looked at again as of ``earlierLooks`` before. Only what was broken each time is a finding: anything else
///   is work in progress, or will be repaired by a job whose turn comes.
/// - Whether an invariant could be read and whether it holds are different answers. A statement that fails keeps no other
///   invariant from its turn.
/// - The number of statements does not depend on the number of organizations.
///
/// The embedded warehouse has no past. There, all looks see the present, and work in progress may be a finding.
///
/// ```swift
/// let attestation = Attestation(warehouse: warehouse, expectations: settings.expectations, of: run)
/// try await attestation.perform(at: instant)
/// ```
package struct Attestation: Sendable {
    /// The first is longer ago than the period of stale-cleanup, which repairs the counters. At one of them a counter is right, unless
    /// something new was half done each time.
    package static let earlierLooks = [Duration.seconds(1200), .seconds(800), .seconds(400)]
    /// BigQuery refuses a time to come, and its clock may be behind this machine's.
    package static let margin = Duration.seconds(10)

    private let sql: any SQLWarehouse
    private let schema: any SchemaWarehouse
    private let expectations: Expectations
    private let chain: VerificationChain
    private let execution: String?
    private let report: RunReport
    private let isDryRun: Bool
    private let now: @Sendable () -> Timestamp

    package init(
        sql: any SQLWarehouse, schema: any SchemaWarehouse, fence: LeaseFence?, expectations: Expectations,
        execution: String?, report: RunReport, isDryRun: Bool = false,
        now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        self.sql = sql
        self.schema = schema
        self.expectations = expectations
        chain = VerificationChain(warehouse: MeteredWarehouse(sql, report), fence: fence)
        self.execution = execution
        self.report = report
        self.isDryRun = isDryRun
        self.now = now
    }

    /// - Parameter instant: In the past, at most seven days ago.
    package func perform(at instant: Timestamp) async throws {
        report.declare(
            counts: "invariants_held", "invariants_broken", "invariants_unreadable", "findings", "rows_read",
            "bytes_billed")
        var results: [InvariantResult] = []
        for inspection in inspections() {
            results += try await self.results(of: inspection, at: instant)
            try Task.checkCancellation()
        }
        let (result, head) = try await chainResult()
        results.append(result)
        show(results, at: instant)
        // Without the head of the chain nothing can be appended. The run has failed already.
        guard case .read(let last) = head else { return }
        let row = Verification(
            after: last, instant: instant, verifiedAt: now(), verdict: verdict(of: results),
            results: InvariantResult.text(of: results), execution: execution)
        guard !isDryRun else { return report.line("would append row \(row.number) to the chain") }
        try await chain.append(row)
        report.line("row \(row.number) of the chain: \(row.digest)")
        report.attach(
            "chain",
            .object([
                ("number", .integer(Int(row.number))), ("instant", .string(instant.description)),
                ("verdict", .string(row.verdict)), ("digest", .string(row.digest)),
                ("previous", row.previous.map { .string($0) } ?? .null),
            ]), always: true)
    }

    /// In the order in which they are shown.
    func inspections() -> [Inspection] {
        let columns = expectations.columns
        var quotas = expectations.quotas(columns.daily, columns.monthly).statement().inspection(of: sql)
        if !columns.isChosen {
            let (standard, sql) = (quotas, sql)
            let predecessor = QuotaColumns.predecessor
            let other = expectations.quotas(predecessor.daily, predecessor.monthly).statement().inspection(of: sql)
            quotas = Inspection(purpose: quotas.purpose, invariants: quotas.invariants) { instant, asked in
                do {
                    return try await standard.look(instant, asked)
                } catch let error as WarehouseError
                    where error.code == .invalid && error.message.contains(columns.daily)
                {
                    // The table was created by the jobs in Python.
                    guard let sight = try? await other.look(instant, asked) else { throw error }
                    return sight
                }
            }
        }
        return [
            quotas, expectations.schema.inspection(of: sql, schema), BillingInspection.statement.inspection(of: sql),
            AuditInspection(days: expectations.auditDays).inspection(of: sql),
            QueueInspection.statement.inspection(of: sql), QueueInspection.cursorStatement.inspection(of: sql),
            ServiceInspection.leaseStatement.inspection(of: sql),
            ServiceInspection.historyStatement.inspection(of: sql),
            ServiceInspection.rolloutStatement.inspection(of: sql),
        ]
    }

    func results(of inspection: Inspection, at instant: Timestamp) async throws -> [InvariantResult] {
        do {
            let first = try await inspection.look(instant, nil)
            report.add(Int(first.bytesBilled), to: "bytes_billed")
            let sight = first.findings.isEmpty ? first : try await confirmed(first, by: inspection, at: instant)
            return inspection.invariants.map { InvariantResult($0, in: sight) }
        } catch let error as WarehouseError {
            try Task.checkCancellation()
            return inspection.invariants.map {
                InvariantResult(invariant: $0, state: .unreadable(String(describing: error)))
            }
        }
    }

    private func confirmed(
        _ first: Sight, by inspection: Inspection, at instant: Timestamp
    ) async throws -> Sight {
        if let confirm = inspection.confirm { return try await confirm(first) }
        var sight = first
        for offset in Self.earlierLooks where !sight.findings.isEmpty {
            let earlier = try await inspection.look(instant.adding(.zero - offset), sight.findings.map(\.key))
            report.add(Int(earlier.bytesBilled), to: "bytes_billed")
            let lasting = Set(earlier.findings.map(\.key))
            let before = sight
            sight.findings = []
            sight.counts = [:]
            for finding in before.findings where lasting.contains(finding.key) { sight.add(finding) }
            // The findings beyond those that the look was asked about count if any of these last.
            for (name, count) in before.counts
            where count > InspectionStatement.mostFindings && sight.counts[name] != nil {
                sight.counts[name, default: 0] += count - InspectionStatement.mostFindings
            }
            for invariant in inspection.invariants where earlier.rowsRead[invariant.name] == nil {
                sight.rowsRead[invariant.name] = nil
            }
        }
        return sight
    }

    enum Head {
        case read(Verification?)
        case unreadable
    }

    func chainResult() async throws -> (InvariantResult, Head) {
        do {
            let rows = try await chain.latest()
            var sight = Sight()
            VerificationChain.findings(in: rows).forEach { sight.add($0) }
            sight.rowsRead[VerificationChain.invariant.name] = rows.count
            return (InvariantResult(VerificationChain.invariant, in: sight), .read(rows.first))
        } catch let error as WarehouseError {
            try Task.checkCancellation()
            let state = InvariantResult.State.unreadable(String(describing: error))
            return (InvariantResult(invariant: VerificationChain.invariant, state: state), .unreadable)
        }
    }

    private func verdict(of results: [InvariantResult]) -> String {
        if results.contains(where: \.isBroken) { return "broken" }
        return results.allSatisfy(\.holds) ? "holds" : "unreadable"
    }

    private func show(_ results: [InvariantResult], at instant: Timestamp) {
        report.line("the warehouse as of \(instant)")
        report.table(header: ["invariant", "state", "rows read", "findings"], rows: results.map(\.tableRow))
        for result in results {
            report.add(result.rows ?? 0, to: "rows_read")
            switch result.state {
            case .holds: report.add(1, to: "invariants_held")
            case .broken(let count, let examples):
                report.add(1, to: "invariants_broken")
                report.add(count, to: "findings")
                let command = result.invariant.command.replacing("ENVIRONMENT", with: expectations.environment.rawValue)
                report.fail(
                    result.invariant.name,
                    "is broken in \(spoken(count, "places")): \(examples.joined(separator: "; ")); next: \(command)")
            case .unreadable(let reason):
                report.add(1, to: "invariants_unreadable")
                report.fail(result.invariant.name, "was not read, so nobody knows whether it holds: \(reason)")
            }
        }
    }
}

/// What became of one invariant in a run.
struct InvariantResult: Sendable {
    enum State: Sendable {
        case holds
        case broken(count: Int, examples: [String])
        case unreadable(String)
    }

    /// The examples that a result has, and the length of one.
    private static let (mostExamples, longestExample) = (3, 120)

    let invariant: Invariant
    var rows: Int?
    let state: State

    init(invariant: Invariant, state: State) {
        self.invariant = invariant
        self.state = state
    }

    init(_ invariant: Invariant, in sight: Sight) {
        self.invariant = invariant
        rows = sight.rowsRead[invariant.name]
        let count = sight.counts[invariant.name] ?? 0
        if rows == nil {
            state = .unreadable(
                count > 0
                    ? "\(spoken(count, "places")) seem broken, and those that were looked at are right"
                    : "the answer does not say what was read")
        } else if count == 0 {
            state = .holds
        } else {
            let worst = sight.findings.filter { $0.invariant == invariant.name }.prefix(Self.mostExamples)
            state = .broken(
                count: count, examples: worst.map { String(printable($0.description).prefix(Self.longestExample)) })
        }
    }

    var holds: Bool { if case .holds = state { true } else { false } }
    var isBroken: Bool { if case .broken = state { true } else { false } }

    private var word: String {
        switch state {
        case .holds: "holds"
        case .broken: "broken"
        case .unreadable: "not read"
        }
    }

    private var count: Int { if case .broken(let count, _) = state { count } else { 0 } }

    var tableRow: [String] { [invariant.name, word, rows.map(String.init) ?? "-", String(count)] }

    /// The results as they are stored.
    static func text(of results: [InvariantResult]) -> String {
        JSONValue.array(
            results.map { result in
                var members: [JSONObject.Member] = [
                    ("invariant", .string(result.invariant.name)), ("state", .string(result.word)),
                    ("rows", result.rows.map { .integer($0) } ?? .null), ("findings", .integer(result.count)),
                ]
                switch result.state {
                case .holds: break
                case .broken(_, let examples): members.append(("examples", .array(examples.map { .string($0) })))
                case .unreadable(let reason): members.append(("reason", .string(String(reason.prefix(300)))))
                }
                return .object(JSONObject(members))
            }
        ).description
    }
}
