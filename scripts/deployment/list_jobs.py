"""scripts/list-jobs.sh: what is deployed, when it runs and how it went."""
import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor

from . import executions, grants, page, preflight, summaries
from .command import Parser, color, run, spoken, table
from .desired import Desired
from .executions import instant, stamp
from .google import Google
from .live import Live
from .plan import Plan
from .state import of_job

HISTORY = 40


def arguments():
    parser = Parser("list-jobs.sh")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true")
    how.add_argument("--html", metavar="FILE")
    return parser.parse_args()


def main():
    options = arguments()
    desired = Desired(options.environment)
    overview = Overview(Google(desired.project), desired, with_summaries=bool(options.html))
    if options.json:
        print(json.dumps(overview.json(), indent=2))
    elif options.html:
        with open(options.html, "w", encoding="utf-8") as file:
            file.write(page.html(overview))
        print(f"wrote {options.html}")
    else:
        show(overview)
    return 0


def show(overview):
    print(f"{overview.desired.environment}: project {overview.desired.project}, {overview.desired.region}")
    rows = []
    for state in overview.jobs:
        last, now = state.last, overview.now
        rows.append([
            state.job["name"], state.job["schedule"] or "manual", upcoming(state),
            state.status + (", overdue" if state.is_overdue else ""),
            spoken(last.seconds(now)) if last else "", f"{spoken((now - last.created).total_seconds())} ago" if last else "",
            f"{len(state.drift)}" if state.drift else "none"])
    table(["JOB", "SCHEDULE", "NEXT RUN", "LAST STATUS", "DURATION", "AGE", "DRIFT"], rows)
    lines = [f"{s.job['name']}: {d}" for s in overview.jobs for d in s.drift if not d.endswith(": not ours yet")] + overview.differences
    if lines:
        print(color("\nDifferent from jobs.yaml:", "33") + f" (live -> jobs.yaml; scripts/create-all-jobs.sh {overview.desired.environment} fixes it)")
        print("\n".join(f"  {line}" for line in lines))
    if overview.orphans:
        print(color("\nNot in jobs.yaml:", "33") + " (--prune removes it)")
        print("\n".join(f"  {line}" for line in overview.orphans))
    if overview.takeovers:
        print(color("\nNot ours yet:", "33") + f" (scripts/create-all-jobs.sh {overview.desired.environment} asks before it takes them over)")
        print("\n".join(f"  {line}" for line in overview.takeovers))
    if overview.leftovers:
        print(color("\nLeft by a former deployment:", "33") + " (nothing removes it; the commands, once nothing else needs it)")
        for item in overview.leftovers:
            print("\n".join([f"  {item.text}", *(f"      {line}" for line in item.commands)]))
    if overview.foreign:
        print(color("\nNot ours:", "33") + " (nothing removes it)")
        print("\n".join(f"  {line}" for line in overview.foreign))
    for reason in overview.not_searched:
        print(f"\nNot searched: {reason}")
    if overview.access_refusal:
        print(f"\nAccess was not compared: {overview.access_refusal}")


def upcoming(state):
    if not state.job["schedule"]:
        return "manual"
    if state.is_paused:
        return "paused"
    if not state.next_run:
        return "no trigger"
    return f"{state.next_run:%d %b %H:%M} UTC"


def said(change):
    """What differs. Of a resource that is not ours everything may."""
    if change.action == "take over":
        return "not ours yet"
    return "missing" if change.action == "create" else "; ".join(change.details) or "missing"


class JobState:
    """One job: its trigger, its last executions and where it differs from jobs.yaml."""

    def __init__(self, job, live, plan, history, now):
        self.job, self.history, self.now = job, history[:HISTORY], now
        self.is_deployed = job["name"] in live.jobs
        self.created = instant(live.jobs[job["name"]]["metadata"].get("creationTimestamp")) if self.is_deployed else None
        trigger = live.triggers.get(job["trigger"]) or {}
        self.is_paused = trigger.get("state") == "PAUSED"
        self.next_run = instant(trigger.get("scheduleTime")) if trigger and not self.is_paused else None
        self.drift = [f"{c.title}: {said(c)}" for c in plan.of_job(job["name"])]
        self.last = history[0] if history else None
        success = next((e for e in history if e.status == "succeeded"), None)
        self.last_success = success.completed if success else None
        self.summaries, self.grants, self.uses = {}, [], []

    def summary_of(self, execution):
        """The summaries of an execution, if they are in the log; they are read for the page only."""
        return self.summaries.get(execution.name)

    @property
    def state(self):
        return of_job(self)

    @property
    def is_overdue(self):
        """No success within one and a half times the longest time between two runs; a new job has that long for its first."""
        gap = self.job["longest_gap_seconds"]
        since = self.last_success or self.created
        return bool(gap and since and not self.is_paused) and (self.now - since).total_seconds() > 1.5 * gap

    @property
    def status(self):
        if not self.is_deployed:
            return "not deployed"
        return self.last.status if self.last else "never run"

    def json(self):
        return {
            "name": self.job["name"], "job": self.job["job"], "schedule": self.job["schedule"],
            "time_zone": self.job["time_zone"], "deployed": self.is_deployed, "paused": self.is_paused,
            "next_run": stamp(self.next_run), "status": self.status, "overdue": self.is_overdue,
            "last_success": stamp(self.last_success), "last_execution": self.last.json(self.now) if self.last else None,
            "drift": self.drift,
        }


class Overview:
    def __init__(self, google, desired, with_summaries=False):
        self.desired, self.now = desired, dt.datetime.now(dt.timezone.utc)
        live = Live(google, desired, tolerant=True)
        self.plan = Plan(google, desired, live)
        with ThreadPoolExecutor(8) as pool:
            histories = pool.map(lambda job: executions.all_of(google, desired, job["name"])
                                 if job["name"] in live.jobs else [], desired.jobs)
            self.jobs = [JobState(j, live, self.plan, h, self.now) for j, h in zip(desired.jobs, histories)]
        self.takeovers = [c.title for c in self.plan.takeovers]
        alone = {id(c) for j in desired.jobs for c in self.plan.of_job(j["name"])}
        self.differences = [f"{c.action} {c.title}" + (f": {said(c)}" if c.details else "")
                            for c in self.plan.changes if id(c) not in alone] + self.plan.conflicts + self.plan.waiting
        self.differences += [f"secret {name} does not exist: {preflight.advice(desired, name, '')[1]}" for name in live.missing_secrets]
        self.orphans = [c.title + (f" ({'; '.join(c.details)})" if c.details else "") for c in self.plan.orphans]
        self.foreign, self.leftovers = self.plan.foreign, self.plan.leftovers
        self.access_refusal = live.access_refusal
        self.not_searched = live.not_searched + ([f"images: {live.images.unknown}"] if live.images.unknown else [])
        self.dashboard = live.dashboards[0]["name"].split("/")[-1] if live.dashboards else ""
        self.log_refusal = self._read_summaries(google) if with_summaries else ""

    def _read_summaries(self, google):
        """What the page shows beyond the list. Returns why the log could not be read."""
        bad = [s.last for s in self.jobs if s.last and s.last.status in ("failed", "cancelled")]
        found, refusal = summaries.read(google, self.desired, sorted(bad, key=lambda e: e.created, reverse=True))
        for job in self.jobs:
            job.summaries = found
            job.grants = grants.of_account(self.desired.iam, job.job["account"])
            job.uses = self.desired.uses(job.job["job"])
        return refusal

    @property
    def longest(self):
        """The longest run of those that are shown, in seconds; a minute at least, so that seconds do not look like hours."""
        return max([60.0] + [e.seconds(self.now) for s in self.jobs for e in s.history])

    @property
    def unread(self):
        found = [f"access: {self.access_refusal}"] if self.access_refusal else []
        return found + ([f"the log: {self.log_refusal}"] if self.log_refusal else []) + self.not_searched

    def json(self):
        return {
            "environment": self.desired.environment, "project": self.desired.project, "region": self.desired.region,
            "time": stamp(self.now), "jobs": [j.json() for j in self.jobs], "differences": self.differences,
            "orphans": self.orphans, "takeovers": self.takeovers, "foreign": self.foreign,
            "leftovers": [{"text": item.text, "commands": item.commands} for item in self.leftovers],
            "not_searched": self.not_searched, "access_compared": not self.access_refusal,
        }


if __name__ == "__main__":
    run(main, "stopped")
