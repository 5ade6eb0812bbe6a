#!/usr/bin/env python3
"""Measures org-sync-all in sync with very many organizations: requests, bytes on the wire, memory, seconds.

    Benchmarks/scale.py BIN [--organizations 100000] [--lacking 0]

BIN is a folder of release binaries. A scripted BigQuery answers as the real one would if all datasets agreed with the catalog;
--lacking N makes N datasets lack one column. Bytes are counted by the server, as they are sent: compressed where the job
compresses them. The job fails above 3 requests, 100 KB each way or 40 MB of memory if nothing is lacking.
"""
import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests/BigQueryAnswers"))
from scripted_bigquery import CENSUS_COLUMNS, GROUPS, NO_EXTRAS, ROLLOUT_COLUMNS, SURVEY_COLUMNS, column, dml, rows, shape, table_resource  # noqa: E402

SHORT = "subscription_plans"


class BigQuery:
    """Counts what it is asked. The first `lacking` datasets lack the last column of one table."""

    def __init__(self, organizations, lacking):
        self.organizations, self.lacking = organizations, lacking
        self.requests, self.received, self.sent, self.patched = 0, 0, 0, set()
        self.lock = threading.Lock()
        bigquery = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                size = len(body)
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                with bigquery.lock:
                    status, answer = bigquery.answer(self.command, self.path.partition("?")[0], body)
                data = json.dumps(answer).encode()
                if "gzip" in self.headers.get("Accept-Encoding", ""):
                    data = gzip.compress(data)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                with bigquery.lock:
                    bigquery.requests += 1
                    bigquery.received += size
                    bigquery.sent += len(data)

            do_GET = do_POST = do_PATCH = answer

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def names(self, first, count):
        return ",".join(f"org_{n:06}=org_{n:06}_prod" for n in range(first, first + count))

    def survey(self, job):
        values, total, lacking = [["", "", "0", str(self.organizations), self.names(0, 3)]], self.organizations, self.lacking
        for name, table in GROUPS["organization"].items():
            if name == SHORT and lacking:
                short = {**table, "schema": {"fields": table["schema"]["fields"][:-1]}}
                few = 3 if lacking * 2 >= total else 1000
                values.append([name, shape(short), "1", str(lacking), self.names(0, min(few, lacking))])
            if name != SHORT or lacking < total:
                count = total - lacking if name == SHORT else total
                values.append([name, shape(table), "2", str(count), self.names(lacking if name == SHORT else 0, 3)])
        values.append(["org_profiles", "", "", "1", "=organizations"])
        return rows(job, SURVEY_COLUMNS, [value + NO_EXTRAS for value in values])

    def answer(self, verb, path, body):
        if path.endswith("/queries"):
            sql = json.loads(body)["query"]
            if "shape_key, subject, dataset" in sql:
                columns = [column(name) for name in ("table_name", "shape_key", "subject", "dataset")]
                return rows("j", columns, [[SHORT, "1", *member.split("=")] for member in self.names(0, self.lacking).split(",")])
            if "INFORMATION_SCHEMA" in sql:
                return self.survey("j")
            if "is_ambiguous, COUNT(*)" in sql:
                return rows("j", CENSUS_COLUMNS, [[None] * 4 + ["true"] + ["false"] * 3 + [str(self.organizations)]])
            if "FROM `scheduler_jobs.rollouts`" in sql:
                return rows("j", ROLLOUT_COLUMNS, [])
            return dml("j", inserted=1)
        _, dataset, _, name = re.search(r"/(datasets)/([^/]+)/(tables)/([^/]+)$", path).groups()
        table = table_resource(dataset, name, GROUPS["organization"][name])
        if verb == "PATCH":
            self.patched.add(dataset)
        elif dataset not in self.patched:
            table["schema"] = {"fields": table["schema"]["fields"][:-1]}
        return 200, table


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries", type=Path)
    parser.add_argument("--organizations", type=int, default=100_000)
    parser.add_argument("--lacking", type=int, default=0)
    options = parser.parse_args()
    bigquery = BigQuery(options.organizations, options.lacking)
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GCP_PROJECT_ID": "benchmark-project", "ENVIRONMENT": "prod",
                   "BIGQUERY_EMULATOR_HOST": bigquery.url, "LOG_FORMAT": "json", "NO_PROXY": "127.0.0.1"}
    start = time.monotonic()
    process = subprocess.Popen([options.binaries / "OrgSyncAllJob"], env=environment, stdout=subprocess.PIPE, text=True)
    lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    seconds, memory = time.monotonic() - start, usage.ru_maxrss / 1024
    summary = json.loads(lines[-1])
    print(f"| {options.organizations:,} organizations, {options.lacking:,} lack a column | {bigquery.requests} | "
          f"{bigquery.received / 1000:.1f} KB sent, {bigquery.sent / 1000:.1f} KB received | {memory:.0f} MiB | {seconds:.2f} s | "
          f"{len(lines)} lines |")
    print(summary["message"], file=sys.stderr)
    if status or (not options.lacking and (
            bigquery.requests > 3 or bigquery.received > 100_000 or bigquery.sent > 100_000 or memory * 1.048576 > 40)):
        sys.exit("above the limits")


if __name__ == "__main__":
    main()
