package import ArgumentParser
import JobRuntime

/// The flags of `billing-sync-reconcile`.
package struct BillingReconciliationOptions: ParsableArguments, Sendable {
    @Flag(help: "Mark organizations as CANCELLED whose subscription is gone from Stripe.")
    package var cancelMissing: Bool = false

    @Option(help: "With --cancel-missing: if more than so many are gone, cancel none.")
    package var cancelMissingLimit: Int = 10

    package init() {}

    package func validate() throws {
        guard (1...1_000_000).contains(cancelMissingLimit) else {
            throw ValidationError("--cancel-missing-limit must be from 1 to 1000000.")
        }
    }
}
