/// The log-based metrics of one environment, as bodies of Cloud Logging's v2 API. They count what the summaries of the runs say, so
/// that charts and alerts can use it. A dry run is not counted.
struct LogMetrics {
    let jobs: [DeployedJob]
    let environment: EnvironmentDefinition

    /// One number of the summaries. Without a field the metric counts the summaries themselves, by their status.
    struct Metric: Sendable {
        let name: String
        let title: String
        let text: String
        var field: String?
        var unit = "1"
        /// The upper bound of the first bucket, and how much wider the next one is each time.
        var buckets = (scale: 1, growth: 2, count: 24)
    }

    static let all = [
        Metric(name: "runs", title: "Runs", text: "Runs of the scheduler jobs, by the status of their summary."),
        Metric(
            name: "duration", title: "Duration", text: "The duration of a run.", field: "duration_ms", unit: "ms",
            buckets: (100, 2, 24)),
        Metric(
            name: "failures", title: "Failures", text: "The failures in the summary of a run.", field: "failure_count"),
        // A query bills at least 10 MiB for each of its tables.
        Metric(
            name: "bytes_billed", title: "Bytes billed", text: "The bytes that BigQuery billed for a run.",
            field: "counts.bytes_billed", unit: "By", buckets: (10_485_760, 2, 30)),
        Metric(
            name: "organizations", title: "Organizations compared",
            text: "The organizations whose datasets a run compared.", field: "counts.organizations"),
        Metric(
            name: "organizations_reset", title: "Organizations reset",
            text: "The organizations whose quota counters a run opened or recounted.",
            field: "counts.organizations_reset"),
        Metric(
            name: "organizations_changed", title: "Organizations changed",
            text: "The organizations whose billing state a run changed.", field: "counts.organizations_changed"),
    ]

    /// Cloud Logging takes 20,000 characters of a filter.
    static let longestFilter = 20_000

    /// Metrics belong to the project. Their names hold the environment's, and no character that PromQL would write otherwise.
    static func id(_ name: String, in environment: EnvironmentDefinition) -> String {
        "scheduler_jobs_\(environment.name)_\(name)"
    }

    /// The name of a metric in PromQL.
    static func series(_ name: String, in environment: EnvironmentDefinition) -> String {
        "logging_googleapis_com:user_\(id(name, in: environment))"
    }

    var documents: [(name: String, document: Document)] {
        Self.all.map { (Self.id($0.name, in: environment), document(of: $0)) }
    }

    /// Only a summary has a status.
    var filter: String {
        let names = jobs.map(\.name).map(Document.quoted).joined(separator: " OR ")
        return [
            "resource.type = \"cloud_run_job\"", "resource.labels.location = \"\(environment.region)\"",
            "resource.labels.job_name = (\(names))", "jsonPayload.status:*", "jsonPayload.duration_ms:*",
            "jsonPayload.dry_run = false",
        ].joined(separator: " AND ")
    }

    private func document(of metric: Metric) -> Document {
        let descriptor: [(String, Document?)] = [
            ("displayName", .string("\(metric.title) of the scheduler jobs (\(environment.name))")),
            ("metricKind", "DELTA"), ("valueType", metric.field == nil ? "INT64" : "DISTRIBUTION"),
            ("unit", .string(metric.unit)),
            (
                "labels",
                metric.field == nil
                    ? [["key": "status", "description": "The status in the summary of the run."]] : nil
            ),
        ]
        let buckets: Document = [
            "exponentialBuckets": [
                "numFiniteBuckets": .integer(metric.buckets.count), "growthFactor": .integer(metric.buckets.growth),
                "scale": .integer(metric.buckets.scale),
            ]
        ]
        return .map([
            ("name", .string(Self.id(metric.name, in: environment))),
            ("description", .string("\(metric.text) \(Self.mark(of: environment))")),
            ("filter", .string(filter)),
            ("metricDescriptor", .map(descriptor)),
            ("valueExtractor", metric.field.map { .string("EXTRACT(jsonPayload.\($0))") }),
            ("labelExtractors", metric.field == nil ? ["status": "EXTRACT(jsonPayload.status)"] : nil),
            ("bucketOptions", metric.field == nil ? nil : buckets),
        ])
    }

    /// Ends the description of a metric, which has no labels: the proof that it is this environment's.
    static func mark(of environment: EnvironmentDefinition) -> String {
        "For the scheduler jobs of \(environment.name)."
    }
}
