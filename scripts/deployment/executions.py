"""Executions of jobs as Cloud Run reports them, and their logs (fact RUN-08)."""
import datetime as dt
import time

from .google import run_items

# Cloud Logging allows 60 readings a minute for a whole project.
PAUSE = 5
# Entries of one execution may become readable in another order than they were written in (fact LOG-01).
LATE = dt.timedelta(seconds=30)
PATH = "apis/run.googleapis.com/v1/namespaces/{project}/executions"


def recent(google, desired, job, count):
    """The last executions of a deployed job, newest first."""
    return all_of(google, desired, job)[:count]


def all_of(google, desired, job):
    """All executions that Cloud Run keeps, newest first. The service promises no order."""
    items = run_items(google, PATH.format(project=desired.project), desired.region,
                      labelSelector=f"run.googleapis.com/job={job}")
    return sorted(map(Execution, items), key=lambda e: e.created, reverse=True)


def one(google, desired, name):
    return Execution(google.get("run", f"{PATH.format(project=desired.project)}/{name}", desired.region))


def instant(text):
    """An RFC 3339 time with up to nine decimals."""
    if not text:
        return None
    head, _, decimals = text.rstrip("Z").partition(".")
    micros = (decimals + "000000")[:6]
    return dt.datetime.fromisoformat(f"{head}.{micros}+00:00")


class Execution:
    def __init__(self, resource):
        status = resource.get("status", {})
        conditions = {c["type"]: c for c in status.get("conditions", [])}
        self.done = conditions.get("Completed", {})
        self.name = resource["metadata"]["name"]
        self.creator = resource["metadata"].get("annotations", {}).get("run.googleapis.com/creator", "")
        # The version of the job that it runs: each change of the job, such as a new image, has the next number.
        self.job_generation = resource["metadata"].get("labels", {}).get("run.googleapis.com/jobGeneration")
        task = resource.get("spec", {}).get("template", {}).get("spec", {})
        self.arguments = [a for c in task.get("containers", []) for a in c.get("args", [])]
        self.created = instant(resource["metadata"]["creationTimestamp"])
        self.started = instant(status.get("startTime"))
        self.completed = instant(status.get("completionTime"))
        self.message = self.done.get("message", "")
        # Each attempt of a task writes a summary of its own (fact RUN-04).
        self.attempts = resource.get("spec", {}).get("taskCount", 1) + status.get("retriedCount", 0)

    @property
    def status(self):
        """running, succeeded, failed or cancelled."""
        if self.done.get("status") == "True":
            return "succeeded"
        if self.done.get("status") == "False":
            return "cancelled" if self.done.get("reason") == "Cancelled" else "failed"
        return "running"

    def seconds(self, now):
        """How long it took, or takes so far."""
        begin = self.started or self.created
        return max(0.0, ((self.completed or now) - begin).total_seconds())

    def json(self, now):
        return {"name": self.name, "status": self.status, "created": stamp(self.created), "started": stamp(self.started),
                "completed": stamp(self.completed), "duration_seconds": round(self.seconds(now), 1)}


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


class ExecutionLog:
    """Asks Cloud Logging for entries that have not been seen yet."""

    def __init__(self, google, desired, job, execution):
        self.google, self.project = google, desired.project
        self.filter = " AND ".join([
            'resource.type="cloud_run_job"', f'resource.labels.job_name="{job}"',
            f'labels."run.googleapis.com/execution_name"="{execution.name}"'])
        self.since, self.seen, self.summaries, self.exits = execution.created, set(), [], 0
        self.next_reading, self.is_refused = time.monotonic(), False

    def new(self, at_once=False):
        """Entries that came since the last call, oldest first; none within a few seconds of it, unless asked for at once."""
        if time.monotonic() < self.next_reading and not at_once:
            return []
        self.next_reading = time.monotonic() + PAUSE
        fresh, token = [], ""
        bound = f' AND timestamp>="{self.since.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}"'
        while True:
            reply = self.google.request("POST", "logging", "v2/entries:list", repeatable=True, body={
                "resourceNames": [f"projects/{self.project}"], "filter": self.filter + bound, "orderBy": "timestamp asc",
                "pageSize": 1000, **({"pageToken": token} if token else {})})
            for entry in reply.get("entries", []):
                if entry["insertId"] not in self.seen:
                    self.seen.add(entry["insertId"])
                    fresh.append(entry)
                    self._note(entry)
            token = reply.get("nextPageToken", "")
            if not token:
                self.is_refused = False
                return fresh

    def _note(self, entry):
        payload, time_of_entry = entry.get("jsonPayload", {}), instant(entry.get("timestamp"))
        if time_of_entry:
            self.since = max(self.since, time_of_entry - LATE)
        if {"job", "status", "counts", "duration_ms"} <= payload.keys():
            self.summaries.append(payload)
        # Cloud Run's own log ends a task so.
        self.exits += "Container called exit" in entry.get("textPayload", "")


def line(entry):
    """`12:00:03 WARNING message`."""
    moment = entry.get("timestamp", "").partition("T")[2][:8]
    payload = entry.get("jsonPayload", {})
    text = entry.get("textPayload") or payload.get("message") or str(payload)
    severity = entry.get("severity", "DEFAULT")
    return f"{moment} {'' if severity in ('DEFAULT', 'INFO') else severity + ' '}{text.rstrip()}"
