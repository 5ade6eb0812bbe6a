#!/usr/bin/env python3
"""Measures quota-reset-daily on SQLite and prints a table in Markdown.

    Benchmarks/quotas.py BIN [--organizations 10000] [--runs 20000] [--repeat 5]

BIN is a folder with BootstrapJob and QuotaResetDailyJob, built with the embedded warehouse. Seconds are wall time of the whole
process, its start and its row in the run history included.
"""
import argparse
import datetime
import json
import os
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path

from benchmark import run

NOW = datetime.datetime(2026, 1, 31)


def text(moment):
    """As the embedded warehouse stores a TIMESTAMP."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f+00:00")


def fill(path, organizations, runs):
    """Organizations with a subscription each, and runs spread over the month."""
    created = text(datetime.datetime(2025, 1, 1))
    slugs = [f"org_{number}" for number in range(organizations)]
    month = datetime.timedelta(days=30).total_seconds()
    database = sqlite3.connect(path)
    with database:
        database.executemany(
            "INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, created_at)"
            " VALUES (?, 'Company', 'admin@acme.example', '', 'ACTIVE', ?)", [(slug, created) for slug in slugs])
        database.executemany(
            "INSERT INTO `organizations.org_subscriptions` (subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit,"
            " concurrent_limit, created_at) VALUES (?, ?, 'STARTER', 'ACTIVE', 6, 180, 3, ?)",
            [(f"sub_{slug}", slug, created) for slug in slugs])
        database.executemany(
            "INSERT INTO `organizations.org_meta_pipeline_runs` (pipeline_logging_id, org_slug, pipeline_id, status, start_time,"
            " created_at) VALUES (?, ?, 'costs', 'COMPLETED', ?, ?)",
            [(f"run_{number}", slugs[number % organizations], start, start) for number, start in (
                (number, text(NOW - datetime.timedelta(seconds=month * number / runs))) for number in range(runs))])
    database.close()


def execute(path, sql):
    database = sqlite3.connect(path)
    with database:
        database.execute(sql)
    database.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--organizations", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    binaries, n = Path(arguments.bin), arguments.organizations
    quotas = "`organizations.org_usage_quotas`"
    cases = [
        (f"{n} rows to make", f"DELETE FROM {quotas}", {"rows_created": n, "rows_changed": 0}),
        (f"{n} rows to change", f"UPDATE {quotas} SET current_daily_pipelines = 99", {"rows_created": 0, "rows_changed": n}),
        ("nothing to write", "SELECT 1", {"rows_created": 0, "rows_changed": 0}),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "warehouse.db")
        environment = {"WAREHOUSE_URL": f"sqlite:{path}", "ENVIRONMENT": "test", "LOG_LEVEL": "error"}
        run([binaries / "BootstrapJob"], environment)
        fill(path, n, arguments.runs)
        print(f"quota-reset-daily, {n} organizations on SQLite, {arguments.runs} runs in the month, {arguments.repeat} times each:\n")
        print("| run | median | from | to | peak memory |\n|---|---|---|---|---|")
        for title, preparation, expected in cases:
            results = []
            for _ in range(arguments.repeat):
                execute(path, preparation)
                seconds, memory, summary = run(
                    [binaries / "QuotaResetDailyJob", "--now", NOW.isoformat() + "Z"], environment)
                counts = json.loads(summary)["counts"]
                if any(counts[name] != value for name, value in expected.items()):
                    sys.exit(f"{title}: {counts}")
                results.append((seconds * 1000, memory))
            times = [seconds for seconds, _ in results]
            print(f"| {title} | {statistics.median(times):.0f} ms | {min(times):.0f} ms | {max(times):.0f} ms "
                  f"| {max(memory for _, memory in results):.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()
