import FoundationEssentials
package import JobRuntime

extension CloudRunTask {
    /// Who holds a lease: the task of the execution, whichever attempt it is. Cloud Run begins an attempt when the one before
    /// has ended, so an attempt may take over what a killed one left behind. Outside of Cloud Run every process is another.
    package var leaseHolder: String {
        execution.map { "\($0)/\(index)" } ?? "local/\(UUID().uuidString.lowercased())"
    }
}
