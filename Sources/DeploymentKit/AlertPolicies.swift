/// The alert policies of one environment as bodies of Cloud Monitoring's v3 API, by the name of their file (fact MON-03).
struct AlertPolicies {
    let jobs: [DeployedJob]
    let environment: EnvironmentDefinition

    static let metric = "run.googleapis.com/job/completed_execution_count"

    var documents: [(name: String, document: Document)] {
        jobFailed + [("trigger-failed", triggerFailed)] + jobSkipped
            + jobs.compactMap { job in
                job.job.schedule?.longestGap.map { ("no-success-\(job.job.name)", noSuccess(of: job, gap: $0)) }
            } + BudgetAlerts(jobs: jobs, environment: environment).documents
    }

    /// Cloud Monitoring takes 2,048 characters of a filter and six conditions of a policy. Many jobs are divided.
    private var jobFailed: [(name: String, document: Document)] {
        var filters: [[String]] = []
        for name in jobs.map(\.name) {
            if let last = filters.last, failedFilter(last + [name]).count <= 2048 {
                filters[filters.count - 1].append(name)
            } else {
                filters.append([name])
            }
        }
        let policies = stride(from: 0, to: filters.count, by: 6).map { filters[$0..<min($0 + 6, filters.count)] }
        return policies.enumerated().map { index, filters in
            let name = index == 0 ? "job-failed" : "job-failed-\(index + 1)"
            return (name, jobFailed(name, conditions: filters.map(failedCondition)))
        }
    }

    private func failedFilter(_ names: [String]) -> String {
        [
            "resource.type = \"cloud_run_job\"", "metric.type = \"\(Self.metric)\"",
            "metric.labels.result = \"failed\"", "resource.labels.location = \"\(environment.region)\"",
            "resource.labels.job_name = one_of(\(names.map(Document.quoted).joined(separator: ", ")))",
        ].joined(separator: " AND ")
    }

    private func failedCondition(_ names: [String]) -> Document {
        [
            "displayName": "Failed executions of a job",
            "conditionThreshold": [
                "filter": .string(failedFilter(names)),
                "aggregations": [
                    [
                        "alignmentPeriod": "300s", "perSeriesAligner": "ALIGN_SUM",
                        "crossSeriesReducer": "REDUCE_SUM", "groupByFields": ["resource.label.job_name"],
                    ]
                ],
                "comparison": "COMPARISON_GT", "thresholdValue": 0, "duration": "0s",
            ],
        ]
    }

    private func jobFailed(_ name: String, conditions: [Document]) -> Document {
        policy(
            name, "a job failed", severity: "ERROR", conditions,
            """
            An execution of `${resource.label.job_name}` failed. Its last log entry is a summary that names what failed.

            The next run repairs what this one left, so a single failure needs no action. If it comes again, see the \
            job's entry in docs/operations.md. `scripts/list-jobs.sh \(environment.name)` shows the last executions.

            The incident closes by itself half an hour after the last failure, and you are notified of that.
            """,
            // The shortest there is: an incident that is still open would swallow the next night's failure.
            closing: "1800s")
    }

    var triggerFilter: String {
        let names = jobs.compactMap(\.triggerName).map(Document.quoted).joined(separator: " OR ")
        return [
            "resource.type = \"cloud_scheduler_job\"", "resource.labels.location = \"\(environment.region)\"",
            "resource.labels.job_id = (\(names))", "severity >= ERROR",
        ].joined(separator: " AND ")
    }

    private var triggerFailed: Document {
        policy(
            "trigger-failed", "a trigger could not start its job", severity: "ERROR",
            [
                [
                    "displayName": "Failed attempts of a trigger",
                    "conditionMatchedLog": ["filter": .string(triggerFilter)],
                ]
            ],
            """
            Cloud Scheduler could not start a job. `scripts/create-all-jobs.sh \(environment.name) --dry-run` shows \
            what differs from jobs.yaml (a missing job, account or role); without `--dry-run` it fixes that.

            The incident closes by itself a day after the last failed attempt. Nobody is notified of that.
            """,
            // An alert on log entries notifies of openings only, and needs a limit (fact SCH-02).
            strategy: ["notificationRateLimit": ["period": "3600s"], "autoClose": "86400s"])
    }

    /// A dead man's switch: it also sees a trigger that was paused or deleted, and a job that was never run.
    ///
    /// PromQL, because an absence condition reaches back 23.5 hours only and PromQL in alerts up to two years (fact MON-02).
    /// <https://docs.cloud.google.com/monitoring/alerts/using-promql>
    private func noSuccess(of job: DeployedJob, gap: Int) -> Document {
        let series = """
            run_googleapis_com:job_completed_execution_count{monitored_resource="cloud_run_job",\
            job_name="\(job.name)",location="\(environment.region)",result="succeeded"}
            """
        let window = gap * 3 / 2
        return policy(
            "no-success-\(job.job.name)", "\(job.job.name) has not succeeded for \(Self.spoken(window))",
            severity: "ERROR",
            [
                [
                    "displayName": .string("No success of \(job.name) within \(Self.spoken(window))"),
                    "conditionPrometheusQueryLanguage": [
                        "query": .string("(sum(increase(\(series)[\(window)s])) or vector(0)) < 1"),
                        // The metric is written a few minutes late (fact MON-01).
                        "duration": "300s", "evaluationInterval": window < 86_400 ? "60s" : "300s",
                        // In a new project the metric exists only after the first execution.
                        "disableMetricValidation": true,
                    ],
                ]
            ],
            """
            `\(job.name)` runs at `\(job.job.schedule?.text ?? "")` (\(job.job.timeZone)) and has not succeeded within \
            one and a half times the longest time between two runs. `scripts/list-jobs.sh \(environment.name)` shows \
            its trigger and last executions; `scripts/run-job.sh \(environment.name) \(job.job.name)` runs it now.

            The incident closes by itself once the job has succeeded, and you are notified of that.
            """,
            // Nobody waits for a job that is paused on purpose.
            isEnabled: !job.isPaused)
    }

    /// A skipped run is no failure, and its execution succeeds: without this nobody would hear of a job that never works.
    ///
    /// A policy has six conditions at most. Jobs that run equally often share one.
    private var jobSkipped: [(name: String, document: Document)] {
        var groups: [Int: [DeployedJob]] = [:]
        for job in jobs where !job.isPaused {
            if let gap = job.job.schedule?.longestGap { groups[Self.skippingWindow(gap), default: []].append(job) }
        }
        let conditions = groups.sorted { $0.key < $1.key }.map { skippedCondition($0.value, window: $0.key) }
        return stride(from: 0, to: conditions.count, by: 6).map { start in
            let name = start == 0 ? "job-skipped" : "job-skipped-\(start / 6 + 1)"
            return (name, jobSkipped(name, conditions: Array(conditions[start..<min(start + 6, conditions.count)])))
        }
    }

    /// Three runs, with half a run to spare, and never less than a day: a run that is cut short holds its lease for hours at most.
    static func skippingWindow(_ gap: Int) -> Int { max(86_400, gap * 7 / 2) }

    private func skippedCondition(_ jobs: [DeployedJob], window: Int) -> Document {
        let names = jobs.map(\.name).joined(separator: "|")
        let series = LogMetrics.series("runs", in: environment)
        let runs = { (status: String) in
            "sum by (job_name) (increase(\(series){monitored_resource=\"cloud_run_job\",job_name=~\"\(names)\",\(status)}[\(window)s]))"
        }
        return [
            "displayName": .string("Every run was skipped for \(Self.spoken(window))"),
            "conditionPrometheusQueryLanguage": [
                // A run that is counted late may be counted in parts.
                "query": .string("\(runs("status=\"skipped\"")) > 2.5 unless \(runs("status!=\"skipped\"")) > 0.5"),
                "duration": "0s", "evaluationInterval": "300s",
                // A new metric is known to alerts some minutes after its creation.
                "disableMetricValidation": true,
            ],
        ]
    }

    private func jobSkipped(_ name: String, conditions: [Document]) -> Document {
        policy(
            name, "a job is skipped again and again", severity: "WARNING", conditions,
            """
            At least three runs of `${metric_or_resource.label.job_name}` in a row were skipped, and none did its work. The \
            summary that ends the log of a run gives the reason. Usually another run, perhaps of another environment with \
            the same data, holds the job's lease: see "Leases" in docs/operations.md. \
            `scripts/list-jobs.sh \(environment.name)` shows the last executions.

            The incident closes by itself after the next run that is not skipped, and you are notified of that.
            """, closing: "1800s")
    }

    func policy(
        _ name: String, _ title: String, severity: Document, _ conditions: [Document], _ text: String,
        strategy: Document? = nil, closing: String = "86400s", isEnabled: Bool = true
    ) -> Document {
        [
            "displayName": .string("Scheduler jobs (\(environment.name)): \(title)"),
            "combiner": "OR",
            "severity": severity,
            "enabled": .bool(isEnabled),
            "userLabels": .object(environment.mark + [.init(key: "alert", value: .string(name))]),
            "conditions": .array(conditions),
            "alertStrategy": strategy
                ?? ["notificationPrompts": ["OPENED", "CLOSED"], "autoClose": .string(closing)],
            "documentation": ["content": .string(text), "mimeType": "text/markdown"],
        ]
    }

    /// `22.5 minutes`, `36 hours`, `46.5 days`.
    static func spoken(_ seconds: Int) -> String {
        let (unit, name) =
            seconds >= 3 * 86_400 ? (86_400, "days") : seconds >= 2 * 3600 ? (3600, "hours") : (60, "minutes")
        let tenths = (seconds * 10 + unit / 2) / unit
        return (tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)") + " \(name)"
    }
}
