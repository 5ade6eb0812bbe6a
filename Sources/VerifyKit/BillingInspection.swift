import FoundationEssentials
import JobRuntime
import Warehouse

/// The subscriptions: one live row for each organization, each of Stripe's subscriptions stored once, and the profile's copy of
/// the plan. ``AuditInspection`` compares the rows with the audit.
enum BillingInspection {
    static let rows = Invariant(
        "billing-rows", command: "./scripts/run-job.sh ENVIRONMENT billing-sync-reconcile -- --dry-run")
    static let subscriptions = Invariant(
        "subscription-ids", command: "./scripts/run-job.sh ENVIRONMENT billing-sync-reconcile -- --dry-run")
    static let plans = Invariant(
        "billing-plans", command: "./scripts/run-job.sh ENVIRONMENT billing-sync-reconcile -- --dry-run")

    /// Clocks differ by less.
    private static let clockSkewSeconds = 3600

    static let statement = InspectionStatement(
        purpose: "check the subscriptions", invariants: [rows, subscriptions, plans],
        tables: """
            subscriptions AS (
              SELECT
                subscription_id, org_slug, plan_name, status, stripe_subscription_id, stripe_read_at,
                status IN ('ACTIVE', 'TRIAL') AS is_live,
                ROW_NUMBER() OVER (
                  PARTITION BY org_slug
                  ORDER BY IF(status IN ('ACTIVE', 'TRIAL'), 0, 1), created_at DESC, subscription_id DESC) AS place
              FROM `organizations.org_subscriptions` \(InspectionStatement.asOf)),
            profiles AS (
              SELECT org_slug, subscription_plan FROM `organizations.org_profiles` \(InspectionStatement.asOf))
            """,
        findings: [
            InspectionSQL.rows(
                rows, of: "subscriptions", subject: "org_slug || ' ' || subscription_id",
                cases: [
                    (
                        "status NOT IN ('ACTIVE', 'TRIAL', 'SUSPENDED', 'CANCELLED')",
                        "'has the status ' || \(InspectionSQL.text("status"))"
                    ),
                    (
                        InspectionSQL.isLater("stripe_read_at", than: "@instant", by: clockSkewSeconds),
                        "'was read from Stripe at ' || CAST(stripe_read_at AS STRING) || ', which is to come'"
                    ),
                ]),
            InspectionSQL.repeated(rows, in: "subscriptions", key: "org_slug || ' ' || subscription_id"),
            """
            SELECT
              '\(rows.name)', org_slug, 'has ' || CAST(COUNT(*) AS STRING) || ' live subscriptions', COUNT(*)
            FROM subscriptions WHERE is_live GROUP BY org_slug HAVING COUNT(*) > 1
            """,
            """
            SELECT '\(rows.name)', s.org_slug || ' ' || s.subscription_id, 'its organization has no profile', 1
            FROM subscriptions AS s
            WHERE NOT EXISTS (SELECT 1 FROM profiles AS p WHERE p.org_slug = s.org_slug)
            """,
            """
            SELECT
              '\(subscriptions.name)', stripe_subscription_id,
              'is stored for ' || MIN(org_slug) || ' and ' || MAX(org_slug), COUNT(DISTINCT org_slug)
            FROM subscriptions
            WHERE stripe_subscription_id IS NOT NULL AND stripe_subscription_id != '' AND status != 'CANCELLED'
            GROUP BY stripe_subscription_id HAVING COUNT(DISTINCT org_slug) > 1
            """,
            """
            SELECT
              '\(plans.name)', s.org_slug,
              'the profile has the plan ' || \(InspectionSQL.text("p.subscription_plan")) || ', and the subscription '
                || s.plan_name, 1
            FROM subscriptions AS s JOIN profiles AS p ON p.org_slug = s.org_slug
            WHERE s.place = 1 AND s.stripe_read_at IS NOT NULL AND s.stripe_subscription_id IS NOT NULL
              AND p.subscription_plan IS DISTINCT FROM s.plan_name
            """,
        ],
        read: [rows.name: "subscriptions", subscriptions.name: "subscriptions", plans.name: "profiles"],
        parameters: { _ in [] })
}

/// The audit of the billing changes: each change has one record, and the rows of `org_subscriptions` have what the latest records
/// say. The records of ``days`` days are read, page by page; they are compared here, because they are JSON.
struct AuditInspection: Sendable {
    static let audits = Invariant(
        "billing-audits", command: "./scripts/run-job.sh ENVIRONMENT billing-sync-reconcile -- --dry-run")
    static let mirror = Invariant(
        "billing-mirror", command: "./scripts/run-job.sh ENVIRONMENT billing-sync-retry -- --enqueue ORGANIZATION")

    let days: Int

    func inspection(of warehouse: any SQLWarehouse) -> Inspection {
        Inspection(
            purpose: "check the audit of the billing changes", invariants: [Self.audits, Self.mirror]
        ) { instant, asked in
            var reading = AuditReading()
            let result = try await warehouse.query(statement(at: instant)) { rows in
                for row in rows { try reading.add(row) }
            }
            return reading.sight(asked: asked.map(Set.init), bytesBilled: result.bytesBilled)
        }
    }

    func statement(at instant: Timestamp) -> Statement {
        let columns = AuditReading.columns.map { "s.\($0.name)" }.joined(separator: ", ")
        var statement = Statement(
            "check the audit of the billing changes",
            """
            SELECT
              a.audit_id, a.org_slug, a.action, a.resource_type, a.resource_id, a.user_agent, a.status AS audit_status,
              a.details, s.subscription_id, s.stripe_read_at, \(columns)
            FROM (
              SELECT audit_id, org_slug, action, resource_type, resource_id, user_agent, status, details
              FROM `organizations.org_audit_logs` \(InspectionStatement.asOf)
              WHERE created_at >= @audits_from
                AND (audit_id LIKE 'billing-%' OR (action = 'SYNC_SUBSCRIPTION' AND user_agent = 'scheduler-jobs'))) AS a
            LEFT JOIN (
              SELECT org_slug, subscription_id, stripe_read_at, \(AuditReading.columns.map(\.name).joined(separator: ", "))
              FROM `organizations.org_subscriptions` \(InspectionStatement.asOf)) AS s
            ON s.org_slug = a.org_slug AND s.subscription_id = a.resource_id
            ORDER BY a.org_slug, a.resource_id, a.audit_id
            """,
            parameters: [
                "instant": .timestamp(instant), "audits_from": .timestamp(instant.adding(.seconds(-86_400 * days))),
            ])
        statement.rowsPerPage = 5_000
        return statement
    }
}

/// Reads the audits in the order of their organizations, and holds one organization at a time.
private struct AuditReading {
    static let columns: [(name: String, text: @Sendable (Row, String) throws -> String?)] = [
        ("plan_name", { try $0.optionalString($1) }), ("status", { try $0.optionalString($1) }),
        ("daily_limit", { try $0.optionalInt64($1).map(String.init) }),
        ("monthly_limit", { try $0.optionalInt64($1).map(String.init) }),
        ("concurrent_limit", { try $0.optionalInt64($1).map(String.init) }),
        ("seat_limit", { try $0.optionalInt64($1).map(String.init) }),
        ("providers_limit", { try $0.optionalInt64($1).map(String.init) }),
        ("trial_end_date", { try $0.optionalDate($1)?.description }),
        ("subscription_end_date", { try $0.optionalDate($1)?.description }),
        ("stripe_customer_id", { try $0.optionalString($1) }),
        ("stripe_subscription_id", { try $0.optionalString($1) }),
        // The audit has the instant in whole seconds, as Stripe has it.
        ("current_period_end", { try $0.optionalTimestamp($1)?.seconds }),
        ("cancel_at_period_end", { try $0.optionalBool($1).map { $0 ? "true" : "false" } }),
    ]

    private struct Entry {
        var id: String
        /// The end of the reading that the change rests on: the last part of the id.
        var version: Int64
        var changes: [(field: String, value: String?)]
    }

    private var group: (slug: String, row: String)?
    private var entries: [Entry] = []
    private var latest: Row?
    private var sight = Sight()
    private var read = 0

    mutating func add(_ row: Row) throws {
        let (slug, resource) = (try row.string("org_slug"), try row.optionalString("resource_id") ?? "")
        if group?.slug != slug || group?.row != resource {
            try finish()
            group = (slug, resource)
        }
        read += 1
        latest = row
        let id = try row.string("audit_id")
        let subject = "\(slug) \(id)"
        guard let version = Self.version(of: id, slug, resource) else {
            return sight.add(
                Finding(AuditInspection.audits.name, subject, "is not named after its organization, row and reading"))
        }
        let form = try ["action", "resource_type", "user_agent", "audit_status"].map { try row.optionalString($0) }
        guard form == ["SYNC_SUBSCRIPTION", "SUBSCRIPTION", "scheduler-jobs", "SUCCESS"] else {
            return sight.add(
                Finding(
                    AuditInspection.audits.name, subject,
                    "is \(form.map { $0 ?? "NULL" }.joined(separator: " ")), which no job writes"))
        }
        guard let changes = Self.changes(row["details"]) else {
            return sight.add(Finding(AuditInspection.audits.name, subject, "its details are not a list of changes"))
        }
        guard !entries.contains(where: { $0.id == id }) else {
            return sight.add(Finding(AuditInspection.audits.name, subject, "is there more than once"))
        }
        entries.append(Entry(id: id, version: version, changes: changes))
    }

    /// Compares the row of the organization with the latest value of every field.
    private mutating func finish() throws {
        defer { entries = [] }
        guard let group, let row = latest, let newest = entries.max(by: { $0.version < $1.version }) else { return }
        let subject = "\(group.slug) \(group.row)"
        guard try row.optionalString("subscription_id") != nil else {
            return sight.add(Finding(AuditInspection.mirror.name, subject, "has an audit and no row"))
        }
        let readAt = try row.optionalTimestamp("stripe_read_at")?.microseconds ?? 0
        if readAt < newest.version {
            sight.add(
                Finding(
                    AuditInspection.mirror.name, "\(subject) stripe_read_at",
                    "is older than the reading of the audit \(newest.id)"))
        }
        var values: [String: String?] = [:]
        for entry in entries.sorted(by: { $0.version < $1.version }) {
            for change in entry.changes { values[change.field] = .some(change.value) }
        }
        for (name, text) in Self.columns {
            guard let audited = values[name] else { continue }
            let value = try text(row, name).flatMap { $0.isEmpty ? nil : $0 }
            guard value != audited else { continue }
            sight.add(
                Finding(
                    AuditInspection.mirror.name, "\(subject) \(name)",
                    "is \(value ?? "NULL"), and the latest audit says \(audited ?? "NULL")"))
        }
    }

    func sight(asked: Set<String>?, bytesBilled: Int64) -> Sight {
        var whole = self
        do { try whole.finish() } catch { return Sight(bytesBilled: bytesBilled) }
        var sight = Sight(bytesBilled: bytesBilled)
        for finding in whole.sight.findings where asked?.contains(finding.key) ?? true { sight.add(finding) }
        for invariant in [AuditInspection.audits, AuditInspection.mirror] { sight.rowsRead[invariant.name] = read }
        return sight
    }

    /// `billing-SLUG-ROW-MICROSECONDS`
    private static func version(of id: String, _ slug: String, _ row: String) -> Int64? {
        let prefix = "billing-\(slug)-\(row)-"
        return id.hasPrefix(prefix) ? Int64(id.dropFirst(prefix.count)) : nil
    }

    private static func changes(_ details: SQLValue?) -> [(field: String, value: String?)]? {
        let text: String
        switch details {
        case .json(let json)?, .string(let json)?: text = json
        default: return nil
        }
        guard let members = JSONValue.members(of: Data(text.utf8)), let changes = members["changes"]?.array,
            !changes.isEmpty
        else { return nil }
        var read: [(field: String, value: String?)] = []
        for change in changes {
            guard let object = change.object, let field = object["field"]?.text, let value = object["to"] else {
                return nil
            }
            read.append((field, value.text))
        }
        return read
    }
}

extension Timestamp {
    fileprivate var seconds: String {
        guard microseconds.isMultiple(of: 1_000_000) else { return description }
        return String(description.prefix { $0 != "." }) + "Z"
    }
}
