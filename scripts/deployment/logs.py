"""The log of one execution as it grows."""


class ExecutionLog:
    """Asks Cloud Logging for entries that have not been seen yet."""

    def __init__(self, google, desired, job, execution):
        self.google, self.project = google, desired.project
        self.filter = " AND ".join([
            'resource.type="cloud_run_job"', f'resource.labels.job_name="{job}"',
            f'labels."run.googleapis.com/execution_name"="{execution.name}"',
            f'timestamp>="{execution.created.strftime("%Y-%m-%dT%H:%M:%SZ")}"'])
        self.seen, self.summaries, self.exits = set(), [], 0

    def new(self):
        """Entries that came since the last call, oldest first."""
        fresh, token = [], ""
        while True:
            reply = self.google.request("POST", "logging", "v2/entries:list", repeatable=True, body={
                "resourceNames": [f"projects/{self.project}"], "filter": self.filter, "orderBy": "timestamp asc",
                "pageSize": 1000, **({"pageToken": token} if token else {})})
            for entry in reply.get("entries", []):
                if entry["insertId"] not in self.seen:
                    self.seen.add(entry["insertId"])
                    fresh.append(entry)
                    self._note(entry)
            token = reply.get("nextPageToken", "")
            if not token:
                return fresh

    def _note(self, entry):
        payload = entry.get("jsonPayload", {})
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
