package import JobRuntime

/// The values of `org_meta_pipeline_runs.status`, as SQL lists.
///
/// PENDING, RUNNING, CANCELLING, COMPLETED, FAILED, CANCELLED and TIMEOUT are written by the services around the jobs, SUCCESS is
/// read by one of them, and SUCCEEDED and ERROR are synonyms. CANCELLING is a run that goes on to the end of its step.
///
/// Case counts: the table is clustered by status. A run with any other word, or with one of these in other capitals, is neither
/// open nor ended: it is not marked as failed and does not count as running, successful or failed. Every job that reads such
/// a run reports its word.
package enum RunStatuses {
    package static let open = "('PENDING', 'RUNNING', 'CANCELLING')"
    package static let succeeded = "('COMPLETED', 'SUCCEEDED', 'SUCCESS')"
    package static let failed = "('FAILED', 'ERROR', 'TIMEOUT')"
    /// All statuses above, and those of a canceled run, which counts as neither successful nor failed.
    package static let known = """
        ('PENDING', 'RUNNING', 'CANCELLING', 'COMPLETED', 'SUCCEEDED', 'SUCCESS', 'FAILED', 'ERROR', 'TIMEOUT', 'CANCELLED', \
        'CANCELED')
        """

    package static let isUnknown = "(status IS NULL OR status NOT IN \(known))"

    /// Counts the runs that meet the condition. COUNTIF would be many times slower on SQLite, which has COUNT and IF built in.
    package static func count(_ condition: String) -> String { "COUNT(IF(\(condition), 1, NULL))" }

    /// Warns of unknown words, one line for all of them.
    package static func warn(of words: [(word: String?, runs: Int64)], period: String, in report: RunReport) {
        guard !words.isEmpty else { return }
        let list = words.prefix(5).map { word, runs in
            let isInOtherCapitals = word.map { known.contains("'\($0.uppercased())'") } ?? false
            return "\(word.map { quoted($0) } ?? "NULL") (\(spoken(Int(runs), "runs"))"
                + (isInOtherCapitals ? ", in other capitals)" : ")")
        }
        let more = words.count > 5 ? [" and \(words.count - 5) more"] : []
        let total = words.reduce(0) { $0 + $1.runs }
        report.add(Int(total), to: "runs_with_unknown_status")
        report.warn(
            "runs of \(period)",
            "\(total) have a status that this job does not know: \((list + more).joined(separator: ", ")); "
                + "they count as started and no more, and are never ended")
    }
}
