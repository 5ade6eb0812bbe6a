import Testing

@testable import DeploymentKit

/// One mistake hides no other, wherever they are.
@Suite struct ManyProblemsTests {
    private static let yaml = """
        environments:
          test:
            project: Demo
            region: us-central1
            bigquery_location: US
            prefix: demo
            account_prefix: dm-
            images: us-central1-docker.pkg.dev/demo-project/jobs
            image_tag: latest
            confirm: perhaps
            alert_emails: [ops]
            paused: [setup]
        custom_roles:
          reader:
            title: Reads tables
            permissions: [bigquery.tables]
        datasets:
          organizations: The organizations
        defaults:
          time_zone: Etc/UTC
          timeout: 10
          retries: 11
          retries: 1
          cpu: 1
          memory: 512Mi
          tasks: 1
          parallelism: 1
        jobs:
          - name: sweep
            executable: SweepJob
            purpose: Sweeps.
            schedule: 61 1 * * *
            cpu: 3
            environment:
              API_KEY: 90
            secrets:
              STRIPE_SECRET_KEY: sk_live_abc
            arguments: --all
            roles:
              project: [roles/owner, reader]
              customers: [roles/bigquery.dataEditor]
          - name: setup
            executable: setup
            purpos: Sets up.
            schedule: manual
            tasks: 2
            exclusive: true
            time_zone: Mars/Olympus
          - name: sweep
            executable: GoneJob
            purpose: Sweeps again.
            schedule: manual

        """

    @Test func allAreReportedAtOnce() {
        let manifest = "    job(\"SweepJob\"),\n    job(\"BillingJob\"),\n"

        let problems = #expect(throws: Problems.self) { try JobsFileReader.read(Self.yaml, manifest: manifest) }

        #expect(
            problems?.description == """
                Package.swift:2: no job of jobs.yaml has the executable BillingJob
                jobs.yaml:3: environments test: project must be a project id: 6 to 30 lowercase letters, digits and dashes, not Demo
                jobs.yaml:6: environments test: prefix must be lowercase letters, digits and dashes, with a dash at the end, not demo
                jobs.yaml:9: environments test: image_tag must be a version of letters, digits, dots, dashes and underscores, other than latest, not latest
                jobs.yaml:10: environments test: confirm must be true or false, not perhaps
                jobs.yaml:11: environments test: ops is not an e-mail address
                jobs.yaml:12: environments test: paused names setup, which has no schedule
                jobs.yaml:16: custom_roles reader: bigquery.tables is not a permission, such as bigquery.tables.get
                jobs.yaml:21: defaults: timeout must be a number and a unit, such as 90s, 10m or 2h, not 10
                jobs.yaml:22: defaults: retries must be a whole number from 0 to 10, not 11
                jobs.yaml:22: the key retries appears twice
                jobs.yaml:32: job sweep: the schedule 61 1 * * * has the minute 61, which is not within 0 to 59
                jobs.yaml:33: job sweep: cpu must be 1, 2, 4, 6 or 8, not 3
                jobs.yaml:35: job sweep: API_KEY looks like a secret; put it into secrets, not into environment
                jobs.yaml:37: job sweep: STRIPE_SECRET_KEY holds a secret itself instead of a secret's name
                jobs.yaml:38: job sweep: arguments must be a list
                jobs.yaml:40: job sweep: roles/owner is wider than any job needs
                jobs.yaml:41: job sweep: roles are given on project, organizations, not on customers
                jobs.yaml:42: job setup lacks purpose
                jobs.yaml:43: job setup: executable must be the name of a target, such as OrgSyncAllJob, not setup
                jobs.yaml:44: job setup has the unknown key purpos; did you mean purpose?
                jobs.yaml:47: job setup has the unknown key exclusive
                jobs.yaml:48: job setup: Mars/Olympus is no time zone of the tz database, such as Europe/Berlin
                jobs.yaml:49: job sweep appears twice, first in line 29
                jobs.yaml:50: job sweep: Package.swift has no line job("GoneJob")
                """)
    }
}
