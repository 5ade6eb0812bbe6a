/// One environment of `jobs.yaml`: where jobs are deployed, and under which names.
package struct EnvironmentDefinition: Sendable {
    package static let keys = [
        "project", "region", "bigquery_location", "prefix", "account_prefix", "images", "image_tag", "confirm",
        "alert_emails", "paused", "environment",
    ]
    /// The names that the jobs themselves know.
    package static let names = ["test", "stage", "prod"]

    package var name: String
    package var line: Int
    package var project: String
    package var region: String
    package var bigQueryLocation: String
    /// Begins the names of jobs and triggers.
    package var prefix: Located<String>
    /// Begins the ids of service accounts, which are short.
    package var accountPrefix: Located<String>
    /// The repository that the images are in.
    package var images: String
    package var imageTag: String
    /// Whether scripts that change something ask first.
    package var asksFirst: Bool
    package var alertEmails: [String]
    /// Jobs whose triggers are paused here.
    package var paused: [Located<String>]
    /// Variables that every job has here.
    package var environment: [(name: String, text: Located<String>)]

    package func deployedName(_ job: String) -> String { prefix.value + job }

    package func triggerName(_ job: String) -> String { deployedName(job) + "-trigger" }

    package func accountID(_ job: String) -> String { accountPrefix.value + job }

    package func accountEmail(_ job: String) -> String { "\(accountID(job))@\(project).iam.gserviceaccount.com" }

    /// The account that Cloud Scheduler starts jobs as.
    package var triggerAccount: String { "trigger" }

    /// Role ids take no dashes.
    package func customRoleID(_ name: String) -> String {
        String(prefix.value.map { $0 == "-" ? "_" : $0 }) + name
    }

    package func customRole(_ name: String) -> String { "projects/\(project)/roles/\(customRoleID(name))" }

    /// `text` with `{environment}`, `{project}` and `{region}` filled in.
    package func fill(_ text: String) -> String {
        Placeholder.allCases.reduce(text) { $0.replacing("{\($1.rawValue)}", with: value(of: $1)) }
    }

    private func value(of placeholder: Placeholder) -> String {
        switch placeholder {
        case .environment: name
        case .project: project
        case .region: region
        }
    }
}

/// What a value may hold in braces.
enum Placeholder: String, CaseIterable {
    case environment, project, region
}
