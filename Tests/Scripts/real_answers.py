"""Answers as the real Google is expected to give them, for the checks that no stand-in can answer. A test changes one of them and sees
whether the check notices. Time is the test's own."""
import datetime as dt
import json
import re
import urllib.parse

from assumptions.exchange import Answer

PROJECT, REGION = "cloudact-testing-1", "us-central1"


class Clock:
    """In the place of the module `time`."""

    def __init__(self):
        self.now = 1_000_000.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class RealGoogle:
    """In the place of services.Google. `changed` has the behavior that a test changes."""

    def __init__(self, clock, **changed):
        self.clock, self.changed = clock, changed
        self.account, self.google = "someone@example.com", self
        self.requests, self.granted_at, self.role_at, self.patches = [], {}, None, 0
        self.executions, self.resources = {}, {}

    def behavior(self, name, default):
        return self.changed.get(name, default)

    def url(self, service, path, region, query):
        text = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
        return f"https://{f'{region}-' if region else ''}{service}.googleapis.com/{path}" + (f"?{text}" if text else "")

    def call(self, method, service, path, body=None, region=None, query=None, token=None):
        return self.send(method, self.url(service, path, region, query or {}), body, token=token)

    def send(self, method, url, body=None, headers=None, token=None):
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.requests.append({"method": method, "url": url, "body": data.decode(), "headers": headers or {"Content-Type": "application/json"}})
        parts = urllib.parse.urlsplit(url)
        status, found = self.answer(method, parts.hostname, parts.path, json.loads(data) if data else None, token)
        return Answer(status, {}, json.dumps(found).encode())

    def refused(self, status, reason, message):
        return status, {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}

    def answer(self, method, host, path, body, token):
        if host.startswith("bigquery"):
            return self.bigquery(method, path, body, token)
        if method == "DELETE":
            return (200, {}) if self.resources.pop(path.split("/")[-1].partition("@")[0], None) else (404, {})
        if path.endswith(":generateAccessToken"):
            return 200, {"accessToken": "another", "expireTime": self.behavior("expireTime", "2026-12-01T05:00:00Z")}
        if "monitoring" in host:
            return self.monitoring(path)
        if path.endswith("entries:list"):
            return 200, {"entries": self.entries(body["filter"])}
        if path.endswith(":run"):
            return self.run(host, path)
        if "/executions" in path:
            return self.execution(path)
        if path.endswith(":setIamPolicy"):
            if "/jobs/" in path:
                self.role_at = self.clock.now
            return 200, {}
        if method == "POST":
            return self.create(path, body)
        name = path.split("/")[-1].partition("@")[0]
        if name in ("jobs", "serviceAccounts"):
            return 200, {}
        return (200, self.resources[name]) if name in self.resources else (404, {})

    def create(self, path, body):
        if path.endswith("/serviceAccounts"):
            self.resources[body["accountId"]] = {"description": body["serviceAccount"]["description"]}
        elif "namespaces" in path:
            variables = body["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["env"]
            if variables and not self.behavior("takes reserved", False):
                return 400, {"error": {"code": 400, "message": "reserved"}}
            self.resources[body["metadata"]["name"]] = {**body, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        else:
            self.resources[body["name"].split("/")[-1]] = body
        return 200, body

    # ---------------------------------------------------------------- Cloud Run
    def run(self, host, path):
        if "cloudscheduler" in host:
            if self.role_at is None or self.clock.now - self.role_at < self.behavior("role takes", 40):
                return 200, {}
            creator = [a for a in self.resources if a.startswith("assumptions-") and "description" in self.resources[a]][0]
            self.executions["by-trigger"] = {"created": self.clock.now, "creator": f"{creator}@{PROJECT}.iam.gserviceaccount.com"}
            return 200, {}
        job = path.split("/")[-1].removesuffix(":run")
        name = job + self.behavior("suffix", "-abcd") + str(len(self.executions))
        self.executions[name] = {"created": self.clock.now, "creator": self.account}
        self.clock.sleep(self.behavior("start takes", 1))
        return 200, {"metadata": {"name": f"projects/{PROJECT}/locations/{REGION}/jobs/{job}/executions/{name}"}}

    def execution(self, path):
        name = path.split("/")[-1]
        if name == "executions":
            return 200, {"items": [self.resource(n) for n in self.executions]}
        return 200, self.resource(name)

    def resource(self, name):
        found = self.executions[name]
        is_done = self.clock.now - found["created"] > (60 if "failing" in name else 30)
        condition = {"type": "Completed", "status": ("False" if "failing" in name else "True") if is_done else "Unknown"}
        counts = {"failedCount": 1, "retriedCount": self.behavior("retried", 1)} if is_done and "failing" in name else {}
        return {"metadata": {"name": name, "creationTimestamp": self.stamp(found["created"]), "annotations": {"run.googleapis.com/creator": found["creator"]}},
                "spec": {"taskCount": 1}, "status": {"conditions": [condition], **counts}}

    def stamp(self, moment):
        return f"{dt.datetime.fromtimestamp(moment, dt.timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"

    def entries(self, text):
        if "cloud_scheduler_job" in text:
            return [{"insertId": "x", "timestamp": self.stamp(self.clock.now)}] if self.behavior("logs refusals", True) else []
        name = re.search(r'execution_name"="([^"]+)"', text)[1]
        first, gap, again = int(self.executions[name]["created"]) + 5, self.behavior("grace", 10), self.behavior("second attempt after", 12)
        lines = []
        for attempt, begin in (("0", first), ("1", first + 15 + again)):
            lines += [(attempt, begin, "start", ""), (attempt, begin, "token", "3599")]
            lines += [(attempt, begin + second, "alive", "") for second in range(1, 16)] + [(attempt, begin + 15, "term", "")]
            lines += [(attempt, begin + 15 + second, "alive", "1") for second in range(1, gap)] + [(attempt, begin + 15 + gap, "alive", "1")]
        variables = {"execution": name, "index": self.behavior("index", "0"), "count": "1"}
        return [{"insertId": str(i), "timestamp": self.instant(at), "severity": "NOTICE", "labels": {"run.googleapis.com/execution_name": name},
                 "jsonPayload": {"probe": kind, "value": value, "at": at, "attempt": attempt, **variables}}
                for i, (attempt, at, kind, value) in enumerate(lines)]

    def instant(self, at):
        # The program compares an entry's time with the wall clock: these entries are readable at once, or late.
        return f"{dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=self.behavior('log takes', 2)):%Y-%m-%dT%H:%M:%S.%fZ}"

    def monitoring(self, path):
        if path.endswith("/query"):
            return 200, {"status": "success", "data": {"result": [{}] if self.behavior("promql", True) else []}}
        point = {"points": [{"value": {"int64Value": self.behavior("failures", "1")}}]}
        return 200, {"timeSeries": [point]}

    # ---------------------------------------------------------------- BigQuery
    def bigquery(self, method, path, body, token):
        place = path.split("/datasets/")[-1]
        dataset = place.split("/")[0]
        if token:
            return self.as_reader(method, path, dataset)
        if method == "POST" and path.endswith("/datasets"):
            self.resources[body["datasetReference"]["datasetId"]] = body
        elif method == "PATCH" and "access" in body:
            self.granted_at[dataset] = self.clock.now
        elif method == "PATCH":
            self.patches += 1
            if self.patches > 5:
                return self.refused(403, self.behavior("quota reason", "rateLimitExceeded"), "Exceeded rate limits")
        elif method == "DELETE":
            self.resources.pop(dataset, None)
        elif method == "GET" and path.endswith("/datasets"):
            return 200, {}
        elif method == "GET" and "/datasets/" in path:
            return (200, self.resources[dataset]) if dataset in self.resources else (404, {})
        elif path.endswith("/queries"):
            return self.query(body)
        return 200, {}

    def query(self, body):
        if "jobTimeoutMs" in body:
            self.clock.sleep(self.behavior("timeout takes", 8))
            return self.refused(400, self.behavior("timeout reason", "stopped"), "Job timed out")
        if "holder IS NULL" in body["query"]:
            if "holder = 'h0'" in body["query"]:
                return 200, {"jobComplete": True, "numDmlAffectedRows": "1", "totalBytesBilled": "10485760"}
            return self.refused(400, "invalidQuery", self.behavior("lost", "Could not serialize access to table p:d.t due to concurrent update"))
        return 200, {"jobComplete": True, "totalBytesBilled": "0"}

    def as_reader(self, method, path, dataset):
        table = path.split("/datasets/")[-1].replace("/tables/", ".")
        effective = dataset in self.granted_at and self.clock.now - self.granted_at[dataset] >= self.behavior("grant takes", 30)
        if effective and (method == "GET" or self.behavior("reader may write", False)):
            return 200, {}
        return self.refused(403, self.behavior("denied", "accessDenied"), self.behavior(
            "denied words", f"Access Denied: Table {PROJECT}:{table}: Permission bigquery.tables.get denied"))
