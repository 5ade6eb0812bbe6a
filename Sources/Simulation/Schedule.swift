import JobRuntime

/// A job as `jobs.yaml` deploys it in test. A test compares these values with the file.
struct Schedule: Sendable {
    var job: String
    /// The minutes of a day on which it runs.
    var minutes: [Int]
    /// Only on the first of a month.
    var isMonthly = false
    var cron: String?
    var timeout: Int
    var retries: Int
    /// How often `Fate` draws it.
    var weight = 1
    var isExclusive: Bool
    var run: @Sendable (ProcessSurroundings) async -> JobExitCode

    init<Job: ScheduledJob>(
        _ type: Job.Type, _ cron: String?, minutes: [Int] = [], isMonthly: Bool = false, timeout: Int = 600,
        retries: Int = 1,
        weight: Int = 1
    ) {
        job = Job.name
        self.minutes = minutes
        self.isMonthly = isMonthly
        self.cron = cron
        self.timeout = timeout
        self.retries = retries
        self.weight = weight
        isExclusive = Job.isExclusive
        run = { await Job.run(in: $0) }
    }

    func ticks(of day: CivilDate) -> [Timestamp] {
        if isMonthly, day.day != 1 { return [] }
        return minutes.map { Timestamp(startOf: day).adding(.seconds(60 * $0)) }
    }

    static let all = [
        Schedule(BootstrapJob.self, nil, timeout: 1800),
        Schedule(BootstrapSyncJob.self, nil, timeout: 1800),
        Schedule(OrgSyncAllJob.self, nil, timeout: 7200),
        Schedule(QuotaResetDailyJob.self, "0 0 * * *", minutes: [0], weight: 5),
        Schedule(QuotaResetMonthlyJob.self, "5 0 1 * *", minutes: [5], isMonthly: true, weight: 2),
        Schedule(
            StaleCleanupJob.self, "*/15 * * * *", minutes: Array(stride(from: 0, to: 1440, by: 15)), weight: 4),
        Schedule(QuotaCleanupJob.self, "0 1 * * *", minutes: [60], weight: 2),
        Schedule(
            BillingSyncRetryJob.self, "*/5 * * * *", minutes: Array(stride(from: 0, to: 1440, by: 5)), timeout: 240,
            retries: 0, weight: 4),
        Schedule(BillingSyncReconcileJob.self, "0 2 * * *", minutes: [120], timeout: 3600, weight: 4),
    ]

    /// The scheduled jobs, each as often as its weight.
    static let drawn = all.filter { $0.cron != nil }.flatMap { Array(repeating: $0, count: $0.weight) }

    static func named(_ job: String) -> Schedule { all.first { $0.job == job }! }
}
