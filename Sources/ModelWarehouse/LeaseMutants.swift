import JobRuntime
import Warehouse
import WarehouseKit

extension LeaseScenario {
    /// Each is a fault that the rules must notice.
    package static func mutants(_ bounds: ModelBounds, validity: Duration) -> [ModelCase] {
        let one = LeaseScenario(bounds, validity: validity)
        let two = LeaseScenario(bounds, validity: validity, hasTwoJobs: true, isEmpty: true)
        var lost = bounds
        (lost.crashes, lost.lostReplies, lost.lateStatements) = (0, 1, 0)
        let repeated = ModelCase(
            mutant: ModelMutant(
                "the mark of a release is not found", in: "confirm", replace: "AND token IN UNNEST(@tokens)",
                with: "AND FALSE"), scenario: LeaseScenario(lost, validity: validity))
        return [repeated] + ofOneJob.map { ModelCase(mutant: $0, scenario: one) }
            + ofTwoJobs.map {
                ModelCase(mutant: $0, scenario: two)
            }
    }

    private static let ofOneJob = [
        ModelMutant("no fence", in: "write", replace: LeaseFence.sql, with: "TRUE"),
        ModelMutant(
            "the fence does not compare the token", in: "write", replace: "AND fence.token = @lease_token", with: ""),
        ModelMutant("release does not compare the token", in: "release", replace: "AND token = @token", with: ""),
        ModelMutant("release does nothing", in: "release", replace: "AND token = @token", with: "AND FALSE"),
        ModelMutant("no grace", in: "keep", parameter: "until") { $0.parameters.first { $0.name == "now" }!.value },
        ModelMutant(
            "keep does not compare the token", in: "keep", replace: "AND token = @token",
            with: "AND holder IS NOT NULL"),
        ModelMutant(
            "a held lease is taken", in: "take", replace: "held.expires_at > @now AND held.holder IS NOT NULL",
            with: "FALSE"),
        ModelMutant("a lease never expires", in: "take", replace: "held.expires_at > @now AND", with: ""),
        ModelMutant(
            "not all rows: a free row is taken while another is held", in: "take",
            replace: "WHERE held.job IN UNNEST(@jobs) AND held.expires_at > @now",
            with: "WHERE FALSE AND held.expires_at > @now"),
        ModelMutant(
            "the lease is taken without its token", in: "take", replace: "token = @token, acq", with: "acq"),
        ModelMutant("the lease expires after 10 s", in: "take", parameter: "expires_at") {
            guard case .timestamp(let now) = $0.parameters.first(where: { $0.name == "now" })!.value else {
                preconditionFailure("now is no timestamp")
            }
            return .timestamp(now.adding(.seconds(10)))
        },
    ]

    private static let ofTwoJobs = [
        ModelMutant("the fence accepts one of two leases", in: "write", replace: "= @lease_job_count", with: ">= 1"),
        ModelMutant("not all rows: one row of two jobs is enough", in: "take", replace: "= @job_count", with: ">= 1"),
    ]
}
