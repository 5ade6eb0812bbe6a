package import JobRuntime

/// The environments that the service is deployed to. The name is part of the organizations' dataset names.
package enum DeploymentEnvironment: String, Sendable, CaseIterable {
    case test, stage, prod

    package static let help = (name: "ENVIRONMENT", text: "test, stage or prod.")

    /// `nil` where it is not set and need not be, or where it is wrong.
    package static func read(_ environment: inout EnvironmentReader, isRequired: Bool) -> DeploymentEnvironment? {
        guard isRequired || environment.isSet("ENVIRONMENT") else { return nil }
        return DeploymentEnvironment(rawValue: environment.choice("ENVIRONMENT", of: allCases.map(\.rawValue)))
    }
}
