#!/usr/bin/env python3
"""Measures the memory of a job to which BigQuery sends a page of very many tiny rows.

    Benchmarks/pages.py BIN [--bytes 58000000] [--columns 1 | --list] [--limit 300]

BIN is a folder of release binaries. A scripted BigQuery answers each SELECT with one page of that many bytes, in which each value is a
text of one character: the most values that fit. With --list, they are the elements of one list. org-sync-all keeps the rows, and billing-sync-reconcile takes them page by page. Both
jobs have to fail with an error that says why. The program fails if a job needs more than --limit MB.
"""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

import billing

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests/BigQueryAnswers"))
from scripted_bigquery import Server, World, column, dml, rows  # noqa: E402


# The peak memory of a process begins with that of the process that started it, so a small one starts the job.
START = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(f"[{os.waitstatus_to_exitcode(status)}, {usage.ru_maxrss}]")
"""


class BigQuery:
    def __init__(self, size, columns, is_list):
        cell = b'{"v":"1"}'
        row = b'{"f":[' + b",".join([cell] * columns) + b"]}"
        if is_list:
            row = b'{"f":[{"v":[' + b",".join([cell] * (size // (len(cell) + 1))) + b"]}]}"
        self.rows = max(1, size // (len(row) + 1))
        self.values = row.count(cell) * self.rows
        fields = [column("c0", mode="REPEATED")] if is_list else [column(f"c{number}") for number in range(columns)]
        answer = json.dumps(rows("page", fields, [["1"]])[1]).encode()
        start = answer.index(b'"rows": [') + len(b'"rows": [')
        self.page = answer[:start] + b",".join([row] * self.rows) + answer[answer.index(b"]", answer.index(b"}]}", start) + 3):]
        self.server = Server(self.handle)
        self.url = self.server.url

    def handle(self, handler, body):
        is_read = urlparse(handler.path).path.endswith("/queries") and json.loads(body)["query"].startswith(("SELECT", "WITH"))
        World.send(self, handler, 200, {}, self.page if is_read else json.dumps(dml("j", inserted=1)[1]).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=Path)
    parser.add_argument("--bytes", type=int, default=58_000_000)
    parser.add_argument("--columns", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--limit", type=int, default=300)
    options = parser.parse_args()
    bigquery, stripe = BigQuery(options.bytes, options.columns, options.list), billing.Stripe(100)
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "ENVIRONMENT": "test", "LOG_FORMAT": "json",
                   "NO_PROXY": "127.0.0.1", "STRIPE_SECRET_KEY": "rk_test_benchmark", "STRIPE_API_BASE": stripe.url,
                   "GCP_PROJECT_ID": "cloudact-testing-1", "BIGQUERY_EMULATOR_HOST": bigquery.url}
    problems = []
    for job in ("OrgSyncAllJob", "BillingSyncReconcileJob"):
        start = time.monotonic()
        output = subprocess.run(
            [sys.executable, "-c", START, options.binaries / job], env=environment, stdout=subprocess.PIPE, text=True,
            check=True).stdout.splitlines()
        last, (status, memory) = output[-2], json.loads(output[-1])
        memory = memory * 1024 / 1_000_000
        print(f"| {job} | {len(bigquery.page) / 1_000_000:.1f} MB, {bigquery.values:,} values | {memory:.0f} MB | "
              f"{time.monotonic() - start:.1f} s |")
        print(f"    {json.loads(last).get('message', last)[:200]}")
        if status != 1:
            problems.append(f"{job} did not end with exit code 1")
        if memory > options.limit:
            problems.append(f"{job} needs more than {options.limit} MB")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
