import Foundation
import JobRuntime
import Warehouse

/// The invariants of billing after a night: the subscriptions, the queue and the audits.
extension World {
    func wrongSubscriptions() async throws -> (broken: [String], seen: String) {
        var broken: [String] = []
        if let (isExcuse, text) = excuse("billing-sync-reconcile", since: machine.now.adding(.seconds(-3 * 3600))),
            !isExcuse
        {
            broken.append(text)
        }
        let reconciled = lastSuccess["billing-sync-reconcile"] ?? Timestamp(microseconds: 0)
        let rows = try await read(
            """
            SELECT org_slug, plan_name, status, daily_limit, concurrent_limit, stripe_subscription_id
            FROM `organizations.org_subscriptions` ORDER BY org_slug, created_at
            """)
        var compared = 0
        for organization in organizations where organization.isWritten {
            guard let best = stripe.best(of: organization.slug), let plan = stripe.plans[best.product] else { continue }
            let own = stripe.subscriptions.filter { $0.organization == organization.slug }
            let changed = max(own.map(\.changedAt).max()!, stripe.plansChangedAt, organization.signedUpAt)
            guard changed < reconciled.adding(.seconds(-1)) else { continue }
            compared += 1
            let wanted = ["active": "ACTIVE", "canceled": "CANCELLED"][best.status] ?? "?"
            let stored = try rows.filter { try $0.string("org_slug") == organization.slug }
            guard let row = try stored.first(where: { try $0.optionalString("stripe_subscription_id") == best.id })
            else {
                broken.append("\(organization.slug) does not have \(best.id), the subscription that counts")
                continue
            }
            let found =
                "\(try row.string("plan_name")) \(try row.string("status")) \(try row.int64("daily_limit")) "
                + "\(try row.int64("concurrent_limit"))"
            let expected = "\(plan.name) \(wanted) \(plan.daily) \(plan.concurrent)"
            if found != expected {
                broken.append(
                    "\(organization.slug) is \(found), and Stripe has \(expected) since \(Story.stamp(changed))")
            }
        }
        return (broken, "\(compared) organizations equal Stripe")
    }

    /// Every item that was ever queued is there, and a completed one was followed by a reading of Stripe that is newer than it.
    func wrongItems() async throws -> (broken: [String], seen: String) {
        var broken: [String] = []
        let rows = try await read(
            """
            SELECT q.sync_id AS id, q.org_slug AS slug, q.status AS status, q.created_at AS created_at,
              q.lease_expires_at AS lease_expires_at, q.next_retry_at AS next_retry_at,
              (SELECT MAX(s.stripe_read_at) FROM `organizations.org_subscriptions` AS s WHERE s.org_slug = q.org_slug) AS read_at
            FROM `scheduler_jobs.billing_sync_queue` AS q
            """)
        let known = Set(try rows.map { try $0.string("id") })
        for item in queued where !known.contains(item.id) {
            broken.append("\(item.id) of \(item.organization) is gone")
        }
        let retried = lastSuccess["billing-sync-retry"] ?? Timestamp(microseconds: 0)
        for row in rows {
            let (id, slug, status) = (try row.string("id"), try row.string("slug"), try row.string("status"))
            let created = try row.timestamp("created_at")
            switch status {
            case "completed":
                guard organizations.contains(where: { $0.slug == slug }) else { continue }
                if try row.optionalTimestamp("read_at") ?? .init(microseconds: 0) < created {
                    broken.append("\(id) of \(slug) is completed, and Stripe was not read since it was queued")
                }
            case "processing":
                if let expiry = try row.optionalTimestamp("lease_expires_at"), expiry < retried.adding(.seconds(-3600))
                {
                    broken.append("\(id) of \(slug) waits for an execution that is long dead")
                }
            case "pending":
                let due = try row.optionalTimestamp("next_retry_at") ?? created
                if due < machine.now.adding(.seconds(-6 * 3600)) {
                    broken.append("\(id) of \(slug) is due since \(Story.stamp(due))")
                }
            default: break
            }
        }
        return (broken, "\(rows.count) items are there")
    }

    // MARK: Audit

    func rememberAudits() async throws { _ = try await wrongAudits() }

    /// The audits of an organization form a chain: each begins with what the one before ended with, and the last one ends with
    /// what is stored.
    func wrongAudits() async throws -> (broken: [String], seen: String) {
        var broken: [String] = []
        let fields = ["plan_name", "status", "daily_limit", "monthly_limit", "concurrent_limit"]
        let audits = try await read(
            """
            SELECT audit_id, org_slug, details FROM `organizations.org_audit_logs` WHERE action = 'SYNC_SUBSCRIPTION'
            """)
        var chains: [String: [(version: Int, id: String, details: String)]] = [:]
        var ids: Set<String> = []
        for row in audits {
            let id = try row.string("audit_id")
            if !ids.insert(id).inserted { broken.append("\(id) is there twice") }
            guard case .json(let details)? = row["details"],
                let version = id.split(separator: "-").last.flatMap({ Int($0) })
            else {
                broken.append("\(id) cannot be read")
                continue
            }
            chains[try row.string("org_slug"), default: []].append((version, id, details))
        }
        let rows = try await read(
            "SELECT org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit FROM `organizations.org_subscriptions`"
        )
        for row in rows {
            let slug = try row.string("org_slug")
            guard var known = auditState[slug] else { continue }
            for audit in (chains[slug] ?? []).sorted(by: { $0.version < $1.version }) {
                let changes = JSONValue.members(of: Data(audit.details.utf8))?["changes"]?.array ?? []
                for change in changes {
                    guard let members = change.object, let field = members["field"]?.string, fields.contains(field)
                    else { continue }
                    if known[field] != members["from"]?.string {
                        broken.append(
                            "\(audit.id): \(field) was \(known[field] ?? ""), and the audit says \(members["from"]?.string ?? "")"
                        )
                    }
                    known[field] = members["to"]?.string ?? ""
                }
            }
            let stored = [
                "plan_name": try row.string("plan_name"), "status": try row.string("status"),
                "daily_limit": "\(try row.int64("daily_limit"))", "monthly_limit": "\(try row.int64("monthly_limit"))",
                "concurrent_limit": "\(try row.int64("concurrent_limit"))",
            ]
            for field in fields where known[field] != stored[field] {
                broken.append(
                    "\(slug) \(field) is \(stored[field] ?? ""), and the last audit ended with \(known[field] ?? "")")
            }
        }
        return (broken, "\(audits.count) audits form unbroken chains")
    }
}
