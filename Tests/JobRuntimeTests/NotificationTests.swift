import Foundation
import HTTPTransport
import TestSupport
import Testing

@testable import JobRuntime

@Suite struct NotificationTests {
    private struct Job: ScheduledJob {
        struct Settings: JobSettings {
            let notification: NotificationSettings

            init(reading environment: inout EnvironmentReader) {
                notification = NotificationSettings(reading: &environment)
            }
        }

        static let name = "trial"
        static let purpose = "Changes something."

        static let isExclusive = false
        static let discussion = ""

        let options: NoOptions
        let settings: Settings

        func run(_ run: Run) async throws {
            run.notifyAtEnd(settings.notification, ofChangesIn: ["rows_changed"])
            run.report.add(run.isDryRun ? 1 : 2, to: "rows_changed")
            run.report.add(1, to: "rows_read")
        }
    }

    private struct IdleJob: ScheduledJob {
        typealias Settings = Job.Settings
        static let name = "idle"
        static let purpose = "Changes nothing."

        static let isExclusive = false
        static let discussion = ""

        let options: NoOptions
        let settings: Settings

        func run(_ run: Run) async throws {
            run.notifyAtEnd(settings.notification, ofChangesIn: ["rows_changed"])
            run.report.add(5, to: "rows_read")
        }
    }

    private struct FailingJob: ScheduledJob {
        typealias Settings = Job.Settings
        static let name = "failing"
        static let purpose = "Changes something and fails."

        static let isExclusive = false
        static let discussion = ""

        let options: NoOptions
        let settings: Settings

        func run(_ run: Run) async throws {
            run.notifyAtEnd(settings.notification, ofChangesIn: ["rows_changed"])
            run.report.add(1, to: "rows_changed")
            run.report.fail("row 2", "is \"odd\"")
            throw ConfigurationError("half-way")
        }
    }

    private static let key = "NeverShown"

    private func environment(_ server: ScriptedServer) -> [String: String] {
        ["API_SERVICE_URL": "\(server.url)/hooks/jobs", "CA_ROOT_API_KEY": Self.key]
    }

    @Test func aRunThatChangedSomethingTellsTheService() async throws {
        let server = try ScriptedServer(replies: [ScriptedReply(status: 204)])
        let process = FakeProcess()

        let status = await process.run(Job.self, environment: environment(server))

        #expect(status == .success)
        let request = try #require(server.requests.first)
        #expect(request.method == "POST" && request.path == "/hooks/jobs")
        #expect(request.headers["X-CA-Root-Key"] == Self.key)
        let body = try #require(try JSONSerialization.jsonObject(with: request.body) as? [String: Any])
        #expect(body["job"] as? String == "trial")
        #expect(body["counts"] as? [String: Int] == ["rows_changed": 2, "rows_read": 1])
        #expect(body["status"] as? String == "succeeded")
        #expect((body["failures"] as? [Any])?.isEmpty == true)
        #expect((body["duration_ms"] as? Int).map { 0..<600_000 ~= $0 } == true)
    }

    @Test func aURLWithoutAKeyIsAProblem() async throws {
        let process = FakeProcess()

        let status = await process.run(Job.self, environment: ["API_SERVICE_URL": "https://api.example.com/hooks"])

        #expect(status == .configuration)
        #expect(process.error.contains("CA_ROOT_API_KEY is not set, though API_SERVICE_URL is"))
    }

    @Test func aQueryOfTheURLIsNotShown() async throws {
        let process = FakeProcess()

        let status = await process.run(
            Job.self, environment: ["API_SERVICE_URL": "https://api.example.com/hooks?key=\(Self.key)"])

        #expect(status == .configuration)
        #expect(process.error.contains("https://api.example.com/hooks?…"))
        #expect(!process.error.contains(Self.key))
    }

    @Test func aRunThatFailedHalfWayTellsItToo() async throws {
        let server = try ScriptedServer(replies: [ScriptedReply(status: 200)])

        let status = await FakeProcess().run(FailingJob.self, environment: environment(server))

        #expect(status == .configuration)
        let request = try #require(server.requests.first)
        let body = try #require(try JSONSerialization.jsonObject(with: request.body) as? [String: Any])
        #expect(body["status"] as? String == "failed")
        #expect(
            body["failures"] as? [[String: String]] == [
                ["subject": "row 2", "reason": #"is "odd""#], ["subject": "configuration", "reason": "half-way"],
            ])
        #expect(body["failures_omitted"] as? Int == 0)
    }

    @Test func nothingIsToldOfNoChangeOrADryRunOrWithoutBothVariables() async throws {
        let server = try ScriptedServer(replies: [])

        _ = await FakeProcess().run(IdleJob.self, environment: environment(server))
        _ = await FakeProcess().run(Job.self, ["--dry-run"], environment: environment(server))
        _ = await FakeProcess().run(Job.self, environment: ["API_SERVICE_URL": server.url])
        _ = await FakeProcess().run(Job.self, environment: ["CA_ROOT_API_KEY": Self.key])

        #expect(server.requests.isEmpty)
    }

    @Test(arguments: [ScriptedReply.text("no", status: 500), .text("no", status: 401), .closeWithoutReply])
    func aServiceThatDoesNotTakeItIsAWarning(_ reply: ScriptedReply) async throws {
        let server = try ScriptedServer(replies: [reply])
        let process = FakeProcess()

        let status = await process.run(Job.self, environment: environment(server))

        #expect(status == .success)
        #expect(process.output.contains("1 warning (notification of the API service)"))
        #expect(!(process.output + process.error).contains(Self.key))
    }
}
