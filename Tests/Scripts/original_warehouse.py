"""A warehouse on the emulator as the Python jobs left it.

Three organizations whose 19 tables have neither partitioning nor clustering; counters in the columns pipelines_run_today and
pipelines_run_month; org_subscriptions without the columns that mirror Stripe; no dataset scheduler_jobs.
"""
import atexit
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

from fake_project import ROOT

SLUGS = ("acme_inc", "globex_corp", "initech_llc")
TABLES = ROOT / "Sources/SchemaKit/Catalog/Tables"
COUNTERS = {"current_daily_pipelines": "pipelines_run_today", "current_monthly_pipelines": "pipelines_run_month"}
ADDED_LATER = {"stripe_customer_id", "stripe_subscription_id", "stripe_read_at", "current_period_end", "cancel_at_period_end"}
# 12:00 on the day of every test.
NOW = "2026-03-10T12:00:00Z"


class OriginalWarehouse:
    def __init__(self, project):
        self.project, self.base = project, emulator()
        self.call("POST", f"/projects/{project}/datasets", {"datasetReference": {"datasetId": "organizations"}, "location": "US"})
        for file in sorted(TABLES.glob("organizations/*.json")):
            self.create("organizations", file)
        for slug in SLUGS:
            self.call("POST", f"/projects/{project}/datasets", {"datasetReference": {"datasetId": f"{slug}_test"}, "location": "US"})
            for file in sorted(TABLES.glob("organization/*.json")):
                self.create(f"{slug}_test", file, has_layout=False)
        self.fill()

    def create(self, dataset, file, has_layout=True):
        table = json.loads(file.read_text())
        if not has_layout:
            table.pop("timePartitioning", None)
            table.pop("clustering", None)
        for field in table["schema"]["fields"]:
            field["name"] = COUNTERS.get(field["name"], field["name"]) if file.stem == "org_usage_quotas" else field["name"]
        if file.stem == "org_subscriptions":
            table["schema"]["fields"] = [f for f in table["schema"]["fields"] if f["name"] not in ADDED_LATER]
        table["tableReference"] = {"projectId": self.project, "datasetId": dataset, "tableId": file.stem}
        self.call("POST", f"/projects/{self.project}/datasets/{dataset}/tables", table)

    def fill(self):
        """Organizations with subscriptions, today's rows, and two runs of today: one succeeded, one failed.

        The counters are those of a service that counts every started run: 2 where 1 succeeded.
        """
        for slug in SLUGS:
            self.insert("org_profiles", org_slug=slug, status="ACTIVE", org_dataset_id=f"{slug}_test")
            self.insert("org_subscriptions", org_slug=slug, status="ACTIVE", subscription_id=f"sub_{slug}", plan_name="STARTER",
                        daily_limit=10, monthly_limit=300, concurrent_limit=2)
            self.insert("org_usage_quotas", org_slug=slug, usage_id=f"{slug}_20260310", usage_date="2026-03-10", pipelines_run_today=2,
                        pipelines_run_month=2, pipelines_succeeded_today=1, pipelines_failed_today=1, concurrent_pipelines_running=0,
                        daily_limit=10, monthly_limit=300, concurrent_limit=2, max_concurrent_reached=1, last_updated="2026-03-10T00:00:00Z")
            for number, status in enumerate(("COMPLETED", "FAILED")):
                self.insert("org_meta_pipeline_runs", org_slug=slug, pipeline_logging_id=f"{slug}-{number}", status=status,
                            start_time=f"2026-03-10T0{number + 1}:00:00Z", end_time=f"2026-03-10T0{number + 1}:05:00Z")

    def insert(self, table, **row):
        """Inserts a row; a required column that is not named gets its own name, 0, false, or a time long ago."""
        fields = json.loads((TABLES / f"organizations/{table}.json").read_text())["schema"]["fields"]
        names = {f["name"]: f for f in fields if table != "org_subscriptions" or f["name"] not in ADDED_LATER}
        values = {}
        for name, field in names.items():
            here = COUNTERS.get(name, name) if table == "org_usage_quotas" else name
            if here in row or field.get("mode") == "REQUIRED":
                values[here] = literal(field["type"], row.get(here, default(field)))
        self.query(f"INSERT INTO `organizations.{table}` ({', '.join(values)}) VALUES ({', '.join(values.values())})")

    def query(self, sql):
        reply = self.call("POST", f"/projects/{self.project}/queries", {"query": sql, "useLegacySql": False})
        return [[cell["v"] for cell in row["f"]] for row in reply.get("rows", [])]

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + "/bigquery/v2" + path, None if body is None else json.dumps(body).encode(), method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()}") from None

    def environment(self):
        return {"BIGQUERY_EMULATOR_HOST": self.base, "GCP_PROJECT_ID": self.project}


def default(field):
    return {"STRING": field["name"], "INTEGER": 0, "FLOAT": 0, "NUMERIC": 0, "BOOLEAN": False, "DATE": "2023-05-01",
            "TIMESTAMP": "2023-05-01T10:00:00Z", "JSON": "{}"}[field["type"]]


def literal(type_name, value):
    if type_name in ("DATE", "TIMESTAMP", "JSON"):
        return f"{type_name} '{value}'"
    return json.dumps(value)


_emulator = []


def emulator():
    """One emulator for all tests; every test has a project of its own."""
    if not _emulator:
        process = subprocess.Popen([sys.executable, ROOT / "Tests/Emulator/emulator.py", "--exit-with", str(os.getpid())],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise AssertionError(f"the emulator did not start: {line!r}")
        atexit.register(stop, process)
        _emulator.append(f"http://127.0.0.1:{line.split()[1]}")
    return _emulator[0]


def stop(process):
    process.terminate()
    process.wait(20)
    process.stdout.close()
