"""The log of one execution as it grows."""
import datetime as dt
import time

from .executions import instant

# Cloud Logging allows 60 readings a minute for a whole project.
PAUSE = 5
# Entries of one execution may become readable in another order than they were written in.
LATE = dt.timedelta(seconds=30)


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
    time = entry.get("timestamp", "").partition("T")[2][:8]
    payload = entry.get("jsonPayload", {})
    text = entry.get("textPayload") or payload.get("message") or str(payload)
    severity = entry.get("severity", "DEFAULT")
    return f"{time} {'' if severity in ('DEFAULT', 'INFO') else severity + ' '}{text.rstrip()}"
