"""A project with a job in every state, for the tests of the page and for looking at it:

    python3 Tests/Scripts/page_example.py jobs.html
"""
import datetime as dt
import hashlib
import pathlib
import random
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from deployment import grants, page, summaries  # noqa: E402
from deployment.change import Change  # noqa: E402
from deployment.desired import Desired  # noqa: E402
from deployment.executions import Execution  # noqa: E402
from deployment.list_jobs import JobState, Overview  # noqa: E402

NOW = dt.datetime(2026, 11, 30, 3, 7, tzinfo=dt.timezone.utc)
EVERY = {"bootstrap": 200, "bootstrap-sync": 190, "org-sync-all": 30, "quota-reset-daily": 24, "quota-reset-monthly": 720, "stale-cleanup": .25,
         "quota-cleanup": 24, "billing-sync-retry": 1 / 12, "billing-sync-reconcile": 24, "verify": 24}
TOOK = {"org-sync-all": 400, "billing-sync-reconcile": 95, "billing-sync-retry": 2, "quota-cleanup": 12}
FAILURE = [{"subject": "acme_10001", "reason": "the dataset is in EU, not in US"},
           {"subject": "list the active organizations", "reason": "Access Denied: Table organizations.org_profiles"}]


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def execution(job, number, begin, seconds, outcome, message=""):
    """An execution as Cloud Run lists it."""
    done = {"succeeded": ("True", ""), "failed": ("False", "NonZeroExitCode"), "cancelled": ("False", "Cancelled"), "running": ("Unknown", "")}[outcome]
    status = {"startTime": stamp(begin), "conditions": [{"type": "Completed", "status": done[0], "reason": done[1], "message": message}]}
    if outcome != "running":
        status["completionTime"] = stamp(begin + dt.timedelta(seconds=seconds))
    return Execution({"metadata": {"name": f"{job}-{number:05}", "creationTimestamp": stamp(begin)}, "spec": {"taskCount": 1}, "status": status})


def history(job, count, last="succeeded", ago=None, rng=None):
    """Runs at the pace of the job, the newest first."""
    rng = rng or random.Random(job["job"])
    every, took = EVERY[job["job"]] * 3600, TOOK.get(job["job"], 8)
    newest = NOW - dt.timedelta(seconds=every * .4 if ago is None else ago)
    found = []
    for index in range(count):
        outcome = last if index == 0 else "failed" if index in (9, 21) and job["job"] == "billing-sync-reconcile" else "succeeded"
        found.append(execution(job["name"], index, newest - dt.timedelta(seconds=every * index), took * rng.lognormvariate(0, .4), outcome,
                               "Task cloudact-x failed with message: The container exited with an error." if outcome == "failed" else ""))
    return found


def summary(status="succeeded", reason=None, failures=(), **counts):
    return summaries.Summary([{"status": status, "reason": reason, "failures": list(failures), "failures_omitted": 0, "counts": counts}])


def digest(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def verification(row, time, verdict="holds", previous=None):
    """The summary of a run of verify that appended this row to its chain."""
    chain = {"number": row, "instant": stamp(time), "verdict": verdict, "digest": digest(row),
             "previous": previous or (digest(row - 1) if row > 1 else None)}
    return summaries.Summary([{"status": "succeeded", "failures": [], "failures_omitted": 0, "counts": {"invariants_held": 22},
                               "details": {"chain": chain}}])


def overview(failures=FAILURE):
    desired = Desired("test")
    jobs = {job["job"]: job for job in desired.jobs}
    live = types.SimpleNamespace(jobs={}, triggers={})
    for job in desired.jobs:
        live.jobs[job["name"]] = {"metadata": {"creationTimestamp": "2026-08-01T00:00:00Z"}}
        if job["trigger"]:
            live.triggers[job["trigger"]] = {"state": "ENABLED", "scheduleTime": stamp(NOW + dt.timedelta(hours=EVERY[job["job"]] * .6))}
    del live.jobs["cloudact-bootstrap-sync"]
    live.triggers["cloudact-quota-reset-monthly-trigger"]["state"] = "PAUSED"
    changes = {
        "cloudact-bootstrap-sync": [Change(0, "create", "job", "cloudact-bootstrap-sync", str, ["image: x"])],
        "cloudact-stale-cleanup": [Change(0, "update", "job", "cloudact-stale-cleanup", str, ["memory: 2Gi -> 512Mi", "env DAYS: none -> 3"])]}
    plan = types.SimpleNamespace(of_job=lambda name: changes.get(name, []))
    runs = {"bootstrap": [], "bootstrap-sync": [], "org-sync-all": history(jobs["org-sync-all"], 14, "failed", 1900),
            "quota-reset-daily": history(jobs["quota-reset-daily"], 30, ago=40 * 3600),
            "quota-reset-monthly": history(jobs["quota-reset-monthly"], 4), "stale-cleanup": history(jobs["stale-cleanup"], 40),
            "quota-cleanup": history(jobs["quota-cleanup"], 30, "cancelled"), "billing-sync-retry": history(jobs["billing-sync-retry"], 40),
            "billing-sync-reconcile": history(jobs["billing-sync-reconcile"], 30, "running", 4000),
            "verify": history(jobs["verify"], 6)}
    found = {}
    for name, listed in runs.items():
        for run in listed:
            found[run.name] = summary(organizations=120, bytes_billed=20971520, tables_created=3) if name == "org-sync-all" else summary(
                bytes_billed=10485760, rows_changed=4)
    found[runs["org-sync-all"][0].name] = summary("failed", failures=failures, organizations=118, bytes_billed=20971520)
    for index, run in enumerate(runs["verify"]):
        found[run.name] = verification(6 - index, run.created)
    for run in runs["billing-sync-retry"][:3]:
        found[run.name] = summary("skipped", "the lease of billing-sync-retry is held by cloudact-billing-sync-retry-x7 until 03:12:00Z")
    states = []
    for name, job in jobs.items():
        state = JobState(job, live, plan, runs[name], NOW)
        state.summaries, state.grants = found, grants.of_account(desired.iam, job["account"])
        state.uses = desired.uses(name)
        states.append(state)
    view = Overview.__new__(Overview)
    view.desired, view.now, view.jobs = desired, NOW, states
    view.differences = ["update alert job-failed: enabled: no -> yes"]
    view.orphans, view.takeovers, view.foreign, view.leftovers = ["trigger cloudact-gone-trigger"], [], ["job cloudact-other"], []
    view.access_refusal = view.log_refusal = ""
    view.not_searched, view.dashboard = [], "1f2e3d4c"
    return view


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(page.html(overview()))
