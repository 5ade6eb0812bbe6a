#!/usr/bin/env python3
"""Records what each job sends: runs the built jobs on the emulator and analyzes their statements.

    Tests/Costs/record.py BINARIES [--check]

BINARIES is a folder of built jobs, such as .build/debug. The list goes to scripts/costs/requests.json; with --check the program
compares and ends with 1 if the jobs send something else. Every run is recorded with five and with eight units of work, which gives
a fixed part and a part for each unit. A unit is an organization that needs work (a new one, one whose counters or plan differ).
"""
import argparse
import datetime
import json
import math
import re
import sys
from collections import Counter
from pathlib import Path

from world import FIRST, NIGHT, ROOT, Emulator, Recorder, Stripe, World

sys.path.insert(0, str(ROOT / "Tests/Analyzer"))
from footprint import Footprints      # noqa: E402

FILE = ROOT / "scripts/costs/requests.json"
DEPLOYMENT = ROOT / "deploy/generated/prod/deployment.json"
CATALOG = ROOT / "Sources/SchemaKit/Catalog/Tables"
FEW, MORE = 5, 8
ORGANIZATION_DATASET = re.compile(r"\b(org|new)_\d{3}_test\b")


def runs(world, stripe, units):
    """(job, run, Run) of each job, quiet where it finds nothing to do and busy with that many units of work."""
    night = ("--now", NIGHT)
    some = world.slugs[:units]
    yield "bootstrap", "quiet", world.run("bootstrap")
    yield "bootstrap-sync", "quiet", world.run("bootstrap-sync")
    yield "org-sync-all", "quiet", world.run("org-sync-all")
    world.run("quota-reset-daily", "--now", "2026-01-15T00:00:00Z")     # creates the row of the lease
    yield "quota-reset-daily", "busy", world.run("quota-reset-daily", *night)
    yield "quota-reset-daily", "quiet", world.run("quota-reset-daily", *night)
    world.run("quota-reset-monthly", "--now", "2026-01-01T00:05:00Z")
    yield "quota-reset-monthly", "busy", world.run("quota-reset-monthly", "--now", FIRST)
    yield "quota-reset-monthly", "quiet", world.run("quota-reset-monthly", "--now", FIRST)
    world.run("stale-cleanup", *night)
    yield "stale-cleanup", "quiet", world.run("stale-cleanup", *night)
    world.crash_runs(some)
    yield "stale-cleanup", "busy", world.run("stale-cleanup", *night)
    world.run("quota-cleanup", *night)
    yield "quota-cleanup", "busy", world.run("quota-cleanup", *night)
    world.run("billing-sync-reconcile")
    yield "billing-sync-reconcile", "quiet", world.run("billing-sync-reconcile")
    differing = ", ".join(f"'{slug}'" for slug in some)
    world.sql(f"UPDATE `organizations.org_subscriptions` SET daily_limit = 1 WHERE org_slug IN ({differing})")
    yield "billing-sync-reconcile", "busy", world.run("billing-sync-reconcile")
    world.run("billing-sync-retry")     # the first run compares the whole account
    yield "billing-sync-retry", "quiet", world.run("billing-sync-retry")
    world.sql(f"UPDATE `organizations.org_subscriptions` SET daily_limit = 1 WHERE org_slug IN ({differing})")
    for slug in some:
        world.run("billing-sync-retry", "--enqueue", slug, "--why", "costs")
    yield "billing-sync-retry", "busy", world.run("billing-sync-retry")
    new = [f"new_{n:03}" for n in range(units)]
    world.add(new)
    yield "org-sync-all", "busy", world.run("org-sync-all")


class Analysis:
    def __init__(self, organizations):
        tables = []
        for group in ("organizations", "operations", "organization"):
            for file in sorted((CATALOG / group).glob("*.json")):
                table = json.loads(file.read_text(encoding="utf-8"))
                datasets = {"organizations": ["organizations"], "operations": ["scheduler_jobs"]}.get(group, organizations)
                tables += [{"dataset": dataset, "table": file.stem, "fields": table["schema"]["fields"],
                            "partition": table.get("timePartitioning", {}).get("field")} for dataset in datasets]
        self._footprints, self._known = Footprints(tables), {}

    def statements(self, query, now):
        """The footprints of a request's statements, their bounds in days from the run's day."""
        parameters = {p["name"]: p for p in query.get("queryParameters", [])}
        types = {name: type_text(p["parameterType"]) for name, p in parameters.items()}
        key = query["query"], tuple(sorted(types.items()))
        if key not in self._known:
            self._known[key] = self._footprints.of(query["query"], types)
        return [self._bounded(f, parameters, now) for f in self._known[key]]

    @staticmethod
    def _bounded(footprint, parameters, now):
        scans = []
        for scan in footprint["scans"]:
            scan = {**scan, "table": ORGANIZATION_DATASET.sub("ORGANIZATION", scan["table"])}
            for bound in ("from", "before", "to"):
                if bound in scan:
                    name = next(n for n in parameters if n.lower() == scan[bound].lower())
                    scan[bound] = days(bound, parameters[name]["parameterValue"]["value"], now)
            scans.append(scan)
        result = {**footprint, "scans": sorted(scans, key=lambda s: json.dumps(s, sort_keys=True))}
        if "changes" in result:
            result["changes"] = ORGANIZATION_DATASET.sub("ORGANIZATION", result["changes"])
        return result


def type_text(kind):
    if kind["type"] == "ARRAY":
        return f"ARRAY<{type_text(kind['arrayType'])}>"
    if kind["type"] == "STRUCT":
        return "STRUCT<" + ", ".join(f"`{f['name']}` {type_text(f['type'])}" for f in kind["structTypes"]) + ">"
    return kind["type"]


def days(bound, value, now):
    """Whole days from the midnight before now to a DATE or TIMESTAMP: the first partition, the last one, or the one after it."""
    moment = datetime.datetime.fromisoformat(value.replace("Z", "+00:00").replace(" UTC", "+00:00"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
    midnight = datetime.datetime.fromisoformat(now.replace("Z", "+00:00")).replace(hour=0, minute=0, second=0, microsecond=0)
    number = (moment - midnight).total_seconds() / 86400
    return math.ceil(number) if bound == "before" else math.floor(number)


def counted(run, analysis):
    """How often the run sent each statement and each other request."""
    statements, requests = Counter(), Counter()
    for method, path, body in run.bigquery:
        query = body if path.endswith("/queries") else body.get("configuration", {}).get("query")
        requests[route(method, path)] += 1
        if method == "POST" and query and "query" in query:
            for footprint in analysis.statements(query, run.summary["now"]):
                statements[json.dumps(footprint, sort_keys=True)] += 1
    stripe = Counter("GET " + path for path, _ in run.stripe)
    pages = {query["limit"] for _, query in run.stripe if "limit" in query}
    return {"statements": statements, "bigquery": requests, "stripe": stripe, "page": max(map(int, pages), default=0),
            "log_bytes": run.log_bytes}


def route(method, path):
    return f"{method} " + re.sub(r"(projects|datasets|tables|queries|jobs)/[^/]+", r"\1/*", path)


def per_unit(few, more):
    """{key: [fixed, for each unit]} of two counts."""
    result = {}
    for key in sorted(few.keys() | more.keys()):
        slope = (more[key] - few[key]) / (MORE - FEW)
        result[key] = [round(few[key] - FEW * slope, 2), round(slope, 2)]
    return result


def recorded(binaries):
    emulator = Emulator()
    try:
        found, problems, analysis = {}, [], Analysis([f"{kind}_{n:03}_test" for kind in ("org", "new") for n in range(MORE)])
        recorder, stripe = Recorder(emulator), Stripe()
        for units in (FEW, MORE):
            world = World(binaries, emulator, recorder, stripe, units)
            for job, name, run in runs(world, stripe, units):
                found.setdefault(job, {}).setdefault(name, []).append(counted(run, analysis))
                problems += over_budget(job, name, run)
    finally:
        emulator.stop()
    return {job: {name: entry(*pair) for name, pair in sorted(kinds.items())} for job, kinds in sorted(found.items())}, problems


def over_budget(job, name, run):
    """What is wrong with the number of requests: the summary's, and the one of the budget in jobs.yaml."""
    sent, summed = len(run.bigquery) + len(run.stripe), run.summary["requests"]
    deployed = {j["job"]: j["budget"] for j in json.loads(DEPLOYMENT.read_text(encoding="utf-8"))["jobs"]}
    most = (deployed.get(job) or {}).get("requests")
    if summed != sent:
        yield f"{job}, {name}: it sent {sent} requests, and its summary says {summed}"
    if most is not None and sent > most:
        yield f"{job}, {name}: it sent {sent} requests, and its budget in jobs.yaml is {most}"


def entry(few, more):
    statements = [{**json.loads(text), "times": times} for text, times in per_unit(few["statements"], more["statements"]).items()]
    log = [round(n, -2) for n in per_unit(Counter(n=few["log_bytes"]), Counter(n=more["log_bytes"]))["n"]]
    result = {"bigquery": per_unit(few["bigquery"], more["bigquery"]), "log_bytes": log, "statements": statements}
    if few["stripe"]:
        result |= {"stripe": per_unit(few["stripe"], more["stripe"]), "stripe_page": few["page"]}
    return result


def text(found):
    """JSON with one line for each statement."""
    lines = json.dumps(found, indent=1, sort_keys=True)
    return re.sub(r"\n {4,}\s*|\n {3}(?=[\]}])", " ", lines).replace("[ ", "[").replace(" ]", "]").replace("{ ", "{") + "\n"


def unlogged(found):
    """Without the bytes of logs, which contain times and ids of changing length."""
    return {job: {name: {k: v for k, v in run.items() if k != "log_bytes"} for name, run in kinds.items()} for job, kinds in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found, problems = recorded(options.binaries)
    if problems:
        sys.exit("\n".join(problems))
    if not options.check:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(text(found), encoding="utf-8")
        return
    known = unlogged(json.loads(FILE.read_text(encoding="utf-8")))
    differing = [f"{job}, {name}" for job, kinds in unlogged(found).items() for name, run in kinds.items()
                 if known.get(job, {}).get(name) != run] + [job for job in known if job not in found]
    if differing:
        sys.exit(f"what these runs send is not what {FILE.relative_to(ROOT)} says: {'; '.join(differing)}\n"
                 "If the change is meant, run scripts/record-requests.sh and read the difference.")


if __name__ == "__main__":
    main()
