/// The dashboard of one environment, as a body of Cloud Monitoring's v1 API: charts of the log-based metrics, by job.
struct Dashboard {
    let environment: EnvironmentDefinition

    var document: Document {
        [
            "displayName": .string("Scheduler jobs (\(environment.name))"),
            "labels": .object(environment.mark),
            "gridLayout": [
                "columns": "2",
                "widgets": [
                    text,
                    chart("Runs by outcome", [sum("runs", by: "status")]),
                    chart("Failures", [sum("failures_sum")]),
                    chart("Duration of a run", [mean("duration")], type: "LINE", unit: "s"),
                    chart("Bytes billed by BigQuery", [sum("bytes_billed_sum")], unit: "By"),
                    chart(
                        "Organizations compared, reset or changed",
                        ["organizations_sum", "organizations_reset_sum", "organizations_changed_sum"].map { sum($0) }),
                ],
            ],
        ]
    }

    private var text: Document {
        [
            "title": "What this shows",
            "text": [
                "format": "MARKDOWN",
                "content": .string(
                    """
                    The charts come from the summaries that end the log of each run. Dry runs are left out. A bar is the sum \
                    of its interval; the duration is the mean.

                    `scripts/list-jobs.sh \(environment.name)` shows the last runs of each job, and docs/operations.md says \
                    what to do about a failure. The dashboard is generated from jobs.yaml: the next deployment undoes a \
                    change that is made here.
                    """),
            ],
        ]
    }

    private func chart(
        _ title: String, _ queries: [String], type: String = "STACKED_BAR", unit: String? = nil
    ) -> Document {
        let dataSets = queries.map { query -> Document in
            [
                "plotType": .string(type), "targetAxis": "Y1",
                "timeSeriesQuery": .map([
                    ("prometheusQuery", .string(query)), ("unitOverride", unit.map { .string($0) }),
                ]),
            ]
        }
        return ["title": .string(title), "xyChart": ["dataSets": .array(dataSets), "yAxis": ["scale": "LINEAR"]]]
    }

    private func sum(_ metric: String, by label: String = "job_name") -> String {
        let series = LogMetrics.series(metric, in: environment)
        return "sum by (\(label)) (increase(\(series){monitored_resource=\"cloud_run_job\"}[${__interval}]))"
    }

    /// In seconds, of a metric in milliseconds.
    private func mean(_ metric: String) -> String { "\(sum("\(metric)_sum")) / \(sum("\(metric)_count")) / 1000" }
}
