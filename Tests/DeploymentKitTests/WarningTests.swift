import Testing

@testable import DeploymentKit

@Suite struct WarningTests {
    static let stage = """
          stage:
            project: demo-project
            region: us-central1
            bigquery_location: US
            prefix: other-
            account_prefix: ot-
            images: us-central1-docker.pkg.dev/demo-project/jobs
            image_tag: 1.0.0
            confirm: false

        """

    private func warnings(_ yaml: String) throws -> [String] {
        try JobsFileReader.read(yaml).warnings.map { "\($0.line): \($0.message)" }
    }

    @Test func environmentsOfOneProjectShouldNotBothRunAJob() throws {
        let both = try Fixture.yaml("custom_roles:\n", "\(Self.stage)custom_roles:\n")

        #expect(
            try warnings(both) == [
                "12: environments test and stage share the data of demo-project, and both run sweep by schedule; "
                    + "name these jobs under paused in one of them"
            ])
        #expect(try warnings(both.replacing("prefix: other-", with: "prefix: other-\n    paused: [sweep]")) == [])
        #expect(
            try warnings(both.replacing("  stage:\n    project: demo-", with: "  stage:\n    project: other-")) == [])
    }

    @Test func theShippedFileHasNone() throws {
        let access = try AccessList(Fixture.text("deploy/access.json"))

        #expect(try JobsFileReader.read(Fixture.text("jobs.yaml"), access: access).warnings == [])
    }
}
