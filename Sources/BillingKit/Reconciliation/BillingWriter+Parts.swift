import JobRuntime
import Warehouse
import WarehouseKit

extension BillingWriter {
    /// What became of changes that were written in parts.
    struct Written: Sendable {
        /// The organizations whose rows have the versions of their changes now.
        var applied: Set<String> = []
        /// Those that the warehouse refuses, and why.
        var refused: [String: WarehouseError] = [:]
    }

    /// To find one organization among a thousand takes 10 refusals, to find one of 25 takes 5.
    private static let mostRefusals = 64

    /// Applies everything that can be applied: a part that the warehouse refuses is halved and tried again, until what it
    /// refuses stands alone. Where that is refused too often, the rest is refused together.
    ///
    /// Errors that are not about what is written, such as a lost connection, are thrown: smaller parts would meet them too.
    ///
    /// - Parameter written: Gets what became of the changes, also of those before the one that an error was thrown for.
    func applyInParts(
        _ changes: some Collection<BillingChange>, claim: String = "", into written: inout Written
    ) async throws {
        var parts = [changes[...]]
        var refusals = 0
        while let part = parts.popLast() {
            try Task.checkCancellation()
            do {
                written.applied.formUnion(try await apply(part, claim: claim))
            } catch let error as WarehouseError where error.isAboutWhatIsWritten {
                refusals += 1
                guard part.count > 1, refusals <= Self.mostRefusals else {
                    for change in part { written.refused[change.slug] = error }
                    continue
                }
                let half = part.count / 2
                parts += [part.dropFirst(half), part.prefix(half)]
            }
        }
    }
}

extension WarehouseError {
    /// Fewer or other values could pass where these did not.
    fileprivate var isAboutWhatIsWritten: Bool { !endsRun && (code == .invalid || code == .resourcesExceeded) }
}
