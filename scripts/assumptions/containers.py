"""The two Cloud Run jobs of a run, their executions and their logs.

`failing` shows its surroundings, catches SIGTERM, and goes on until it is killed. `short` waits and succeeds.
"""
import datetime as dt
import time

from deployment.executions import Execution, instant

from .check_access import account, google_of
from .facts import Broken, NotCheckable

IMAGE = "docker.io/library/busybox:1.36.1"
TOKEN_URL = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
# No token is printed: of the metadata server's answer only the number of seconds is.
SCRIPT = f"""
say() {{
  echo "{{\\"severity\\":\\"NOTICE\\",\\"message\\":\\"probe of assumptions.sh\\",\\"probe\\":\\"$1\\",\\"at\\":$(date +%s),\\"value\\":\\"$2\\",\\
\\"execution\\":\\"$CLOUD_RUN_EXECUTION\\",\\"index\\":\\"$CLOUD_RUN_TASK_INDEX\\",\\"attempt\\":\\"$CLOUD_RUN_TASK_ATTEMPT\\",\\"count\\":\\"$CLOUD_RUN_TASK_COUNT\\"}}"
}}
ending=
trap 'ending=1; say term' TERM
say start
say token "$(wget -q -O - --header 'Metadata-Flavor: Google' {TOKEN_URL} | tr ',' '\\n' | grep expires_in | tr -dc 0-9)"
while true; do
  sleep 1 & wait $!
  say alive "$ending"
done
"""
JOBS = {"failing": {"script": SCRIPT, "timeoutSeconds": "15", "maxRetries": 1},
        "short": {"script": "sleep 20", "timeoutSeconds": "60", "maxRetries": 0}}
SERVICE = "apis/run.googleapis.com/v1/namespaces"


def resource(trial, name, job, email, **environment):
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    container = {"image": IMAGE, "command": ["sh", "-c", job["script"]], "env": variables, "resources": {"limits": {"cpu": "1", "memory": "512Mi"}}}
    task = {"maxRetries": job["maxRetries"], "timeoutSeconds": job["timeoutSeconds"], "serviceAccountName": email, "containers": [container]}
    return {"apiVersion": "run.googleapis.com/v1", "kind": "Job", "metadata": {"name": name, "namespace": trial.project, "labels": trial.run.labels},
            "spec": {"template": {"spec": {"taskCount": 1, "template": {"spec": task}}}}}


def job(trial, suffix):
    """The name of one of the jobs."""
    def make():
        google, name, email = google_of(trial), trial.run.dashed(suffix), account(trial)
        trial.record.note("job", name)
        end = time.monotonic() + 60
        while True:
            answer = google.call("POST", "run", f"{SERVICE}/{trial.project}/jobs", resource(trial, name, JOBS[suffix], email), region=trial.region)
            # A service account is not known everywhere for a while.
            if answer.is_ok or time.monotonic() > end or answer.status not in (400, 403, 404):
                answer.needed("create a Cloud Run job")
                break
            trial.bounds.wait(5)
        while not is_ready(google.call("GET", "run", f"{SERVICE}/{trial.project}/jobs/{name}", region=trial.region)):
            if time.monotonic() > end:
                raise Broken(f"the Cloud Run job {name} did not become ready within a minute")
            trial.bounds.wait(2)
        return name
    return trial.once(f"job {suffix}", make)


def is_ready(answer):
    conditions = answer.json.get("status", {}).get("conditions", [])
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def start(trial, name):
    """The answer to a start, as a trigger asks for it, and its seconds."""
    began = time.monotonic()
    answer = google_of(trial).call("POST", "run", f"v2/projects/{trial.project}/locations/{trial.region}/jobs/{name}:run", {})
    return answer, time.monotonic() - began


def started(trial, suffix):
    """The answer and the seconds of the first start of a job, and the name of the execution."""
    def make():
        answer, seconds = start(trial, job(trial, suffix))
        answer.needed("start a Cloud Run job")
        return answer, seconds, answer.json.get("metadata", {}).get("name", "").split("/")[-1]
    return trial.once(f"started {suffix}", make)


def execution(trial, name):
    answer = google_of(trial).call("GET", "run", f"{SERVICE}/{trial.project}/executions/{name}", region=trial.region)
    return Execution(answer.needed("read an execution").json), answer.json


def entries(trial, conditions):
    since = f'timestamp>="{dt.datetime.now(dt.timezone.utc) - dt.timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}"'
    answer = google_of(trial).call("POST", "logging", "v2/entries:list", {
        "resourceNames": [f"projects/{trial.project}"], "filter": " AND ".join([*conditions, since]), "orderBy": "timestamp asc", "pageSize": 1000})
    return answer.needed("read the log").json.get("entries", [])


def ended(trial):
    """The execution of `failing` at its end, and its log: each entry with the seconds after which it could be read."""
    def make():
        name, end = started(trial, "failing")[2], time.monotonic() + 240
        conditions = ['resource.type="cloud_run_job"', f'resource.labels.job_name="{job(trial, "failing")}"',
                      f'labels."run.googleapis.com/execution_name"="{name}"']
        log, late, done_at = {}, [], None
        while True:
            found, body = execution(trial, name)
            for entry in entries(trial, conditions):
                if entry["insertId"] not in log:
                    log[entry["insertId"]] = entry
                    written = instant(entry["timestamp"])
                    late.append((dt.datetime.now(dt.timezone.utc) - written).total_seconds())
            if found.status != "running" and done_at is None:
                done_at = time.monotonic()
            if done_at is not None and (log or trial.is_stand_in) and time.monotonic() - done_at > 45 * trial.pace:
                return {"execution": found, "body": body, "log": list(log.values()), "late": late}
            if time.monotonic() > end:
                raise NotCheckable(f"the execution {name} did not end within four minutes")
            # Cloud Logging allows 60 readings a minute.
            trial.bounds.wait(5 * trial.pace)
    return trial.once("ended", make)


def lines(trial, kind):
    """What the container said, in its order."""
    found = [e["jsonPayload"] for e in ended(trial)["log"] if e.get("jsonPayload", {}).get("probe") == kind]
    if not found and not trial.is_stand_in:
        raise NotCheckable(f"the log of the execution has no line {kind!r} of the container")
    return sorted(found, key=lambda line: line["at"])
