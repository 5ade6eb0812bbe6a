import BillingKit
package import JobRuntime
import Logging
import SchemaKit
import Synchronization
package import Warehouse
import WarehouseKit

/// Runs of `billing-sync-retry` on one organization, while its customer changes the plan: `SyncQueue` and `BillingWriter`.
///
/// The last execution is the customer, or the application in the customer's name: it changes the plan in Stripe, and queues the
/// organization. Stripe's account is a table of the model, so a request to Stripe is a statement that reads it.
package struct QueueScenario: ModelScenario {
    package var bounds: ModelBounds
    /// The number of seconds at the beginning at which something may happen, after the first one.
    package var seconds = 2
    /// Whether the job reads Stripe before it claims an item, and not after: a fault that the rules must notice.
    var readsEarly = false

    package let tables: [(reference: TableReference, table: Table)]
    /// The places of the columns in the rows, by table.
    private let places: [[String: Int]]
    private let null: [[SQLValue]]

    private enum Place {
        static let queue = 0
        static let subscriptions = 1
        static let audits = 2
        static let quotas = 3
        static let profiles = 4
        static let cursor = 5
        static let stripe = 6
    }

    private static let slug = "acme"
    /// In the order in which the customer chooses them. The warehouse has another one at the start.
    private static let plans = ["STARTER", "SCALE"]
    private static let itemLease = Duration.seconds(900)
    private static let quiet = Logger(label: "model") { _ in SwiftLogNoOpLogHandler() }

    /// - Parameter bounds: The customer is one of the executions.
    package init(_ bounds: ModelBounds) throws {
        self.bounds = bounds
        let catalog = try Catalog.embedded([.organizations, .operations])
        func table(_ group: Catalog.Group, _ dataset: DatasetID, _ name: String) -> (TableReference, Table) {
            let found = catalog.tables(group).first { $0.name == name }!.table
            return (TableReference(dataset, name)!, found)
        }
        let organizations = ["org_subscriptions", "org_audit_logs", "org_usage_quotas", "org_profiles"]
        let stripe = Table(fields: [FieldSchema("plan", "INT64")])
        tables =
            [table(.operations, DatasetID.schedulerJobs, "billing_sync_queue")]
            + organizations.map { table(.organizations, DatasetID.organizations, $0) }
            + [
                table(.operations, DatasetID.schedulerJobs, "billing_event_cursor"),
                (ModelStripe.table, stripe),
            ]
        places = tables.map { _, table in
            Dictionary(uniqueKeysWithValues: table.schema.fields.enumerated().map { ($1.name, $0) })
        }
        null = tables.map { _, table in
            table.schema.fields.map { .null(SQLType(scalarName: $0.type) ?? .string) }
        }
    }

    private var customer: Int { bounds.executions - 1 }

    package func areAlike(_ one: Int, _ other: Int) -> Bool { (one == customer) == (other == customer) }
    package func mayFail(_ execution: Int) -> Bool { execution != customer }

    // MARK: programs

    package func program(_ execution: Int, attempt: Int) -> ModelProgram {
        if execution == customer { return Self.customerProgram }
        let letter = ["A", "B", "C", "D", "E"][execution]
        return ModelProgram(attempt == 0 ? letter : "\(letter)\(attempt + 1)") { [readsEarly] warehouse, now, sleep in
            let report = RunReport.silent()
            let day = now().date
            let stripe = ModelStripe.client(warehouse, now, readsEarly: readsEarly)
            let reconciliation = BillingReconciliation(
                stripe: stripe, warehouse: warehouse, today: day, report: report, logger: Self.quiet, now: now)
            let lease = JobLease(
                warehouse: warehouse, job: "billing-sync-reconcile", holder: "\(letter)/0/\(attempt)",
                validity: Self.itemLease, report: report, now: now, sleep: sleep)
            let retry = BillingRetry(
                stripe: stripe, warehouse: warehouse, today: day, report: report, reconciliation: reconciliation,
                lease: lease, now: now, jitter: { 0 })
            do {
                try await retry.run(limit: 10, lease: Self.itemLease)
            } catch {
                return "failed"
            }
            let problem = report.record.withLock { $0.failures.kept.first.map { "\($0)" } }
            return problem ?? "completed \(report.count(of: "completed")) of \(report.count(of: "claimed"))"
        }
    }

    private static let customerProgram = ModelProgram("the customer") { warehouse, now, _ in
        let report = RunReport.silent()
        do {
            _ = try await warehouse.query(ModelStripe.nextPlan)
            try await QueueUpkeep(warehouse: warehouse, report: report, now: now).enqueue(slug, why: nil)
            return "queued"
        } catch {
            return "failed"
        }
    }

    // MARK: rows

    package func fill(_ contents: inout ModelContents, at time: Timestamp) {
        let longAgo = SQLValue.timestamp(time.adding(.seconds(-86_400)))
        let slug = SQLValue.string(Self.slug)
        add(
            Place.queue, &contents,
            [
                "sync_id": .string("first"), "org_slug": slug, "sync_type": .string("webhook"),
                "status": .string("pending"), "retry_count": .int64(0), "max_retries": .int64(5),
                "created_at": longAgo, "updated_at": longAgo,
            ])
        add(
            Place.subscriptions, &contents,
            [
                "subscription_id": .string("row"), "org_slug": slug, "plan_name": .string("OLD"),
                "status": .string("ACTIVE"), "stripe_customer_id": .string("cus_1"),
                "stripe_subscription_id": .string("sub_1"), "stripe_read_at": longAgo, "daily_limit": .int64(1),
                "monthly_limit": .int64(1), "concurrent_limit": .int64(1), "created_at": longAgo,
            ])
        add(
            Place.profiles, &contents,
            [
                "org_slug": slug, "company_name": .string("Company"), "admin_email": .string("a@acme.example"),
                "org_dataset_id": .string("acme"), "status": .string("ACTIVE"), "created_at": longAgo,
            ])
        let cursor = SQLValue.timestamp(time.adding(.seconds(-600)))
        add(Place.cursor, &contents, ["read_to": cursor, "updated_at": cursor])
        add(Place.stripe, &contents, ["plan": .int64(0)])
    }

    private func add(_ table: Int, _ contents: inout ModelContents, _ values: [String: SQLValue]) {
        var row = null[table]
        for (name, value) in values { row[places[table][name]!] = value }
        contents.tables[table][1] = row
    }

    private func value(_ table: Int, _ row: [SQLValue], _ column: String) -> SQLValue { row[places[table][column]!] }

    /// A few seconds at the beginning, in which the reads and writes of the executions have an order, and the ends of claims and
    /// of pauses.
    package func instants(in contents: ModelContents) -> [Timestamp] {
        let early = (0..<seconds).map { ModelEngine.beginning.adding(.seconds($0 + 1)) }
        return early
            + contents.tables[Place.queue].values.flatMap { row in
                ["lease_expires_at", "next_retry_at"].compactMap { column in
                    if case .timestamp(let time) = value(Place.queue, row, column) { time } else { nil }
                }
            }
    }

    // MARK: rules

    /// The items of the queue by their rows.
    private struct Item: Hashable {
        var status: SQLValue
        var token: SQLValue
        var expiry: SQLValue
    }

    private func items(_ contents: ModelContents) -> [Int64: Item] {
        contents.tables[Place.queue].mapValues { row in
            let value = { self.value(Place.queue, row, $0) }
            return Item(status: value("status"), token: value("lease_token"), expiry: value("lease_expires_at"))
        }
    }

    /// The place of the stored plan in ``plans``, and -1 for the one at the start.
    private func storedPlan(_ contents: ModelContents) -> Int {
        guard let row = contents.tables[Place.subscriptions][1],
            case .string(let name) = value(Place.subscriptions, row, "plan_name")
        else { return -2 }
        return Self.plans.firstIndex(of: name) ?? -1
    }

    private func planInStripe(_ contents: ModelContents) -> Int {
        guard case .int64(let plan)? = contents.tables[Place.stripe][1]?[0] else { return -2 }
        return Int(plan)
    }

    /// A note is the plan that an item asks for: `row * 10 + plan`.
    private func plan(askedBy row: Int64, _ notes: [Int]) -> Int {
        notes.first { $0 / 10 == Int(row) }.map { $0 % 10 } ?? 0
    }

    package func committed(
        _ commit: ModelCommit, _ contents: inout ModelContents, _ notes: inout [Int]
    ) -> String? {
        let (before, after) = (items(commit.before), items(contents))
        for row in after.keys.sorted() where before[row] == nil { notes.append(Int(row) * 10 + planInStripe(contents)) }
        for (row, old) in before {
            guard let new = after[row] else { return "an item of the queue is gone" }
            guard new != old else { continue }
            if new.status == .string("completed"), storedPlan(contents) < plan(askedBy: row, notes) {
                return "\(commit.name) completed an item, and the warehouse has an older plan than the item asks for"
            }
            guard old.status == .string("processing"), old.token != commit.parameter("token") else { continue }
            guard case .timestamp(let expiry) = old.expiry, case .timestamp(let now)? = commit.parameter("now"),
                expiry <= now
            else { return "\(commit.name) changed an item that another execution had claimed" }
        }
        return violation(ofBillingBy: commit, contents)
    }

    private func violation(ofBillingBy commit: ModelCommit, _ after: ModelContents) -> String? {
        let rows = (commit.before.tables[Place.subscriptions], after.tables[Place.subscriptions])
        let audits = after.tables[Place.audits].count - commit.before.tables[Place.audits].count
        guard rows.0 != rows.1 else { return audits == 0 ? nil : "\(commit.name) audited a change that is none" }
        guard let old = rows.0[1], let new = rows.1[1], rows.1.count == 1 else { return "a subscription has two rows" }
        let (from, to) = (storedPlan(commit.before), storedPlan(after))
        if to < from { return "\(commit.name) overwrote a newer plan with an older one" }
        if audits != (from == to ? 0 : 1) { return "\(commit.name) audited one change \(audits) times" }
        let read = { (row: [SQLValue]) in self.value(Place.subscriptions, row, "stripe_read_at") }
        guard case .timestamp(let earlier) = read(old), case .timestamp(let later) = read(new), earlier < later else {
            return "\(commit.name) wrote an older reading than the one before"
        }
        // A write that began before its claim was released still commits: the version alone protects the row then.
        guard commit.isFresh, let claim = commit.parameter("claim") else { return nil }
        let isClaimed = items(commit.before).values.contains { $0.status == .string("processing") && $0.token == claim }
        return isClaimed ? nil : "\(commit.name) wrote without a claim on an item"
    }

    package func ended(
        _ outcome: String, of execution: Int, attempt: Int, faults: Int, _ contents: ModelContents, _ notes: [Int]
    ) -> String? {
        if outcome == "queued" || outcome.hasPrefix("completed") { return nil }
        return outcome == "failed" && faults > 0 ? nil : "an execution ended so: \(outcome)"
    }

    package func settled(
        _ contents: ModelContents, _ notes: [Int], at time: Timestamp, faults: Int, probe: String,
        _ after: ModelContents
    ) -> String? {
        guard probe.hasPrefix("completed") else { return "a later execution, alone, ended so: \(probe)" }
        if faults == 0, items(contents).values.contains(where: { $0.status == .string("processing") }) {
            return "nothing went wrong, and an item is still claimed"
        }
        if items(after).values.contains(where: { $0.status != .string("completed") }) {
            return "a later execution, alone, leaves an item that is not completed"
        }
        return storedPlan(after) == planInStripe(after)
            ? nil : "the queue is empty, and the warehouse has an older plan"
    }
}
