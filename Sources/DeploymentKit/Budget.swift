/// The most that one run of a job is meant to need. A run that needs more is reported by an alert, and not stopped.
///
/// ```yaml
/// budget: {requests: 20, bytes: 2GiB}
/// ```
package struct Budget: Sendable {
    /// Requests of a task, to BigQuery, Stripe and all others.
    var requests: Int?
    /// Bytes that BigQuery bills for the queries of a task.
    var bytes: Int?

    static let keys = ["requests", "bytes"]
    static let help =
        "The most that one task is meant to need, requests and billed bytes. An alert reports a run that needs more."
    static let allowedRequests = 1...100_000_000
    /// BigQuery bills at least 10 MiB for each table of a statement. Above 1,024 TiB a number is a mistake.
    private static let allowedBytes = 10_485_760...(1 << 50)
    private static let units = [("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)]

    /// The bytes of `500MiB`, `2GiB` or `1TiB`, if there may be so many.
    static func bytes(_ text: String) -> Int? {
        guard let (unit, factor) = units.first(where: { text.hasSuffix($0.0) }),
            let number = Int(text.dropLast(unit.count)), number > 0
        else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow || !allowedBytes.contains(product) ? nil : product
    }

    /// The bytes in the largest unit without a fraction.
    static func text(bytes: Int) -> String {
        let (unit, factor) = units.last { bytes % $0.1 == 0 } ?? ("B", 1)
        return "\(bytes / factor)\(unit)"
    }

    static func complaint(requests text: String) -> String {
        "requests must be a whole number from 1 to \(allowedRequests.upperBound), not \(text)"
    }

    static func complaint(bytes text: String) -> String {
        "bytes must be a number and MiB, GiB or TiB, from 10MiB to 1024TiB, such as 2GiB, not \(text)"
    }

    /// In `deployment.json`.
    var document: Document {
        .map([("requests", requests.map { .integer($0) }), ("bytes", bytes.map { .integer($0) })])
    }

    /// The form of the key in `jobs.schema.json`.
    static var schema: [(String, Document?)] {
        [
            ("type", "object"), ("additionalProperties", false), ("minProperties", 1),
            (
                "properties",
                [
                    "requests": [
                        "type": "integer", "minimum": .integer(allowedRequests.lowerBound),
                        "maximum": .integer(allowedRequests.upperBound),
                    ],
                    "bytes": ["type": "string", "pattern": "^[1-9][0-9]*(MiB|GiB|TiB)$"],
                ]
            ),
        ]
    }
}

/// One alert policy for each job that has a budget. It looks at the summaries of the runs.
struct BudgetAlerts {
    let jobs: [DeployedJob]
    let environment: EnvironmentDefinition

    var documents: [(name: String, document: Document)] {
        jobs.compactMap { job in job.job.budget.map { ("over-budget-\(job.job.name)", policy(job, $0)) } }
    }

    private func policy(_ job: DeployedJob, _ budget: Budget) -> Document {
        let parts = [
            budget.requests.map { (filter: "jsonPayload.requests > \($0)", words: "\($0) requests") },
            budget.bytes.map {
                (
                    filter: "jsonPayload.counts.bytes_billed > \($0)",
                    words: "\(Budget.text(bytes: $0)) billed by BigQuery"
                )
            },
        ].compactMap(\.self)
        let filter = [
            "resource.type = \"cloud_run_job\"", "resource.labels.location = \"\(environment.region)\"",
            "resource.labels.job_name = \"\(job.name)\"", "jsonPayload.dry_run = false",
            "(\(parts.map(\.filter).joined(separator: " OR ")))",
        ]
        let name = job.job.name
        return AlertPolicies(jobs: jobs, environment: environment).policy(
            "over-budget-\(name)", "\(name) needed more than its budget", severity: "WARNING",
            [
                [
                    "displayName": .string("A run of \(job.name) over its budget"),
                    "conditionMatchedLog": ["filter": .string(filter.joined(separator: " AND "))],
                ]
            ],
            """
            A run of `\(job.name)` needed more than \(parts.map(\.words).joined(separator: " or ")). Its summary has the \
            numbers: `requests` and `counts.bytes_billed`. The run was not stopped.

            `scripts/cost.sh --job \(name)` shows what a run needs and why. If more organizations are the reason, \
            raise `budget` in jobs.yaml.
            """, strategy: ["notificationRateLimit": ["period": "3600s"], "autoClose": "86400s"])
    }
}
