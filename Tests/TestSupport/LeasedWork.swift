import JobRuntime
package import WarehouseKit

extension JobLease {
    /// Does the work under the lease, as a run does it.
    ///
    /// - Returns: `false` if the work was not begun; the report says why.
    @discardableResult
    package func withLease(_ work: () async throws -> Void) async throws -> Bool {
        do {
            try await acquire()
        } catch let skipped as RunSkipped {
            report.skip(skipped.reason)
            return false
        } catch let failure as RunFailure {
            report.fail(failure.operation, failure.reason)
            return false
        }
        do {
            try await work()
        } catch {
            await release()
            throw error
        }
        await release()
        return true
    }
}
