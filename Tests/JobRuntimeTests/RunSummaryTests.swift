import Testing

@testable import JobRuntime

@Suite struct RunSummaryTests {
    private func summary(
        stopReason: String? = nil, task: CloudRunTask = CloudRunTask(), isDryRun: Bool = false,
        _ fill: (inout RunRecord) -> Void
    ) -> RunSummary {
        var record = RunRecord()
        fill(&record)
        return RunSummary(
            job: "trial", task: task, isDryRun: isDryRun, now: FakeProcess.start, startedAt: FakeProcess.start,
            finishedAt: FakeProcess.start.adding(.milliseconds(1250)), duration: .milliseconds(1250),
            stopReason: stopReason, record: record)
    }

    @Test func theLineIsTheSameToTheLastCharacter() {
        let task = CloudRunTask(job: "cloudact-trial", execution: "trial-x", index: 1, count: 2, attempt: 0)
        let line = summary(task: task) { record in
            record.add(0, to: "organizations")
            record.add(3, to: "columns_added")
            record.add(100, to: "organizations")
            record.warnings.add("acme", "extra \"column\"")
            record.details.append(("plan", .array([.integer(1), .integer(2)])))
        }.json(withDetails: true)

        #expect(
            line == """
                {"severity":"WARNING","message":"trial succeeded in 1.2 s, 1 warning (acme): 100 organizations, \
                3 columns added","time":"2026-01-31T00:05:01.250000Z","job":"trial","version":"\(serviceVersion)",\
                "status":"succeeded","reason":null,"dry_run":false,"counts":{"organizations":100,"columns_added":3},\
                "failure_count":0,"failures":[],"failures_omitted":0,"warnings":[{"subject":"acme","reason":"extra \\"column\\""}],\
                "warnings_omitted":0,"now":"2026-01-31T00:05:00.000000Z","started_at":"2026-01-31T00:05:00.000000Z",\
                "duration_ms":1250,"requests":0,"execution":"trial-x","task_index":1,"task_count":2,"attempt":0,\
                "logging.googleapis.com/labels":{"job":"trial","execution":"trial-x","task_index":"1","attempt":"0"},\
                "logging.googleapis.com/operation":{"id":"trial-x","producer":"trial"},"details":{"plan":[1,2]}}
                """)
    }

    @Test func keepsAHundredFailuresAndCountsTheRest() throws {
        let text = summary { record in
            for index in 0..<250 { record.failures.add("org-\(index)", String(repeating: "\"", count: 10_000)) }
        }.json(withDetails: false)
        let line = try ParsedJSON(text)

        guard case .array(let failures)? = line["failures"] else { throw Missing() }
        #expect(failures.count == 100)
        #expect(failures[99]["subject"] == "org-99")
        #expect(failures[0]["reason"]?.text?.count == 501)
        #expect(line["failures_omitted"] == 150)
        #expect(line["failure_count"] == 250)
        #expect(
            line["message"]?.text?.contains("250 failures (org-0, org-1, org-2, org-3, org-4 and 245 more)") == true)
        #expect(text.utf8.count < 256 * 1024)
    }

    private struct Missing: Error {}

    @Test func statusAndSeverityFollowWhatHappened() {
        let fail: (inout RunRecord) -> Void = { $0.failures.add("a", "b") }
        let skip: (inout RunRecord) -> Void = { $0.skipReason = "held" }
        #expect(summary { _ in }.status == .succeeded)
        #expect(summary(fail).status == .failed)
        #expect(summary(skip).status == .skipped)
        #expect(
            summary {
                fail(&$0); skip(&$0)
            }.status == .failed)
        #expect(summary(stopReason: "SIGTERM received", fail).status == .stopped)
        #expect(summary(skip).sentence == "trial skipped after 1.2 s, held")
        #expect(summary(isDryRun: true) { _ in }.sentence == "trial (dry run) succeeded in 1.2 s")
        #expect(
            summary(isDryRun: true) { $0.add(3, to: "columns_added") }.sentence
                == "trial (dry run) succeeded in 1.2 s: 3 columns would be added")
        #expect(
            summary(stopReason: "SIGTERM received", fail).sentence
                == "trial stopped after 1.2 s, SIGTERM received, 1 failure (a)")
    }
}
