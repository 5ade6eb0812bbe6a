import FoundationEssentials
package import JobRuntime

extension CloudRunTask {
    /// Who holds a lease: `EXECUTION/TASK/ATTEMPT`. Cloud Run begins an attempt when the one before has ended, so what an earlier
    /// attempt left behind is nobody's any more. Outside of Cloud Run every process is another.
    package var leaseHolder: String {
        execution.map { "\($0)/\(index)/\(attempt)" } ?? "local/\(UUID().uuidString.lowercased())/0"
    }
}
