#!/usr/bin/env python3
"""Measures billing-sync-reconcile with very many subscriptions: requests, peak memory, seconds.

    Benchmarks/reconcile.py BIN [--subscriptions 100000] [--changed 0] [--new 0] [--dry-run] [--sqlite FILE]

BIN is a folder of release binaries. A loopback Stripe lists the subscriptions, and a scripted BigQuery answers as the real one
would. Of the organizations, the first --changed have another plan stored, and the next --new have no row in
org_subscriptions. With --sqlite, the warehouse is that new file; then BIN needs BootstrapJob, too, and both need the embedded
warehouse. The program fails above these limits: one request to Stripe for 100 subscriptions and ten more, 60 MB where everything
agrees, 100 MB where not.
"""
import argparse
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import billing

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests/BigQueryAnswers"))
from scripted_bigquery import BILLING_COLUMNS, Server, World, billing_row, column, dml, rows  # noqa: E402


class BigQuery:
    """Has the billing state of all organizations, which it hands over page by page, and accepts every write."""

    def __init__(self, options):
        self.options, self.requests, self.lock = options, 0, threading.Lock()
        self.server = Server(self.handle)
        self.url = self.server.url

    def row(self, number):
        if self.options.changed < number <= self.options.changed + self.options.new:
            return billing_row({"slug": billing.slug(number), "rows": None, "fields": [""] * 13 + ["STARTER"] + ["6", "180", "1", "2", "3"]})
        plan = "OLD" if number <= self.options.changed else "STARTER"
        limits = ["7", "210", "2", "3", "4"] if number <= self.options.changed else ["6", "180", "1", "2", "3"]
        return billing_row({"slug": billing.slug(number), "row": billing.row_id(number), "version": "1750000000000000", "fields": [
            plan, "ACTIVE", *limits, "", "", billing.customer_id(number), billing.subscription_id(number),
            str(billing.PERIOD_END * 1_000_000), "0", plan, *limits]})

    def page(self, first, size):
        last = min(first + size, self.options.subscriptions)
        more = {"pageToken": str(last)} if last < self.options.subscriptions else {}
        return rows("state", BILLING_COLUMNS, [self.row(number) for number in range(first + 1, last + 1)], **more)

    def handle(self, handler, body):
        with self.lock:
            self.requests += 1
        World.send(self, handler, *self.answer(urlparse(handler.path), body))

    def answer(self, url, body):
        if not url.path.endswith("/queries"):
            query = parse_qs(url.query)
            answer = self.page(int(query["pageToken"][0]), int(query["maxResults"][0]))
        else:
            request = json.loads(body)
            sql = request["query"]
            if "AS profile_variants" in sql:
                answer = self.page(0, request["maxResults"])
            elif "SELECT DISTINCT c.org_slug" in sql:
                changes = next(p for p in request["queryParameters"] if p["name"] == "changes")["parameterValue"]["arrayValues"]
                written = [[change["structValues"]["org_slug"]["value"], None] for change in changes]
                answer = rows("write", [column("org_slug"), column("former_owner")], written)
            else:  # The lease and the row of the run history.
                answer = dml("j", inserted=1)
        return answer[0], {}, json.dumps(answer[1]).encode()


def fill(path, options):
    """Puts the organizations of the scripted BigQuery into the tables that bootstrap has made."""
    database = sqlite3.connect(path)
    created, today = "2025-01-01 00:00:00.000000+00:00", date.today().isoformat()
    for number in range(1, options.subscriptions + 1):
        is_changed = number <= options.changed
        plan, limits = ("OLD", (7, 210, 2, 3, 4)) if is_changed else ("STARTER", (6, 180, 1, 2, 3))
        slug = billing.slug(number)
        database.execute(
            "INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, "
            "subscription_plan, created_at) VALUES (?, 'Company', 'admin@acme.example', '', 'ACTIVE', ?, ?)", (slug, plan, created))
        database.execute(
            "INSERT INTO `organizations.org_usage_quotas` (usage_id, org_slug, usage_date, current_daily_pipelines, "
            "pipelines_succeeded_today, pipelines_failed_today, current_monthly_pipelines, concurrent_pipelines_running, daily_limit, "
            "monthly_limit, concurrent_limit, seat_limit, providers_limit, last_updated, created_at) "
            "VALUES (?, ?, ?, 0, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?)", (f"quota_{number}", slug, today, *limits, created, created))
        if options.changed < number <= options.changed + options.new:
            continue
        database.execute(
            "INSERT INTO `organizations.org_subscriptions` (subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, "
            "concurrent_limit, seat_limit, providers_limit, created_at, stripe_customer_id, stripe_subscription_id, "
            "current_period_end, cancel_at_period_end) VALUES (?, ?, ?, 'ACTIVE', ?, ?, ?, ?, ?, ?, ?, ?, "
            "'2027-01-15 08:00:00.000000+00:00', 0)",
            (billing.row_id(number), slug, plan, *limits, created, billing.customer_id(number), billing.subscription_id(number)))
    database.commit()
    database.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=Path)
    parser.add_argument("--subscriptions", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=0)
    parser.add_argument("--new", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--sqlite", type=Path)
    options = parser.parse_args()
    stripe = billing.Stripe(options.subscriptions)
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "ENVIRONMENT": "test", "LOG_FORMAT": "json",
                   "NO_PROXY": "127.0.0.1", "STRIPE_SECRET_KEY": "rk_test_benchmark", "STRIPE_API_BASE": stripe.url}
    bigquery = None
    if options.sqlite:
        if options.sqlite.exists():
            sys.exit(f"{options.sqlite} exists")
        environment["WAREHOUSE_URL"] = f"sqlite:{options.sqlite}"
        subprocess.run([options.binaries / "BootstrapJob"], env=environment, stdout=subprocess.DEVNULL, check=True)
        fill(options.sqlite, options)
    else:
        bigquery = BigQuery(options)
        environment |= {"GCP_PROJECT_ID": "cloudact-testing-1", "BIGQUERY_EMULATOR_HOST": bigquery.url}
    command = [options.binaries / "BillingSyncReconcileJob"] + ["--dry-run"] * options.dry_run
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    last = ""
    for line in process.stdout:
        last = line
    _, status, usage = os.wait4(process.pid, 0)
    seconds, memory = time.monotonic() - start, usage.ru_maxrss * 1024 / 1_000_000
    counts = json.loads(last)["counts"]
    print(f"| {options.subscriptions:,} subscriptions, {options.changed:,} changed, {options.new:,} new"
          f"{', dry run' if options.dry_run else ''}{', SQLite' if options.sqlite else ''} | {stripe.requests:,} | "
          f"{f'{bigquery.requests:,}' if bigquery else '-'} | {memory:.1f} MB | {seconds:.1f} s, "
          f"{usage.ru_utime + usage.ru_stime:.1f} s of a core |")
    differing = options.changed + options.new
    if status or counts["checked"] != options.subscriptions or counts["synced"] != (0 if options.dry_run else differing):
        sys.exit(last)
    if stripe.requests > options.subscriptions // 100 + 10 or memory > (100 if differing else 60):
        sys.exit("above the limits")


if __name__ == "__main__":
    main()
