"""What the summaries in the log say about the last runs."""
import datetime as dt

from .google import GoogleError

# Cloud Logging keeps entries for 30 days, unless somebody changed that.
KEPT = dt.timedelta(days=30)
NEWEST = 1000
# A page may be empty although more follows: the service searches for some seconds at a time.
PAGES = 5
# Each missing summary is one more request, of which a whole project has 60 a minute.
SINGLE = 20


class Summary:
    """The summaries of one execution: each task writes one, and each attempt of it."""

    def __init__(self, payloads):
        last = {p.get("task_index", 0): p for p in sorted(payloads, key=lambda p: p.get("attempt", 0))}
        self.tasks = list(last.values())
        self.counts, self.failures, self.omitted = {}, [], 0
        for task in self.tasks:
            self.failures += task.get("failures") or []
            self.omitted += task.get("failures_omitted") or 0
            for name, value in (task.get("counts") or {}).items():
                self.counts[name] = self.counts.get(name, 0) + value

    @property
    def chain(self):
        """The row that verify appended to its chain: number, instant, verdict, digest and previous; none for another job."""
        found = next((task["details"]["chain"] for task in self.tasks if "chain" in (task.get("details") or {})), None)
        return found if isinstance(found, dict) and "digest" in found else None

    @property
    def is_skipped(self):
        return all(task.get("status") == "skipped" for task in self.tasks)

    @property
    def reasons(self):
        """Why it did not do its work: at most four lines."""
        lines = [f"{f.get('subject', '')}: {f.get('reason', '')}" for f in self.failures]
        lines += [f"{task['status']}: {task['reason']}" for task in self.tasks if task.get("reason") and task.get("status") in ("skipped", "stopped")]
        more = len(lines) - 3 + self.omitted
        return lines if len(lines) <= 4 and not self.omitted else lines[:3] + [f"and {more} more"]


def read(google, desired, executions):
    """The summaries by the name of their execution, and why there are none. `executions` are those that must not be missing, newest
    first."""
    names = " OR ".join(f'"{job["name"]}"' for job in desired.jobs)
    since = dt.datetime.now(dt.timezone.utc) - KEPT
    found = {}
    try:
        note(found, entries(google, desired, [f"resource.labels.job_name=({names})", f'timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"']))
        for execution in [e for e in executions if e.name not in found and e.created > since][:SINGLE]:
            note(found, entries(google, desired, [f'labels."run.googleapis.com/execution_name"="{execution.name}"',
                                                  f'timestamp>="{execution.created:%Y-%m-%dT%H:%M:%SZ}"']))
    except GoogleError as error:
        return {}, str(error)
    return {name: Summary(payloads) for name, payloads in found.items()}, ""


def entries(google, desired, conditions):
    fixed = ['resource.type="cloud_run_job"', f'resource.labels.location="{desired.region}"', "jsonPayload.status:*", "jsonPayload.duration_ms:*"]
    found, token = [], ""
    for _ in range(PAGES):
        reply = google.request("POST", "logging", "v2/entries:list", repeatable=True, body={
            "resourceNames": [f"projects/{desired.project}"], "filter": " AND ".join(fixed + conditions), "orderBy": "timestamp desc",
            "pageSize": NEWEST, **({"pageToken": token} if token else {})})
        found += reply.get("entries", [])
        token = reply.get("nextPageToken", "")
        if not token or len(found) >= NEWEST:
            break
    return found


def note(found, listed):
    for entry in listed:
        payload = entry.get("jsonPayload", {})
        name = entry.get("labels", {}).get("run.googleapis.com/execution_name") or payload.get("execution")
        if name:
            found.setdefault(name, []).append(payload)
