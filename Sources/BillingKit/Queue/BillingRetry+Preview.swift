import JobRuntime

extension BillingRetry {
    /// Tells what a run would do, without claiming anything.
    func preview(_ limit: Int) async throws {
        let items = try await queue.due(limit)
        report.table(
            header: ["organization", "type", "retries", "sync"],
            rows: items.map { [$0.slug, $0.type, String($0.retries), $0.id] })
        guard !items.isEmpty else { return report.line("nothing is due") }
        for item in items { if let problem = item.problem { report.warn(quoted(item.slug), problem.description) } }
        let elsewhere = try await preview(items.filter { $0.problem == nil }, .known)
        _ = try await preview(items.filter { elsewhere.contains($0.slug) }, .everywhere)
    }

    private func preview(
        _ items: [QueuedSync], _ reach: OrganizationSynchronisation.Reach
    ) async throws -> Set<String> {
        var synchronisation = OrganizationSynchronisation(self, items, reach, claim: "")
        let changes = try await synchronisation.changes()
        report.table(
            header: ["organization", "field", "stripe", "warehouse"],
            rows: changes.flatMap { change in
                change.differences.map { [change.slug, $0.field.rawValue, $0.stripe, $0.warehouse] }
            })
        for (slug, problem) in synchronisation.problems.sorted(by: { $0.key < $1.key }) {
            report.warn(quoted(slug), problem.description)
        }
        return synchronisation.elsewhere
    }
}
