import Foundation
import Testing

@testable import DeploymentKit

/// The roles that are chosen for what the jobs use.
@Suite struct AccessListTests {
    private static func grants(
        of job: String, using uses: String, _ change: (String) -> String = { $0 }
    ) throws -> [String] {
        let access = try AccessList(
            "{\"setup\": [\(job == "setup" ? uses : "")], \"sweep\": [\(job == "sweep" ? uses : "")]}")
        let file = try JobsFileReader.read(change(Fixture.yaml), access: access)
        let definition = try #require(file.jobs.first { $0.name == job })
        return file.grants(of: definition).map { "\($0.on): \($0.role)" }
    }

    private static func use(_ on: String, _ permissions: String...) -> String {
        let names = permissions.map { "\"bigquery.\($0)\"" }.joined(separator: ", ")
        return "{\"on\": \"\(on)\", \"does\": \"something\", \"permissions\": [\(names)]}"
    }

    @Test func theNarrowestRoleIsChosen() throws {
        let uses = [
            Self.use("project", "jobs.create"), Self.use("organizations.a", "tables.getData"),
            Self.use("organizations.b", "tables.getData", "tables.updateData"), Self.use("organizations", "tables.get"),
        ].joined(separator: ", ")

        let grants = try Self.grants(of: "setup", using: uses)
        let own = try Self.grants(of: "setup", using: uses) {
            $0.replacing(
                "  reader:\n", with: "  rows:\n    title: Rows\n    permissions: [bigquery.tables.getData]\n  reader:\n"
            )
        }

        #expect(
            grants == [
                "project: roles/bigquery.jobUser", "organizations: reader",
                "organizations.a: roles/bigquery.dataViewer",
                "organizations.b: roles/bigquery.dataEditor",
            ])
        #expect(own.contains("organizations.a: rows"))
    }

    @Test func aRoleAboveMakesOneBelowSuperfluous() throws {
        let grants = try Self.grants(
            of: "sweep",
            using: Self.use("organizations.a", "tables.getData") + ", " + Self.use("organizations", "tables.get"))

        #expect(
            grants == [
                "project: roles/bigquery.jobUser", "project: reader", "organizations: roles/bigquery.dataEditor",
            ])
    }

    /// It uses the tables in the run that creates them.
    @Test func aJobThatCreatesTheTablesOfADatasetHasItsRolesOnTheDataset() throws {
        let grants = try Self.grants(
            of: "setup",
            using: Self.use("organizations", "tables.create") + ", " + Self.use("organizations.a", "tables.updateData"))

        #expect(grants == ["organizations: roles/bigquery.dataEditor"])
    }

    @Test(arguments: [
        (
            #"{"setup": [], "sweep": [], "gone": []}"#,
            "1: deploy/access.json has the job gone, which this file does not have: run scripts/record-access.sh"
        ),
        (
            #"{"sweep": []}"#,
            "40: job setup is not in deploy/access.json, so it would get no access: run scripts/record-access.sh"
        ),
        (
            #"{"sweep": [], "setup": [{"on": "project", "does": "a", "permissions": ["bigquery.tables.create"]}]}"#,
            "40: job setup uses bigquery.tables.create on the project, and no role has that; add one to custom_roles"
        ),
    ])
    func aListThatDoesNotFitTheJobsIsAProblem(_ list: String, _ expected: String) throws {
        let access = try AccessList(list)

        let problems = Fixture.problems { () throws(Problems) in
            _ = try JobsFileReader.read(Fixture.yaml, access: access)
        }

        #expect(problems == [expected])
    }

    // MARK: The service's own jobs

    private static func service() throws -> (file: JobsFile, access: AccessList) {
        let access = try AccessList(Fixture.text("deploy/access.json"))
        return (try JobsFileReader.read(Fixture.text("jobs.yaml"), access: access), access)
    }

    /// `bigquery.config.get` reads defaults of the project. It comes with the role to run statements.
    @Test func noJobOfTheServiceMayDoWhatItDoesNotDo() throws {
        let (file, access) = try Self.service()

        for job in file.jobs {
            let uses = try #require(access.uses[job.name])
            for grant in file.grants(of: job) {
                let used = uses.filter { $0.on == grant.on || $0.dataset == grant.on }
                let excess = used.reduce(file.permissions(of: grant.role)) { $0.subtracting($1.permissions) }
                #expect(excess.subtracting(["bigquery.config.get"]) == [], "\(job.name): \(grant.role) on \(grant.on)")
            }
        }
    }

    @Test(arguments: ["org_api_keys", "org_integration_credentials", "org_idempotency_keys"])
    func noJobOfTheServiceReachesTheRowsOfTablesWithKeys(_ table: String) throws {
        let (file, _) = try Self.service()

        let grants = file.jobs.flatMap { file.grants(of: $0) }.filter {
            ["project", "organizations", "organizations.\(table)"].contains($0.on)
        }

        #expect(!grants.isEmpty)
        for grant in grants {
            let rows = file.permissions(of: grant.role).intersection([
                "bigquery.tables.getData", "bigquery.tables.updateData",
            ])
            #expect(rows == [], "\(grant)")
        }
    }
}
