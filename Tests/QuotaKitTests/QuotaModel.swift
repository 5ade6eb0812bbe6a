import JobRuntime

/// What the quota jobs should do, in plain Swift: every counter is counted anew from the runs.
struct QuotaModel: Equatable {
    var active: Set<String> = []
    var subscriptions: [Subscription] = []
    var runs: [LoggedRun] = []
    var rows: [QuotaRow] = []
    var staleAfterMinutes = 60
    var lookbackDays = 7

    /// - Parameter clock: When it really is, where the job runs for another day.
    mutating func perform(_ job: QuotaFixture.Job, at now: Timestamp, clock: Timestamp? = nil) {
        switch job {
        case .daily: reset(now.date, clock: clock ?? now, monthOnly: false)
        case .monthly: reset(now.date, clock: clock ?? now, monthOnly: true)
        case .stale: clean(at: now)
        case .retention(let days): rows.removeAll { $0.date < now.date.adding(days: -days) }
        }
    }

    private func staleBefore(_ now: Timestamp) -> Timestamp { now.adding(.seconds(-60 * staleAfterMinutes)) }

    private mutating func reset(_ date: CivilDate, clock: Timestamp, monthOnly: Bool) {
        for slug in active.sorted() {
            let live = subscriptions.filter { $0.slug == slug && ["ACTIVE", "TRIAL"].contains($0.status) }
            guard let newest = live.max(by: { ($0.created, $0.id) < ($1.created, $1.id) }) else { continue }
            let places = rows.indices.filter { rows[$0].slug == slug && rows[$0].date == date }
            for place in places {
                var row = rows[place]
                count(&row, newest.limits, at: clock, monthOnly: monthOnly)
                guard row != rows[place] else { continue }
                row.lastUpdated = clock
                row.updated = clock
                rows[place] = row
            }
            guard places.isEmpty else { continue }
            let digits = date.description.filter { $0 != "-" }
            var row = QuotaRow(id: "\(slug)_\(digits)", slug: slug, date: date, at: clock)
            row.highest = 0
            count(&row, newest.limits, at: clock, monthOnly: false)
            rows.append(row)
        }
    }

    private func count(_ row: inout QuotaRow, _ limits: Limits, at now: Timestamp, monthOnly: Bool) {
        let own = runs.filter { $0.slug == row.slug }
        let ofDay = own.filter { $0.start.date == row.date }
        row.monthly = Int64(own.count { $0.start.date.firstOfMonth == row.date.firstOfMonth })
        guard !monthOnly else { return }
        row.daily = Int64(ofDay.count)
        row.succeeded = Int64(ofDay.count { $0.status == "COMPLETED" })
        row.failed = Int64(ofDay.count { $0.status == "FAILED" })
        row.running = row.date == now.date ? running(row.slug, at: now) : 0
        row.raiseHighest()
        row.take(limits)
    }

    private func running(_ slug: String, at now: Timestamp) -> Int64 {
        Int64(
            runs.count {
                $0.slug == slug && $0.isOpen && $0.start >= staleBefore(now) && $0.start <= now
            })
    }

    private mutating func clean(at now: Timestamp) {
        let firstDay = now.date.adding(days: -lookbackDays)
        for place in runs.indices
        where runs[place].isOpen && runs[place].start < staleBefore(now) && runs[place].start.date >= firstDay {
            let run = runs[place]
            runs[place].error =
                "\(run.status) for more than \(staleAfterMinutes) minutes: marked as failed by stale-cleanup"
            runs[place].status = "FAILED"
            runs[place].end = now
            runs[place].durationMilliseconds = (now.microseconds - run.start.microseconds) / 1000
        }
        for place in rows.indices where rows[place].date <= now.date && rows[place].date >= now.date.adding(days: -2) {
            var row = rows[place]
            row.running = row.date == now.date ? running(row.slug, at: now) : 0
            row.raiseHighest()
            if row.date >= firstDay {
                row.failed = Int64(
                    runs.count { $0.slug == row.slug && $0.status == "FAILED" && $0.start.date == row.date })
            }
            guard row != rows[place] else { continue }
            row.lastUpdated = now
            row.updated = now
            rows[place] = row
        }
    }
}
