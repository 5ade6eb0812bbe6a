package import ArgumentParser
package import JobRuntime
package import Warehouse

/// Which changes a run may apply.
///
/// - Without an approved plan, and where none is required, a run applies everything.
/// - Otherwise it applies the kinds of change that were approved for the catalog that it has. It reports the others, leaves them,
///   and fails.
/// - Every plan of the catalog approves new datasets as the catalog has them, so that a new customer needs no approval of its own.
///
/// ```swift
/// let approval = options.approval.approval(settings.approval).covering(tables)
/// if approval.allows(ChangeKind(table: "subscription_plans", .createTable)) { ... }
/// ```
package struct Approval: Hashable, Sendable {
    package var plans: [PlanDigest]
    package var isRequired: Bool
    /// The digest of the tables that the run works with.
    package var catalog = ""

    /// Everything is allowed.
    package static let none = Approval(of: [], isRequired: false)

    package init(of plans: [PlanDigest], isRequired: Bool) {
        self.plans = plans
        self.isRequired = isRequired
    }

    package var isInForce: Bool { isRequired || !plans.isEmpty }

    package var allowsNewDatasets: Bool { !isInForce || plans.contains { $0.catalog == catalog } }

    /// The same approval for the tables that the run works with.
    package func covering(_ tables: [NamedTable]) -> Approval {
        var approval = self
        approval.catalog = catalogDigest(of: tables)
        return approval
    }

    package func allows(_ kind: ChangeKind) -> Bool {
        !isInForce || plans.contains { $0.catalog == catalog && $0.kinds.contains(kind.digest) }
    }
}

/// `APPROVED_PLAN` and `REQUIRE_APPROVAL`.
package struct ApprovalSettings: JobSettings {
    let plans: [PlanDigest]
    let isRequired: Bool

    private static let variable = "APPROVED_PLAN"

    package init(reading environment: inout EnvironmentReader) {
        let text = environment.optionalString(
            Self.variable, expected: "the digests that dry runs printed, separated by commas",
            help: "The digests of approved plans, separated by commas. A run applies the approved kinds of change only."
        )
        var plans: [PlanDigest] = []
        for part in text?.split(separator: ",") ?? [] {
            let word = part.filter { $0 != " " }
            if let plan = PlanDigest(word) {
                plans.append(plan)
            } else if !word.isEmpty {
                environment.note(
                    Self.variable, problem: "\(quoted(word)) is not the digest of a plan",
                    expected: "what a dry run printed, such as 3f9a1c07-5d20ee")
            }
        }
        self.plans = plans
        isRequired = environment.boolean(
            "REQUIRE_APPROVAL", default: false,
            help: "Whether a run applies approved changes only, also without an approved plan.")
    }
}

/// `--approve`.
package struct ApprovalOptions: ParsableArguments, Sendable {
    @Option(
        help: .init(
            "Apply the kinds of change that this plan has, and no others. Repeat the option for several plans. Overrides APPROVED_PLAN.",
            valueName: "digest"))
    package var approve: [String] = []

    package init() {}

    package func validate() throws {
        for text in approve where PlanDigest(text) == nil {
            throw ValidationError(
                "--approve \(quoted(text)) is not the digest of a plan; a dry run prints it, such as 3f9a1c07-5d20ee.")
        }
    }

    package func approval(_ settings: ApprovalSettings) -> Approval {
        let plans = approve.compactMap { PlanDigest($0) }
        return Approval(of: plans.isEmpty ? settings.plans : plans, isRequired: settings.isRequired)
    }
}
