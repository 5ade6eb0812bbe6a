import JobRuntime
import Warehouse
import WarehouseKit

/// Compares the organizations that a rollout has touched with the others: whether more of them have a pipeline that began to fail.
///
/// - The unit is the organization, because its runs fail together. Only pipelines count whose last run before the wave succeeded and
///   which have ended a run since, so an organization that fails all the time counts for nothing.
/// - The test is Fisher's, one-sided. A stable hash decides which organizations come first, so the test is exact however different
///   organizations are: a harmless rollout is halted with a probability of at most ``falseAlarms``, over all looks together.
struct RolloutHealth: Hashable, Sendable {
    /// The probability that a harmless rollout is halted.
    static let falseAlarms = 0.001
    /// A single organization never halts a rollout.
    static let leastFailing: Int64 = 2

    struct Group: Hashable, Sendable {
        /// Organizations with a pipeline that counts.
        var organizations: Int64 = 0
        /// The organizations among them with a pipeline that began to fail.
        var failing: Int64 = 0
    }

    var touched = Group()
    var untouched = Group()

    /// The probability that so many of the failing organizations are among the touched ones by chance.
    var probability: Double {
        let all = touched.organizations + untouched.organizations
        let failing = touched.failing + untouched.failing
        let least = max(0, touched.organizations + failing - all)
        let most = min(touched.organizations, failing)
        var (weight, total, tail) = (1.0, 0.0, 0.0)
        for number in least...max(least, most) {
            total += weight
            if number >= touched.failing { tail += weight }
            weight *= Double((failing - number) * (touched.organizations - number))
            weight /= Double((number + 1) * (all - failing - touched.organizations + number + 1))
            guard total > 1e200 || weight > 1e200 else { continue }
            (weight, total, tail) = (weight * 1e-200, total * 1e-200, tail * 1e-200)
        }
        return tail / total
    }

    /// Why a rollout must not go on; `nil` if it may.
    /// - Parameter looks: How often a rollout is looked at.
    func objection(looks: Int) -> String? {
        guard touched.failing >= Self.leastFailing, probability < Self.falseAlarms / Double(max(1, looks)) else {
            return nil
        }
        return
            "pipelines began to fail in \(touched.failing) of \(touched.organizations) organizations that were changed, and in "
            + "\(untouched.failing) of \(untouched.organizations) others, since the wave began"
    }

    /// - Parameters:
    ///   - rollout: The mark of the rollout in `schema_changes`.
    ///   - began: When the wave began.
    static func query(_ rollout: String, since started: Timestamp, wave began: Timestamp) -> Statement {
        Statement(
            "compare the pipelines of changed organizations with others", sql,
            parameters: [
                "rollout": .string(rollout), "started": .timestamp(started.adding(.seconds(-86_400))),
                "began": .timestamp(began), "from": .timestamp(began.adding(.seconds(-7 * 86_400))),
            ])
    }

    init(touched: Group = Group(), untouched: Group = Group()) {
        (self.touched, self.untouched) = (touched, untouched)
    }

    init(_ rows: [Row]) throws {
        for row in rows {
            let group = Group(organizations: try row.int64("organizations"), failing: try row.int64("failing"))
            if try row.int64("is_touched") == 1 { touched = group } else { untouched = group }
        }
    }

    private static let runs = TableReference(DatasetID.organizations, "org_meta_pipeline_runs")!

    static let sql = """
        WITH
          runs AS (
            SELECT
              org_slug, pipeline_id, start_time, pipeline_logging_id, IF(start_time >= @began, 1, 0) AS is_after,
              IF(status IN \(RunStatuses.failed), 1, 0) AS is_failed
            FROM \(runs.sql)
            WHERE start_time >= @from AND (status IN \(RunStatuses.succeeded) OR status IN \(RunStatuses.failed))),
          placed AS (
            SELECT
              org_slug, pipeline_id, is_after, is_failed,
              ROW_NUMBER() OVER (
                PARTITION BY org_slug, pipeline_id, is_after ORDER BY start_time DESC, pipeline_logging_id) AS place
            FROM runs),
          pipelines AS (
            SELECT
              org_slug, pipeline_id, MAX(is_after) AS has_run, MAX(is_after * is_failed) AS fails,
              MAX((1 - is_after) * (1 - is_failed)) AS succeeded
            FROM placed
            WHERE place = 1
            GROUP BY org_slug, pipeline_id),
          organizations AS (
            SELECT org_slug, MAX(fails) AS fails FROM pipelines WHERE has_run = 1 AND succeeded = 1 GROUP BY org_slug),
          touched AS (
            SELECT DISTINCT subject FROM \(SchemaHistory.table.sql) WHERE rollout = @rollout AND applied_at >= @started)
        SELECT IF(t.subject IS NULL, 0, 1) AS is_touched, COUNT(*) AS organizations, SUM(o.fails) AS failing
        FROM organizations AS o
        LEFT JOIN touched AS t ON t.subject = o.org_slug
        GROUP BY is_touched
        """
}
