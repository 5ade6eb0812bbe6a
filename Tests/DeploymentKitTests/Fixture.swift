import Foundation

@testable import DeploymentKit

/// A small `jobs.yaml` that has nothing wrong with it, to change one thing at a time.
enum Fixture {
    static let yaml = """
        environments:
          test:
            project: demo-project
            region: us-central1
            bigquery_location: US
            prefix: demo-
            account_prefix: dm-
            images: us-central1-docker.pkg.dev/demo-project/jobs
            image_tag: 1.0.0
            confirm: false
            alert_emails: [ops@example.com]
        custom_roles:
          reader:
            title: Reads tables
            permissions: [bigquery.tables.get]
        datasets:
          organizations: The organizations
        defaults:
          time_zone: Etc/UTC
          timeout: 10m
          retries: 1
          cpu: 1
          memory: 512Mi
          tasks: 1
          parallelism: 1
        jobs:
          - name: sweep
            executable: SweepJob
            purpose: Sweeps.
            schedule: 0 1 * * *
            memory: 1024Mi
            environment:
              DAYS_TO_KEEP: 90
            secrets:
              STRIPE_SECRET_KEY: stripe-{environment}
            arguments: [--region, "{region}"]
            roles:
              project: [roles/bigquery.jobUser, reader]
              organizations: [roles/bigquery.dataEditor]
          - name: setup
            executable: SetupJob
            purpose: Sets up.
            schedule: manual
            budget: {requests: 20, bytes: 2GiB}

        """

    /// The text with one passage replaced, which must be there once.
    static func yaml(_ passage: String, _ replacement: String) throws -> String {
        let parts = yaml.components(separatedBy: passage)
        guard parts.count == 2 else { throw Missing(passage: passage, times: parts.count - 1) }
        return parts.joined(separator: replacement)
    }

    /// What the two jobs use. The roles of `sweep` cover all that it does.
    static let access = """
        {
          "setup": [
            {"on": "project", "does": "runs statements", "permissions": ["bigquery.jobs.create"]},
            {"on": "organizations.usage", "does": "reads rows", "permissions": ["bigquery.tables.getData"]}
          ],
          "sweep": [
            {"on": "project", "does": "runs statements", "permissions": ["bigquery.jobs.create"]},
            {"on": "organizations.usage", "does": "deletes rows", "permissions": ["bigquery.tables.getData", "bigquery.tables.updateData"]}
          ]
        }

        """

    static func file() throws -> JobsFile { try JobsFileReader.read(yaml, access: AccessList(access)) }

    /// The descriptions of the two jobs in the environment of the fixture.
    static func descriptions() throws -> JobDescriptions {
        ["test": ["sweep": try description("sweep"), "setup": try description("setup")]]
    }

    static func description(_ job: String) throws -> JobDescription {
        let text = try Self.text("Tests/DeploymentKitTests/Descriptions/\(job).json")
        return try JSONDecoder().decode(JobDescription.self, from: Data(text.utf8))
    }

    /// The problems of a text, as `line: message`.
    static func problems(_ yaml: String) -> [String] {
        problems { () throws(Problems) in _ = try JobsFileReader.read(yaml) }
    }

    /// The problems that an action throws, as `line: message`.
    static func problems(_ action: () throws(Problems) -> Void) -> [String] {
        do {
            try action()
            return []
        } catch {
            return error.all.map { "\($0.line): \($0.message)" }
        }
    }

    /// Set to write the golden files anew; the run then fails, so that nobody leaves it on.
    static let recordsGoldenFiles = ProcessInfo.processInfo.environment["RECORD_GOLDEN_FILES"] != nil

    struct Missing: Error {
        var passage: String
        var times: Int
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }
}
