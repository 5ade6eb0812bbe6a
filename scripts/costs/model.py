"""What the jobs of an environment need in a month, with so many organizations."""
import json
import math
import re
from collections import Counter
from pathlib import Path

from deployment.desired import Desired

from .sizes import Sizes

FOLDER = Path(__file__).resolve().parent
DAYS = 365.25 / 12
TIB, GIB = 2 ** 40, 2 ** 30
# The units of work of a job: how often a day an organization needs it. The resets have work for every organization in every run.
EVENTS = {"org-sync-all": "new_per_organization_and_day", "stale-cleanup": "stale_per_organization_and_day",
          "billing-sync-reconcile": "differing_per_organization_and_day", "billing-sync-retry": "queued_per_organization_and_day"}
# The job that divides its organizations among the tasks of an execution. The work of the others is a few statements for all.
DIVIDED = "org-sync-all"
# Defaults of MAX_BYTES_BILLED; docs/operations.md.
MOST_BYTES = {"org-sync-all": 64 * GIB}
# A run in the first hour of a day that reads more than others. It counts as one without work.
FIRST_HOUR = "first-hour"
QUEUE_LIMIT = 100       # billing-sync-retry --limit


def read(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def times_a_year(cron):
    """How often an expression of five fields fires in a year of 365.25 days."""
    minute, hour, day, month, weekday = (field_values(text, low, high) for text, (low, high) in zip(
        cron.split(), ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))))
    of_day = len(minute) * len(hour)
    dates = [(m, d) for m, length in enumerate((31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1) if m in month
             for d in range(1, math.ceil(length) + 1) if d in day]
    share = len({w % 7 for w in weekday}) / 7
    days = sum(0.25 if date == (2, 29) else 1 for date in dates)
    if cron.split()[2] != "*" and share < 1:     # cron fires on either of them
        days += (sum((31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[m - 1] for m in month) - days) * share
        share = 1
    return of_day * days * share


def field_values(text, low, high):
    values = set()
    for part in text.split(","):
        found = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", part)
        if not found:
            raise ValueError(f"{text} is no field of cron that this program reads")
        first = low if found[1] is None else int(found[1])
        last = int(found[2]) if found[2] else high if found[1] is None or found[3] else first
        values |= set(range(first, last + 1, int(found[3] or 1)))
    return values


class Deployed:
    """A job's schedule and size, from deploy/generated."""

    def __init__(self, index, resource, manual_runs):
        execution = resource["spec"]["template"]["spec"]
        task = execution["template"]["spec"]
        container = task["containers"][0]
        variables = {v["name"]: v.get("value") for v in container["env"]}
        self.name, self.schedule, self.budget = index["job"], index["schedule"], index.get("budget") or {}
        self.runs = times_a_year(self.schedule) / 12 if self.schedule else manual_runs
        self.tasks, self.timeout = int(execution["taskCount"]), int(task["timeoutSeconds"])
        limits = container["resources"]["limits"]
        self.cpu = float(limits["cpu"])
        number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", limits["memory"]).groups()
        self.gib = int(number) / (1024 if unit == "Mi" else 1)
        self.most_bytes = int(variables.get("MAX_BYTES_BILLED") or MOST_BYTES.get(self.name, 10 * GIB))


    def share_of_hour(self, hour):
        """The share of the runs that begin in an hour of the day."""
        minute, hours, *rest = self.schedule.split()
        return times_a_year(" ".join([minute, str(hour), *rest])) / times_a_year(self.schedule) if hour in field_values(hours, 0, 23) else 0


class Model:
    def __init__(self, environment, organizations, parameters=None):
        self.facts, self.requests = read("facts.json"), read("requests.json")
        self.parameters = {name: p["value"] for name, p in read("parameters.json").items()} | (parameters or {})
        desired = Desired(environment)
        self.organizations = organizations
        jobs = [Deployed(job, desired.resources[job["name"]], self.parameters["manual_runs"]) for job in desired.jobs]
        history = sum(job.runs * job.tasks for job in jobs) / DAYS
        sizes = Sizes(organizations, self.parameters, self.facts, history)
        self.jobs = [JobCost(job, self.requests[job.name], sizes, self) for job in jobs]

    def price(self, name):
        return self.facts["prices"][name]["value"]

    def limit(self, name):
        limit = self.facts["limits"][name]
        return limit["value"] / limit["per_seconds"]

    def total(self):
        """Dollars a month: (before free tiers, after those of a billing account that pays for nothing else)."""
        triggers = sum(1 for job in self.jobs if job.deployed.schedule)
        queried = sum(job.bytes for job in self.jobs) / TIB
        cpu, memory = (sum(n) for n in zip(*((job.vcpu_seconds, job.gib_seconds) for job in self.jobs)))
        logs = sum(job.log_bytes for job in self.jobs) / GIB
        used = [("bigquery_dollars_per_tib", queried, "bigquery_free_tib"),
                ("cloud_run_dollars_per_vcpu_second", cpu, "cloud_run_free_vcpu_seconds"),
                ("cloud_run_dollars_per_gib_second", memory, "cloud_run_free_gib_seconds"),
                ("scheduler_dollars_per_job", triggers, "scheduler_free_jobs"), ("logging_dollars_per_gib", logs, "logging_free_gib")]
        return (sum(self.price(price) * amount for price, amount, _ in used),
                sum(self.price(price) * max(0, amount - self.price(free)) for price, amount, free in used))


class JobCost:
    """One job in a month. A run finds work with some probability; `units` is how many organizations it then works on."""

    def __init__(self, deployed, recorded, sizes, model):
        self.deployed, self._recorded, self._sizes, self._model = deployed, recorded, sizes, model
        p, self.name = model.parameters, deployed.name
        per_run = sizes.organizations * p[EVENTS[self.name]] * DAYS / deployed.runs if self.name in EVENTS else math.inf
        self.share, self.units = min(1, per_run), max(1, per_run) if self.name in EVENTS else 0
        self.kinds = {"busy": self.share, "quiet": 1 - self.share} if {"busy", "quiet"} <= recorded.keys() else {next(iter(recorded)): 1}
        if FIRST_HOUR in recorded:
            share = deployed.share_of_hour(0)
            self.kinds = {kind: other * (1 - share) for kind, other in self.kinds.items()} | {FIRST_HOUR: share}
        self.kinds = {kind: share for kind, share in self.kinds.items() if share > 0}
        self.run = {kind: self._run(kind, recorded[kind]) for kind in self.kinds}
        tasks = deployed.runs * deployed.tasks
        self.requests, self.bytes, self.seconds, self.log_bytes = (
            tasks * sum(share * getattr(self.run[kind], part) for kind, share in self.kinds.items())
            for part in ("requests", "bytes", "billed_seconds", "log_bytes"))
        self.vcpu_seconds, self.gib_seconds = self.seconds * deployed.cpu, self.seconds * deployed.gib
        self.dollars = (model.price("bigquery_dollars_per_tib") * self.bytes / TIB
                        + model.price("cloud_run_dollars_per_vcpu_second") * self.vcpu_seconds
                        + model.price("cloud_run_dollars_per_gib_second") * self.gib_seconds
                        + model.price("logging_dollars_per_gib") * self.log_bytes / GIB
                        + (model.price("scheduler_dollars_per_job") if deployed.schedule else 0))

    def _run(self, kind, recorded):
        units = self.units / (self.deployed.tasks if self.name == DIVIDED else 1)
        return RunCost(recorded, units if kind == "busy" else 0, self._sizes, self._model, self.deployed)

    @property
    def largest(self):
        """The run that needs the most."""
        return max(self.run.values(), key=lambda run: (run.seconds, run.bytes))

    def limits(self):
        """(share of it that a run uses, name) of each limit."""
        run, limit, job = self.largest, self._model.limit, self.deployed
        yield run.seconds / job.timeout, f"timeout {duration(job.timeout)}"
        yield max(r.largest_statement for r in self.run.values()) / job.most_bytes, f"MAX_BYTES_BILLED ({job.most_bytes / GIB:g} GiB)"
        yield run.most_dml / max(run.seconds, 10) / limit("dml_per_table"), "25 DML in 10 s and table"
        yield run.bigquery / run.seconds / limit("api_requests_per_method"), "100 requests/s to BigQuery"
        if run.stripe:
            yield min(run.stripe / run.seconds, self._model.parameters["stripe_per_second"]) / limit(
                "stripe_requests_per_endpoint"), "25 requests/s to Stripe"
        if self.name == "billing-sync-retry":
            yield self.units / QUEUE_LIMIT, f"{QUEUE_LIMIT} syncs a run (--limit)"

    def binding(self):
        """(share, name) of the limit that is nearest."""
        return max(self.limits())

    def tasks(self):
        """The tasks with which a run takes at most half of its timeout."""
        if self.name != DIVIDED:
            return 1
        return max(1, math.ceil(self.largest.divided_seconds * self.deployed.tasks / max(1, self.deployed.timeout / 2 - self.largest.shared_seconds)))


class RunCost:
    """One task of a run with so many units of work."""

    def __init__(self, recorded, units, sizes, model, job):
        p = model.parameters

        def amount(pair):
            return pair[0] + pair[1] * units

        self.statements = []
        counts, dml = Counter(), Counter()
        for footprint in recorded["statements"]:
            number = amount(footprint["times"])
            billed, lines = (0, []) if footprint["kind"] == "CREATE_TABLE" else sizes.statement(footprint)
            self.statements.append((number, footprint, billed, lines))
            counts[footprint["kind"]] += number
            if footprint.get("changes"):
                dml[footprint["changes"]] += number
        self.bytes = sum(number * billed for number, _, billed, _ in self.statements)
        self.largest_statement = max((billed for _, _, billed, _ in self.statements), default=0)
        self.most_dml = max(dml.values(), default=0)
        self.log_bytes = amount(recorded["log_bytes"])
        pages = sum(math.ceil(sizes.organizations / p["result_page_rows"]) for _, f, _, _ in self.statements
                    if job.name == "billing-sync-reconcile" and f["kind"] == "QUERY" and len(f["scans"]) > 2)
        queries = amount(recorded["bigquery"]["POST /projects/*/queries"])
        self.bigquery = sum(map(amount, recorded["bigquery"].values())) + pages
        self.stripe = sum(map(amount, recorded.get("stripe", {}).values()))
        if job.name == "billing-sync-reconcile":
            self.stripe += max(0, math.ceil(sizes.organizations / recorded["stripe_page"]) - 1)
        self.requests = self.bigquery + self.stripe
        tables = counts["CREATE_TABLE"]
        # Each new dataset's tables are created by one statement, which is not counted twice.
        others = self.bigquery - queries
        self.divided_seconds = (tables * p["table_seconds"] + others * p["request_seconds"]) / (p["at_once"] if tables else 1)
        fixed = recorded["bigquery"]["POST /projects/*/queries"][0] if tables else queries
        compared = sizes.organizations * p["organization_seconds"] if job.name == "billing-sync-reconcile" else 0
        self.shared_seconds = p["start_seconds"] + fixed * p["query_seconds"] + self.stripe / p["stripe_per_second"] + compared
        self.words = (f"{p['start_seconds']} s to start + {fixed:,.0f} statements x {p['query_seconds']} s"
                      + (f" + {self.stripe:,.0f} requests to Stripe / {p['stripe_per_second']} a second" if self.stripe else "")
                      + (f" + {sizes.organizations:,} organizations x {p['organization_seconds']} s" if compared else "")
                      + (f" + ({tables:,.0f} tables x {p['table_seconds']} s + {others:,.0f} other requests x {p['request_seconds']} s)"
                         f" / {p['at_once']} at once" if tables else
                         f" + {others:,.0f} other requests x {p['request_seconds']} s" if others else ""))
        self.seconds = self.shared_seconds + self.divided_seconds
        self.billed_seconds = max(self.seconds, model.price("cloud_run_minimum_seconds"))


def duration(seconds):
    return f"{seconds / 3600:g}h" if seconds % 3600 == 0 else f"{seconds / 60:g}m"


def reaches(environment, name, parameters, most=10_000_000):
    """The number of organizations with which a job reaches its first limit, and the limit; (None, nearest) if that are more than `most`."""
    def at(organizations):
        job = next(j for j in Model(environment, organizations, parameters).jobs if j.name == name)
        return job.binding()

    if at(most)[0] < 1:
        return None, at(most)[1]
    low, high = 1, most
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle)[0] >= 1 else (middle, high)
    return high, at(high)[1]
