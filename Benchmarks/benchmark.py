#!/usr/bin/env python3
"""Measures the shipped job binaries against the BigQuery emulator and prints a table in Markdown.

    Benchmarks/benchmark.py BIN [--delay-ms 20] [--organizations 100] [--large 1000] [--starts 30] [--subscriptions 10000] [--only-billing]

BIN is a folder of release binaries, demo-data among them. Requests are counted by the emulator; seconds are wall time of the
whole process and memory is the operating system's peak resident set. Needs the .venv that scripts/test.sh makes.
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import billing

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "benchmark-project"


class Emulator:
    def __init__(self, delay):
        command = [ROOT / ".venv/bin/python", ROOT / "Tests/Emulator/emulator.py", "--delay-ms", str(delay), "--log-level", "error",
                   "--exit-with", str(os.getpid())]
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("ready "):
                self.url = "http://127.0.0.1:" + line.split()[1]
                return
        sys.exit("the emulator did not start")

    def call(self, path, method="GET", body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def query(self, sql):
        self.call(f"/bigquery/v2/projects/{PROJECT}/queries", "POST", {"query": sql, "useLegacySql": False})

    def stop(self):
        self.process.kill()
        self.process.wait()


def run(command, environment):
    """(seconds, peak MiB, summary line) of a process that must succeed."""
    start = time.monotonic()
    process = subprocess.Popen([str(c) for c in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    errors = []
    reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
    reader.start()
    output = process.stdout.read()
    reader.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    if process.returncode != 0:
        sys.exit(f"{command[0]} ended with {process.returncode}:\n{output.decode()}{errors[0].decode()}")
    return seconds, usage.ru_maxrss / 1024, output.decode().splitlines()[-1]


def starts(binary, count):
    """Milliseconds from exec to the first byte of the first request, one per start."""
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    environment = {"GCP_PROJECT_ID": PROJECT, "ENVIRONMENT": "test", "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{port}"}
    found = []
    for _ in range(count + 3):
        start = time.monotonic()
        process = subprocess.Popen([str(binary)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connection, _ = server.accept()
        connection.recv(1)
        found.append((time.monotonic() - start) * 1000)
        connection.close()
        process.kill()
        process.wait()
    server.close()
    return found[3:]


class Bench:
    def __init__(self, binaries, delay):
        self.binaries = Path(binaries)
        self.emulator = Emulator(delay)
        self.environment = {"GCP_PROJECT_ID": PROJECT, "ENVIRONMENT": "test", "BIGQUERY_EMULATOR_HOST": self.emulator.url}

    def row(self, title, job, *arguments):
        self.emulator.call("/_requests", "DELETE")
        seconds, memory, summary = run([self.binaries / job, *arguments], self.environment)
        counts = self.emulator.call("/_requests")
        json.loads(summary)
        print(f"| {title} | {counts['total']} | {seconds:.2f} s | {memory:.0f} MiB | {counts['peakInFlight']} |", flush=True)

    def prepare(self, organizations):
        run([self.binaries / "demo-data", "--organizations", str(organizations)], self.environment)

    def reconcile(self, subscriptions):
        """A night on which nothing differs; it fails above the requests and the memory that it may need."""
        stripe = billing.Stripe(subscriptions)
        for statement in billing.statements(subscriptions):
            self.emulator.query(statement)
        environment = {**self.environment, "STRIPE_SECRET_KEY": "rk_test_benchmark", "STRIPE_API_BASE": stripe.url}
        # The first run makes the row of the lease.
        for title in ("first", "second"):
            stripe.requests = 0
            self.emulator.call("/_requests", "DELETE")
            seconds, memory, summary = run([self.binaries / "BillingSyncReconcileJob"], environment)
            counts, found = self.emulator.call("/_requests"), json.loads(summary)["counts"]
            print(f"| billing-sync-reconcile, {subscriptions} subscriptions in sync, {title} run, {stripe.requests} requests to Stripe | "
                  f"{counts['total']} | {seconds:.2f} s | {memory:.0f} MiB | {counts['peakInFlight']} |", flush=True)
            if found["checked"] != subscriptions or found["mismatches"] or found["errors"]:
                sys.exit(f"not in sync: {found}")
        if stripe.requests > subscriptions // 100 + 10 or counts["total"] > 6 + subscriptions // 500 or memory >= 60:
            sys.exit("more than billing-sync-reconcile may need")

    def drop_column(self, organizations):
        for number in range(1, organizations + 1):
            self.emulator.query(f"ALTER TABLE `demo_{10000 + number}_test.subscription_plans` DROP COLUMN notes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--delay-ms", type=int, default=20)
    parser.add_argument("--organizations", type=int, default=100)
    parser.add_argument("--large", type=int, default=1000)
    parser.add_argument("--starts", type=int, default=30)
    parser.add_argument("--subscriptions", type=int, default=10_000)
    parser.add_argument("--only-billing", action="store_true")
    arguments = parser.parse_args()
    n, large = arguments.organizations, arguments.large
    if arguments.only_billing:
        bench = Bench(arguments.bin, arguments.delay_ms)
        bench.row("bootstrap, empty project", "BootstrapJob")
        bench.reconcile(arguments.subscriptions)
        return bench.emulator.stop()
    milliseconds = starts(Path(arguments.bin) / "OrgSyncAllJob", arguments.starts)
    print(f"exec to first request: median {statistics.median(milliseconds):.1f} ms, "
          f"from {min(milliseconds):.1f} to {max(milliseconds):.1f} ms, {len(milliseconds)} starts\n")
    print("| run | requests | wall | peak memory | most in flight |\n|---|---|---|---|---|")
    bench = Bench(arguments.bin, arguments.delay_ms)
    bench.row("bootstrap, empty project", "BootstrapJob")
    bench.row("bootstrap again", "BootstrapJob")
    bench.prepare(n)
    bench.row(f"org-sync-all, {n} new organizations", "OrgSyncAllJob")
    bench.row(f"org-sync-all, {n} in sync", "OrgSyncAllJob")
    bench.drop_column(n)
    bench.row(f"org-sync-all, one column missing in each of {n}", "OrgSyncAllJob")
    bench.row(f"org-sync-all, {n} in sync again", "OrgSyncAllJob")
    if large > n:
        bench.prepare(large)
        bench.row(f"org-sync-all, {large - n} new of {large}", "OrgSyncAllJob")
        bench.row(f"org-sync-all, {large} in sync", "OrgSyncAllJob")
    bench.reconcile(arguments.subscriptions)
    bench.emulator.stop()


if __name__ == "__main__":
    main()
