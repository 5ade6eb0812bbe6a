import JobRuntime
import Logging
import Warehouse
import WarehouseKit

extension BillingReconciliation {
    /// Writes what differs, and queues what could not be written or was overtaken by something newer.
    func apply(_ changes: [BillingChange], _ overtaken: [String]) async throws {
        guard !isDryRun else { return }
        var left = overtaken
        var rest = changes[...]
        while !rest.isEmpty {
            try Task.checkCancellation()
            let part = rest.prefix(BillingWriter.mostChanges)
            rest = rest.dropFirst(part.count)
            left += try await apply(part).map(\.slug)
        }
        guard !left.isEmpty else { return }
        report.add(try await queue.add(left), to: "queued")
        logger.notice("queued \(left.count) organizations that were changed meanwhile or could not be written")
    }

    /// - Returns: What has to be queued. Where nothing differs and something newer was written meanwhile, nothing has to.
    private func apply(_ part: ArraySlice<BillingChange>) async throws -> [BillingChange] {
        var written = BillingWriter.Written()
        var problem: WarehouseError?
        defer { report.add(part.count { written.applied.contains($0.slug) && !$0.differences.isEmpty }, to: "synced") }
        do {
            try await writer.applyInParts(part, into: &written)
        } catch let error as WarehouseError where !error.endsRun {
            problem = error
        }
        for (slug, error) in written.refused.sorted(by: { $0.key < $1.key }) {
            fail(slug, "not applied, but queued: \(error)")
        }
        let rest = part.filter { !written.applied.contains($0.slug) }
        guard let problem else { return rest.filter { written.refused[$0.slug] != nil || !$0.differences.isEmpty } }
        let unknown = rest.count { written.refused[$0.slug] == nil }
        report.add(unknown, to: "errors")
        report.fail("\(unknown) organizations", "not applied, but queued: \(problem)")
        return rest
    }
}
