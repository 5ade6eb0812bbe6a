import JobRuntime
import Warehouse

/// A program that writes the run history, and how often `jobs.yaml` starts it. A test compares the list with `jobs.yaml`.
struct ServiceJob: Sendable {
    let name: String
    /// As in `jobs.yaml`; `nil` for a job that is started by hand.
    let schedule: String?
    /// The longest time between two scheduled starts.
    let period: Duration

    private static let (day, month) = (Duration.seconds(86_400), Duration.seconds(31 * 86_400))

    static let all = [
        ServiceJob(name: "bootstrap", schedule: nil, period: month),
        ServiceJob(name: "bootstrap-sync", schedule: nil, period: month),
        ServiceJob(name: "org-sync-all", schedule: nil, period: month),
        ServiceJob(name: "quota-reset-daily", schedule: "0 0 * * *", period: day),
        ServiceJob(name: "quota-reset-monthly", schedule: "5 0 1 * *", period: month),
        ServiceJob(name: "stale-cleanup", schedule: "*/15 * * * *", period: .seconds(900)),
        ServiceJob(name: "quota-cleanup", schedule: "0 1 * * *", period: day),
        ServiceJob(name: "billing-sync-retry", schedule: "*/5 * * * *", period: .seconds(300)),
        ServiceJob(name: "billing-sync-reconcile", schedule: "0 2 * * *", period: day),
        ServiceJob(name: "verify", schedule: "0 3 * * *", period: day),
        // The tool for the laptop.
        ServiceJob(name: "demo-data", schedule: nil, period: month),
    ]

    /// One and a half times the period, as the alert `no-success` has it, and half an hour for a run that is at work.
    var patience: Duration { period * 3 / 2 + .seconds(1800) }
}

/// The state of the service itself: leases, run history and rollouts.
enum ServiceInspection {
    static let leases = Invariant("leases", command: "./scripts/list-jobs.sh ENVIRONMENT")
    static let history = Invariant("run-history", command: "./scripts/list-jobs.sh ENVIRONMENT")
    static let schedules = Invariant("run-schedules", command: "./scripts/list-jobs.sh ENVIRONMENT")
    static let rollouts = Invariant("rollouts", command: "./scripts/run-job.sh ENVIRONMENT org-sync-all -- --dry-run")

    /// As ``WarehouseKit/JobLease`` has them: the grace after a holder that was cut off, and the longest lease.
    private static let (graceSeconds, longestLeaseSeconds) = (120, 604_800)
    /// `--pause` lasts for a day at most.
    private static let longestWaveSeconds = 26 * 3600
    private static let clockSkewSeconds = 300
    /// More than the patience of a monthly job.
    private static let historyDays = 48

    /// Each job with the microseconds after which it must have succeeded again. Only the scheduled ones have them. A run of `verify`
    /// fails when it finds something, which must not be a finding of the next night.
    private static var jobs: SQLValue {
        let elements = ServiceJob.all.map { job in
            SQLValue.structure([
                SQLValue.Field("job", .string(job.name)),
                SQLValue.Field("is_scheduled", .bool(job.schedule != nil && job.name != "verify")),
                SQLValue.Field("patience", .int64(job.patience.components.seconds * 1_000_000)),
            ])
        }
        return .array(of: elements[0].type, elements)
    }

    /// A lease that is held although it expired is taken over by the next run of its job. A job that is not scheduled may leave it
    /// for long.
    static let leaseStatement = InspectionStatement(
        purpose: "check the leases", invariants: [leases],
        tables: """
            rows_of_leases AS (
              SELECT l.job, l.holder, l.token, l.acquired_at, l.expires_at, l.updated_at, j.patience
              FROM (
                SELECT job, holder, token, acquired_at, expires_at, updated_at
                FROM `scheduler_jobs.job_leases` \(InspectionStatement.asOf)) AS l
              LEFT JOIN (SELECT d.job, d.patience FROM UNNEST(@jobs) AS d WHERE d.is_scheduled) AS j ON j.job = l.job)
            """,
        findings: [
            InspectionSQL.rows(
                leases, of: "rows_of_leases", subject: "job",
                cases: [
                    (
                        // A release leaves a mark in the place of the token.
                        "holder IS NULL AND (IFNULL(token, 'released ') NOT LIKE 'released %' OR acquired_at IS NOT NULL)",
                        "'is free, and has the token of a holder or a time of acquisition'"
                    ),
                    (
                        "holder IS NULL AND expires_at != updated_at",
                        "'is free since ' || CAST(updated_at AS STRING) || ', and expires at ' || CAST(expires_at AS STRING)"
                    ),
                    (
                        InspectionSQL.isLater("updated_at", than: "@instant", by: clockSkewSeconds),
                        "'was changed at ' || CAST(updated_at AS STRING) || ', which is to come'"
                    ),
                    ("holder IS NOT NULL AND IFNULL(token, '') = ''", "'is held by ' || holder || ' without a token'"),
                    (
                        "holder NOT LIKE '_% _%/_%/_%'",
                        "'is held by ' || holder || ', which is not JOB EXECUTION/TASK/ATTEMPT'"
                    ),
                    (
                        "holder IS NOT NULL AND acquired_at IS NOT NULL AND acquired_at > updated_at",
                        "'was acquired at ' || CAST(acquired_at AS STRING) || ', and last changed before'"
                    ),
                    (
                        "holder IS NOT NULL AND acquired_at IS NOT NULL AND \(InspectionSQL.isLater("expires_at", than: "acquired_at", by: longestLeaseSeconds + graceSeconds))",
                        "'lasts until ' || CAST(expires_at AS STRING) || ', which is longer than any lease'"
                    ),
                    (
                        "holder IS NOT NULL AND acquired_at IS NULL AND \(InspectionSQL.isLater("expires_at", than: "updated_at", by: graceSeconds))",
                        "'is kept until ' || CAST(expires_at AS STRING) || ', although its holder has ended'"
                    ),
                    (
                        "holder IS NOT NULL AND patience IS NOT NULL AND \(InspectionSQL.microseconds(from: "expires_at", to: "@instant")) > patience",
                        "'expired at ' || CAST(expires_at AS STRING) || ', and ' || holder || ' still holds it'"
                    ),
                ])
        ], read: [leases.name: "rows_of_leases"], parameters: { _ in [SQLValue.Field("jobs", jobs)] })

    static let historyStatement = InspectionStatement(
        purpose: "check the run history", invariants: [history, schedules],
        tables: """
            jobs AS (SELECT d.job, d.is_scheduled, d.patience FROM UNNEST(@jobs) AS d),
            runs AS (
              SELECT
                job, task_index, attempt, environment, status, started_at, finished_at, duration_ms,
                IFNULL(ARRAY_LENGTH(failures), 0) AS failures
              FROM `scheduler_jobs.job_runs` \(InspectionStatement.asOf)
              WHERE started_at >= @history_from),
            beginning AS (SELECT MIN(started_at) AS first_start FROM runs),
            successes AS (
              SELECT job, MAX(started_at) AS last_start FROM runs WHERE status = 'succeeded' GROUP BY job)
            """,
        findings: [
            InspectionSQL.rows(
                history, of: "runs", subject: "job || ' ' || CAST(started_at AS STRING)",
                cases: [
                    ("job NOT IN (SELECT known.job FROM jobs AS known)", "'is of no job of the service'"),
                    (
                        "status NOT IN ('succeeded', 'failed', 'skipped', 'stopped')",
                        "'has the status ' || status"
                    ),
                    (
                        "(status = 'failed' AND failures = 0) OR (status IN ('succeeded', 'skipped') AND failures > 0)",
                        "status || ' with ' || CAST(failures AS STRING) || ' failures'"
                    ),
                    (
                        "environment NOT IN ('', 'test', 'stage', 'prod')",
                        "'is of the environment ' || environment"
                    ),
                    ("task_index < 0 OR attempt < 0", "'is of no task or attempt'"),
                    (
                        "finished_at < started_at OR duration_ms != DIV(\(InspectionSQL.microseconds(from: "started_at", to: "finished_at")), 1000)",
                        "'ended at ' || CAST(finished_at AS STRING) || ' after ' || CAST(duration_ms AS STRING) || ' ms'"
                    ),
                    (
                        InspectionSQL.isLater("finished_at", than: "@instant", by: clockSkewSeconds),
                        "'ended at ' || CAST(finished_at AS STRING) || ', which is to come'"
                    ),
                ]),
            // Before the history is as long as the patience, a job may not have had its turn.
            """
            SELECT
              '\(schedules.name)', j.job,
              'last succeeded at ' || IFNULL(CAST(s.last_start AS STRING), 'no time') || ', and its schedule is shorter', 1
            FROM jobs AS j
            CROSS JOIN beginning AS b
            LEFT JOIN successes AS s ON s.job = j.job
            WHERE j.is_scheduled AND \(InspectionSQL.microseconds(from: "b.first_start", to: "@instant")) > j.patience
              AND (s.last_start IS NULL OR \(InspectionSQL.microseconds(from: "s.last_start", to: "@instant")) > j.patience)
            """,
        ], read: [history.name: "runs", schedules.name: "runs"],
        parameters: { instant in
            [
                SQLValue.Field("jobs", jobs),
                SQLValue.Field("history_from", .timestamp(instant.adding(.seconds(-86_400 * historyDays)))),
            ]
        })

    /// Only the latest rollout must be at work: one that was left for a newer catalog stays as it was.
    static let rolloutStatement = InspectionStatement(
        purpose: "check the rollouts", invariants: [rollouts],
        tables: """
            rollouts AS (
              SELECT
                catalog || '/' || CAST(number AS STRING) || ' task ' || CAST(task_index AS STRING) || ' of '
                  || CAST(task_count AS STRING) AS subject,
                number, task_index, task_count, waves, wave, state, reason, remaining, started_at, wave_started_at,
                updated_at, started_at = MAX(started_at) OVER () AS is_latest
              FROM `scheduler_jobs.rollouts` \(InspectionStatement.asOf))
            """,
        findings: [
            InspectionSQL.rows(
                rollouts, of: "rollouts", subject: "subject",
                cases: [
                    ("state NOT IN ('running', 'waiting', 'halted', 'finished')", "'is ' || state"),
                    (
                        "(state = 'halted') != (IFNULL(reason, '') != '')",
                        "'is ' || state || ' for the reason ' || \(InspectionSQL.text("reason"))"
                    ),
                    (
                        "number < 1 OR wave < 1 OR task_index < 0 OR task_index >= task_count OR remaining < 0",
                        "'has wave ' || CAST(wave AS STRING) || ' of task ' || CAST(task_index AS STRING)"
                    ),
                    (
                        "waves != 'all' AND waves NOT LIKE '%,all'", "'has the waves ' || waves"
                    ),
                    (
                        "wave_started_at < started_at OR updated_at < wave_started_at OR \(InspectionSQL.isLater("updated_at", than: "@instant", by: clockSkewSeconds))",
                        "'began at ' || CAST(started_at AS STRING) || ' and was written at ' || CAST(updated_at AS STRING)"
                    ),
                    (
                        "is_latest AND state IN ('running', 'waiting') AND \(InspectionSQL.isLater("@instant", than: "updated_at", by: longestWaveSeconds))",
                        "'is in wave ' || CAST(wave AS STRING) || ' of ' || waves || ' since ' || CAST(updated_at AS STRING) || ', and was not halted'"
                    ),
                ]),
            InspectionSQL.repeated(rollouts, in: "rollouts", key: "subject"),
        ], read: [rollouts.name: "rollouts"], parameters: { _ in [] })
}
