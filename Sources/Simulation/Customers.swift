import JobRuntime
import Warehouse

/// A customer of the service.
struct Organization: Sendable {
    var slug: String
    var signedUpAt: Timestamp
    var isWritten = false
}

/// A pipeline run as its customer knows it.
struct PipelineRun: Sendable {
    var id: String
    var organization: String
    var startedAt: Timestamp
    var end: Fate.Pipeline.End
    var endsAt: Timestamp
    /// When it ended in the log. `nil` while it runs, and for a crash.
    var endedAt: Timestamp?
    var hasSucceeded = false
    /// Whether the counters know of the end.
    var isCounted = false

    var isOpen: Bool { endedAt == nil }
    var day: CivilDate { startedAt.date }
}

/// An item that somebody put into the billing queue.
struct QueuedItem: Sendable {
    var id: String
    var organization: String
    var at: Timestamp
}

/// The service that enforces the quotas, and Stripe's customers.
extension World {
    private static let names = ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wonka"]

    func signUp() async {
        let slug = Self.names[organizations.count]
        organizations.append(Organization(slug: slug, signedUpAt: machine.now))
        subscriptionCount += 1
        stripe.add(
            SimulatedStripe.Subscription(
                id: "sub_\(subscriptionCount)", customer: "cus_\(slug)", organization: slug,
                product: ["prod_starter", "prod_professional", "prod_scale"][organizations.count % 3],
                created: machine.now.microseconds / 1_000_000,
                periodEnd: machine.now.microseconds / 1_000_000 + 30 * 86_400, changedAt: machine.now))
        tellCustomer(slug, "signs up")
    }

    /// The API service writes the profile and a first row of the subscription, which the billing jobs bring up to date.
    func writeOrganizations() async throws {
        for index in organizations.indices where !organizations[index].isWritten {
            organizations[index].isWritten = true
            let slug = organizations[index].slug
            try await write(
                """
                INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, created_at)
                VALUES (@slug, @slug, 'admin@example.com', '', 'ACTIVE', @now)
                """, ["slug": .string(slug), "now": .timestamp(machine.now)])
            try await write(
                """
                INSERT INTO `organizations.org_subscriptions` (
                  subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, created_at)
                VALUES (@id, @slug, 'NEW', 'TRIAL', 2, 60, 1, @now)
                """, ["id": .string("row_\(slug)"), "slug": .string(slug), "now": .timestamp(machine.now)])
            auditState[slug] = [
                "plan_name": "NEW", "status": "TRIAL", "daily_limit": "2", "monthly_limit": "60",
                "concurrent_limit": "1",
            ]
        }
    }

    func tellCustomer(_ slug: String, _ text: String) {
        story.add(
            "customer", at: machine.now, [("organization", .string(slug)), ("text", .string(text))],
            text: "customer \(slug): \(text)")
    }

    private func organization(_ index: Int) -> Organization? {
        index < organizations.count && organizations[index].isWritten ? organizations[index] : nil
    }

    // MARK: Stripe

    func changePlan(_ index: Int, _ product: String) async throws {
        guard let slug = organization(index)?.slug, let best = stripe.best(of: slug), best.status == "active",
            best.product != product
        else { return }
        stripe.change(best.id) { $0.product = product }
        tellCustomer(slug, "plan changed to \(stripe.plans[product]?.name ?? product)")
        if machine.now.microseconds / 1_000_000 % 2 == 0 { try await enqueue(slug) }
    }

    func cancel(_ index: Int, returnsAfterDays days: Int) async throws {
        guard let slug = organization(index)?.slug, let best = stripe.best(of: slug), best.status == "active" else {
            return
        }
        stripe.change(best.id) { $0.status = "canceled" }
        tellCustomer(slug, "cancels")
        machine.after(.seconds(days * 86_400)) { [unowned self] in
            guard stripe.best(of: slug)?.status == "canceled" else { return }
            subscriptionCount += 1
            stripe.add(
                SimulatedStripe.Subscription(
                    id: "sub_\(subscriptionCount)", customer: "cus_\(slug)", organization: slug,
                    product: "prod_professional",
                    created: machine.now.microseconds / 1_000_000,
                    periodEnd: machine.now.microseconds / 1_000_000 + 30 * 86_400, changedAt: machine.now))
            tellCustomer(slug, "comes back with PROFESSIONAL")
        }
    }

    /// The API service puts the organization into the queue, as it does when a webhook failed.
    private func enqueue(_ slug: String) async throws {
        itemCount += 1
        let item = QueuedItem(id: "item_\(itemCount)", organization: slug, at: machine.now)
        try await write(
            """
            INSERT INTO `scheduler_jobs.billing_sync_queue` (
              sync_id, org_slug, sync_type, status, retry_count, max_retries, created_at, updated_at)
            VALUES (@id, @slug, 'webhook', 'pending', 0, 5, @now, @now)
            """, ["id": .string(item.id), "slug": .string(slug), "now": .timestamp(item.at)])
        queued.append(item)
        tellCustomer(slug, "is put into the billing queue (\(item.id))")
    }

    func editQueue(_ index: Int) async throws {
        guard let slug = organization(index)?.slug else { return }
        try await enqueue(slug)
        try await write(
            "UPDATE `scheduler_jobs.billing_sync_queue` SET next_retry_at = @now, updated_at = @now WHERE status = 'pending'",
            ["now": .timestamp(machine.now)])
        tell("operator", "makes every waiting item of the billing queue due now")
    }

    func releaseCatalog() async throws {
        release += 1
        releasedAt = machine.now
        bigQuery.catalog = try catalogs.release(release)
        story.add(
            "release", at: machine.now, [("text", .string("catalog \(release): a column and a table are new"))],
            text: "release: catalog \(release), with a new column and a new table")
        manualLater("bootstrap-sync", after: 600)
        manualLater("org-sync-all", after: 1200)
    }

    // MARK: Pipelines

    /// Reserves a run: first the row of the day, then the log.
    func begin(_ pipeline: Fate.Pipeline) async throws {
        guard let slug = organization(pipeline.organization)?.slug else { return }
        let now = machine.now
        try await openRow(slug, now)
        let reserved = try await write(
            """
            UPDATE `organizations.org_usage_quotas` SET concurrent_pipelines_running = concurrent_pipelines_running + 1
            WHERE org_slug = @slug AND usage_date = @day AND current_daily_pipelines < daily_limit
              AND current_monthly_pipelines < IFNULL(monthly_limit, 1000000)
              AND concurrent_pipelines_running < IFNULL(concurrent_limit, 1000000)
            """, ["slug": .string(slug), "day": .date(now.date)]
        ).affectedRows
        guard reserved ?? 0 > 0 else { return }
        runCount += 1
        counts.pipelines += 1
        let run = PipelineRun(
            id: "run_\(runCount)", organization: slug, startedAt: now, end: pipeline.end,
            endsAt: now.adding(.seconds(60 * pipeline.minutes)))
        try await write(
            """
            INSERT INTO `organizations.org_meta_pipeline_runs` (
              pipeline_logging_id, org_slug, pipeline_id, status, start_time, run_date, created_at)
            VALUES (@id, @slug, 'costs', 'RUNNING', @now, @day, @now)
            """,
            ["id": .string(run.id), "slug": .string(slug), "now": .timestamp(now), "day": .date(now.date)])
        runs.append(run)
        if plan.keepsStory, pipeline.end == .crashed {
            tellCustomer(slug, "a pipeline starts that will crash (\(run.id))")
        }
        guard pipeline.end != .crashed else { return }
        machine.at(run.endsAt) { Task.detached { await World.current.endInTime(run.id) } }
    }

    /// The first reservation of a day opens the row if no job has.
    private func openRow(_ slug: String, _ now: Timestamp) async throws {
        try await write(
            """
            INSERT INTO `organizations.org_usage_quotas` (
              usage_id, org_slug, usage_date, current_daily_pipelines, pipelines_succeeded_today, pipelines_failed_today,
              current_monthly_pipelines, concurrent_pipelines_running, daily_limit, monthly_limit, concurrent_limit,
              last_updated, created_at)
            SELECT @slug || '_' || @text, @slug, @day, 0, 0, 0, 0, 0, s.daily_limit, s.monthly_limit, s.concurrent_limit, @now, @now
            FROM `organizations.org_subscriptions` AS s
            WHERE s.org_slug = @slug AND s.status IN ('ACTIVE', 'TRIAL') AND NOT EXISTS (
              SELECT 1 FROM `organizations.org_usage_quotas` AS q WHERE q.org_slug = @slug AND q.usage_date = @day)
            LIMIT 1
            """,
            [
                "slug": .string(slug), "day": .date(now.date),
                "text": .string(now.date.description.replacing("-", with: "")),
                "now": .timestamp(now),
            ])
    }

    private func endInTime(_ id: String) async {
        do {
            try await end(id)
        } catch {
            violate("the simulation itself", "\(error)")
        }
    }

    /// Ends a run in the log, if it is open there, and then in the row of the day on which it was reserved.
    func end(_ id: String) async throws {
        guard let index = runs.firstIndex(where: { $0.id == id }) else { return }
        let run = runs[index]
        let hasSucceeded = run.end != .failed
        let ended = try await write(
            """
            UPDATE `organizations.org_meta_pipeline_runs` SET status = @status, end_time = @now
            WHERE pipeline_logging_id = @id AND status IN ('PENDING', 'RUNNING', 'CANCELLING')
            """,
            [
                "status": .string(hasSucceeded ? "COMPLETED" : "FAILED"), "now": .timestamp(machine.now),
                "id": .string(id),
            ])
        runs[index].endedAt = machine.now
        guard ended.affectedRows ?? 0 > 0 else {
            // stale-cleanup took it for crashed, because it ran for longer than an hour.
            runs[index].isCounted = true
            return
        }
        runs[index].hasSucceeded = hasSucceeded
        guard run.end != .uncounted else { return }
        runs[index].isCounted = true
        let succeeded = hasSucceeded ? 1 : 0
        try await write(
            """
            UPDATE `organizations.org_usage_quotas`
            SET
              concurrent_pipelines_running = IF(concurrent_pipelines_running > 0, concurrent_pipelines_running - 1, 0),
              pipelines_succeeded_today = pipelines_succeeded_today + @succeeded,
              current_daily_pipelines = current_daily_pipelines + @succeeded,
              current_monthly_pipelines = current_monthly_pipelines + @succeeded,
              pipelines_failed_today = pipelines_failed_today + 1 - @succeeded
            WHERE org_slug = @slug AND usage_date = @day
            """,
            ["slug": .string(run.organization), "day": .date(run.day), "succeeded": .int64(Int64(succeeded))])
    }

    /// The API service keeps its log for 70 days here, so that a year stays fast. The jobs read 40 days of it at most.
    func forgetOldRows(_ date: CivilDate) async throws {
        guard date.day % 7 == 0 else { return }
        let first = Timestamp(startOf: date.adding(days: -70))
        try await write(
            "DELETE FROM `organizations.org_meta_pipeline_runs` WHERE start_time < @first", ["first": .timestamp(first)]
        )
        runs.removeAll { $0.startedAt < first }
        ended = ended.filter { $0.value.startedAt > machine.now.adding(.seconds(-3 * 86_400)) }
    }

    func tellCounters() async throws {
        let rows = try await read(
            """
            SELECT q.org_slug AS slug, q.current_daily_pipelines AS daily, q.current_monthly_pipelines AS monthly,
              q.concurrent_pipelines_running AS concurrent, q.daily_limit AS daily_limit, q.monthly_limit AS monthly_limit,
              q.concurrent_limit AS concurrent_limit, s.plan_name AS plan
            FROM `organizations.org_usage_quotas` AS q JOIN `organizations.org_subscriptions` AS s ON s.org_slug = q.org_slug
            WHERE q.usage_date = @day ORDER BY q.org_slug
            """, ["day": .date(machine.now.date)])
        for row in rows {
            func number(_ name: String) -> JSONValue {
                (try? row.optionalInt64(name)).flatMap { $0 }.map { .integer(Int($0)) } ?? .null
            }
            story.add(
                "counters", at: machine.now,
                [
                    ("organization", .string(try row.string("slug"))), ("day", .string(machine.now.date.description)),
                    ("daily", number("daily")), ("monthly", number("monthly")), ("concurrent", number("concurrent")),
                    (
                        "allowed",
                        .object([
                            "daily": number("daily_limit"), "monthly": number("monthly_limit"),
                            "concurrent": number("concurrent_limit"),
                        ])
                    ), ("plan", .string(try row.string("plan"))),
                ], text: "")
        }
    }
}
