import Warehouse

extension QueueScenario {
    /// Each is a fault that the rules must notice, at bounds that suffice.
    package static func mutants() throws -> [ModelCase] {
        var early = try QueueScenario(bounds(2))
        early.readsEarly = true
        early.seconds = 0
        let groups: [(ModelBounds, [ModelMutant])] = [
            (bounds(2), ofOneRun), (bounds(3), ofTwoRuns), (bounds(2, crashes: 1), ofAKilledRun),
            (bounds(2, lostReplies: 1), ofAFailedRun), (bounds(3, lostReplies: 1), ofAFailedRunBesideAnother),
        ]
        return [ModelCase(mutant: ModelMutant("Stripe is read before the claim") { _ in }, scenario: early)]
            + (try groups.flatMap { bounds, mutants in
                var scenario = try QueueScenario(bounds)
                scenario.seconds = 0
                return mutants.map { ModelCase(mutant: $0, scenario: scenario) }
            })
    }

    /// A killed run has a next attempt. The clocks of two runs differ, so that no two readings end at the same time.
    private static func bounds(_ executions: Int, crashes: Int = 0, lostReplies: Int = 0) -> ModelBounds {
        var bounds = ModelBounds()
        (bounds.executions, bounds.crashes, bounds.lostReplies) = (executions, crashes, lostReplies)
        bounds.clocks = executions > 2 ? [.zero, .seconds(20), .zero] : [.zero]
        bounds.hasLongPauses = true
        return bounds
    }

    private static let ofOneRun = [
        ModelMutant(
            "the claim has no token", in: "claim", replace: "lease_token = @token, lease_expires_at",
            with: "lease_expires_at"),
        ModelMutant(
            "the claimed items are not read back", in: "read the claimed", replace: "lease_token = @token",
            with: "FALSE"),
        ModelMutant("finish does nothing", in: "finish", replace: "t.lease_token = @token", with: "FALSE"),
        ModelMutant(
            "the time of the reading is not written", in: "write the billing",
            replace: "stripe_read_at = n.read_until", with: "stripe_read_at = t.stripe_read_at"),
        ModelMutant("no audit", in: "write the billing", replace: "WHERE n.differs AND", with: "WHERE FALSE AND"),
    ]

    private static let ofTwoRuns = [
        ModelMutant(
            "a claimed item is claimed again", in: "claim",
            replace: "status = 'pending' AND (next_retry_at IS NULL OR next_retry_at <= @now)",
            with: "status IN ('pending', 'processing')"),
        ModelMutant("every item is completed", in: "finish", parameter: "outcomes") { completed($0) },
        ModelMutant("a write of any version") {
            guard $0.purpose.hasPrefix("write the billing") else { return }
            for part in [
                "AND s.version = c.version", "c.version < c.read_from AND",
                "AND IFNULL(t.stripe_read_at, @never) = n.version",
            ] { $0.sql = $0.sql.replacing(part, with: "") }
        },
        ModelMutant(
            "a write that was overtaken counts", in: "write the billing",
            replace: "AND s.stripe_read_at = c.read_until", with: ""),
    ]

    private static let ofAKilledRun = [
        ModelMutant("a claim never expires", in: "claim", replace: "lease_expires_at <= @now", with: "FALSE"),
        ModelMutant("finish does not compare the token", in: "finish", replace: "t.lease_token = @token", with: "TRUE"),
        ModelMutant("a write without a claim", in: "write the billing", replace: "@claim = '' OR", with: "TRUE OR"),
    ]

    private static let ofAFailedRun = [
        ModelMutant(
            "release completes the items", in: "release the claimed", replace: "status = 'pending'",
            with: "status = 'completed'")
    ]

    private static let ofAFailedRunBesideAnother = [
        ModelMutant(
            "release does not compare the token", in: "release the claimed", replace: "lease_token = @token AND",
            with: "")
    ]

    private static func completed(_ statement: Statement) -> SQLValue {
        guard case .array(let type, let outcomes)? = statement.parameters.first(where: { $0.name == "outcomes" })?.value
        else { preconditionFailure("the outcomes are no list") }
        return .array(
            of: type,
            outcomes.map { outcome in
                guard case .structure(let fields) = outcome else { return outcome }
                return .structure(
                    fields.map { $0.name == "status" ? SQLValue.Field("status", .string("completed")) : $0 })
            })
    }
}
