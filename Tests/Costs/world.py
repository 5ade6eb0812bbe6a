"""A project on the emulator in which every job has something to do, and a Stripe to go with it."""
import gzip
import json
import os
import re
import subprocess
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

ROOT = Path(__file__).resolve().parents[2]
NIGHT, FIRST = "2026-01-16T02:00:00Z", "2026-02-01T00:05:00Z"


class Server:
    """A loopback server that passes each request to `answer(method, path, headers, body)`, which returns (status, bytes)."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, content = answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = serve

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Emulator:
    def __init__(self):
        command = [ROOT / ".venv/bin/python", ROOT / "Tests/Emulator/emulator.py", "--exit-with", os.getpid()]
        self._process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
        self.url = next("http://127.0.0.1:" + line.split()[1] for line in self._process.stdout if line.startswith("ready "))

    def stop(self):
        self._process.kill()
        self._process.wait()


class Recorder:
    """Passes requests on to the emulator and keeps (method, path, body) of those of a run."""

    def __init__(self, emulator):
        self._emulator, self.kept, self._lock = emulator, [], threading.Lock()
        self.server = Server(self._pass_on)

    def _pass_on(self, method, path, headers, body):
        request = urllib.request.Request(
            self._emulator.url + path, body or None, {"Content-Type": "application/json"}, method=method)
        for name in ("If-Match", "If-None-Match"):
            if name in headers:
                request.add_header(name, headers[name])
        try:
            with urllib.request.urlopen(request) as reply:
                status, content = reply.status, reply.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        with self._lock:
            self.kept.append((method, urlparse(path).path.removeprefix("/bigquery/v2"), json.loads(body) if body else {}))
        return status, content


class Stripe:
    """One product, and a subscription for each organization; `seats` changes what the product grants."""

    def __init__(self):
        self.slugs, self.pipelines, self.requests = [], 6, []
        self.server = Server(self._answer)

    def _answer(self, method, path, _headers, _body):
        url = urlparse(path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        self.requests.append((re.sub(r"/(sub|cus|prod|price)_[^/]+", "/*", url.path), query))
        single = re.match(r"/v1/subscriptions/sub_(.+)$", url.path)
        if single:
            return 200, json.dumps(self._subscription(single[1])).encode()
        objects = {"/v1/subscriptions": [self._subscription(s) for s in self.slugs], "/v1/products": [self._product()],
                   "/v1/prices": [{"id": "price_1", "product": "prod_1"}]}.get(url.path, [])
        return 200, json.dumps({"object": "list", "has_more": False, "data": objects}).encode()

    def _product(self):
        return {"id": "prod_1", "metadata": {"plan_id": "starter", "teamMembers": "2", "providers": "3",
                                             "pipelinesPerDay": str(self.pipelines), "concurrentPipelines": "1"}}

    @staticmethod
    def _subscription(slug):
        return {"id": f"sub_{slug}", "object": "subscription", "status": "active", "created": 1700000000,
                "customer": f"cus_{slug}", "metadata": {"org_slug": slug}, "cancel_at_period_end": False, "trial_end": None,
                "ended_at": None, "cancel_at": None,
                "items": {"object": "list", "has_more": False, "data": [
                    {"id": f"si_{slug}", "current_period_end": 1900000000, "price": {"id": "price_1", "product": "prod_1"}}]}}


class Run:
    """What a job sent and wrote: requests to BigQuery in their order, requests to Stripe, bytes of log."""

    def __init__(self, bigquery, stripe, output):
        self.bigquery, self.stripe, self.log_bytes = bigquery, stripe, len(output.encode())
        self.summary = json.loads(output.splitlines()[-1])


class World:
    """A project with a number of organizations. `binaries` is a folder of built jobs."""

    def __init__(self, binaries, emulator, recorder, stripe, organizations):
        self._binaries, self._emulator, self._recorder, self._stripe = Path(binaries), emulator, recorder, stripe
        self.project, self.slugs = f"costs-{organizations}-{os.getpid()}", [f"org_{n:03}" for n in range(organizations)]
        stripe.slugs, stripe.pipelines = list(self.slugs), 6
        self.run("bootstrap")
        self.add(self.slugs)
        self.run("org-sync-all")

    def run(self, job, *arguments, code=0):
        name = "".join(word.capitalize() for word in job.split("-")) + "Job"
        environment = {"GCP_PROJECT_ID": self.project, "ENVIRONMENT": "test", "LOG_FORMAT": "json", "NO_PROXY": "127.0.0.1",
                       "BIGQUERY_EMULATOR_HOST": self._recorder.server.url}
        if job.startswith("billing"):
            environment |= {"STRIPE_SECRET_KEY": "rk_test_costs", "STRIPE_API_BASE": self._stripe.server.url}
        self._recorder.kept, self._stripe.requests = [], []
        done = subprocess.run([self._binaries / name, *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != code:
            raise SystemExit(f"{job} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return Run(self._recorder.kept, self._stripe.requests, done.stdout)

    def sql(self, text):
        body = json.dumps({"query": text, "useLegacySql": False}).encode()
        request = urllib.request.Request(
            f"{self._emulator.url}/bigquery/v2/projects/{self.project}/queries", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            answer = json.load(reply)
        if answer.get("errors"):
            raise SystemExit(f"{answer['errors']}: {text}")

    def add(self, slugs):
        rows = ", ".join(f"'{slug}'" for slug in slugs)
        self.sql(f"""INSERT INTO `organizations.org_profiles` (
            org_slug, company_name, admin_email, org_dataset_id, status, subscription_plan, created_at)
            SELECT slug, 'Company', 'admin@acme.example', '', 'ACTIVE', 'STARTER', TIMESTAMP '2025-01-01 00:00:00+00'
            FROM UNNEST([{rows}]) AS slug""")
        self.sql(f"""INSERT INTO `organizations.org_subscriptions` (
            subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, seat_limit, providers_limit,
            created_at)
            SELECT CONCAT('row_', slug), slug, 'STARTER', 'ACTIVE', 6, 180, 1, 2, 3, TIMESTAMP '2025-01-01 00:00:00+00'
            FROM UNNEST([{rows}]) AS slug""")

    def crash_runs(self, slugs):
        rows = ", ".join(f"'{slug}'" for slug in slugs)
        self.sql(f"""INSERT INTO `organizations.org_meta_pipeline_runs` (
            pipeline_logging_id, org_slug, pipeline_id, status, start_time, created_at)
            SELECT CONCAT('crashed_', slug), slug, 'costs', 'RUNNING', TIMESTAMP '2026-01-15 20:00:00+00',
              TIMESTAMP '2026-01-15 20:00:00+00' FROM UNNEST([{rows}]) AS slug""")
