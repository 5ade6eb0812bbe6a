"""Executions of jobs as Cloud Run reports them."""
import datetime as dt

PATH = "apis/run.googleapis.com/v1/namespaces/{project}/executions"


def recent(google, desired, job, count):
    """The last executions of a deployed job, newest first. The service promises no order, so all that it keeps are read."""
    items, place = [], None
    while True:
        reply = google.get("run", PATH.format(project=desired.project), desired.region,
                           **{"labelSelector": f"run.googleapis.com/job={job}", "limit": 500, "continue": place})
        items += reply.get("items", [])
        place = reply.get("metadata", {}).get("continue")
        if not place:
            return sorted(map(Execution, items), key=lambda e: e.created, reverse=True)[:count]


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
        self.created = instant(resource["metadata"]["creationTimestamp"])
        self.started = instant(status.get("startTime"))
        self.completed = instant(status.get("completionTime"))
        self.message = self.done.get("message", "")
        # Each attempt of a task writes a summary of its own.
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


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else None
