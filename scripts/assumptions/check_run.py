"""Cloud Run, Cloud Scheduler, Cloud Logging and Cloud Monitoring, with jobs and a trigger of the run's own."""
import datetime as dt
import re
import time

from . import containers
from .bounds import Samples, measured
from .check_access import account, google_of
from .containers import ended, execution, job, lines, start, started
from .facts import NotCheckable, check


@check("RUN-01")
def variables(trial):
    found = lines(trial, "start")[0]
    wanted = {"execution": started(trial, "failing")[2], "index": "0", "attempt": "0", "count": "1"}
    shown = {key: found.get(key) for key in wanted}
    return shown == wanted, f"the container had {shown}"


@check("RUN-02")
def attempts(trial):
    starts, alive = lines(trial, "start"), lines(trial, "alive")
    last = max(line["at"] for line in alive if line["attempt"] == "0")
    second = [line["at"] for line in starts if line["attempt"] == "1"]
    return len(second) == 1 and second[0] >= last, (
        f"the first attempt was last seen alive {second[0] - last if second else '?'} s before the second one began; attempts {[s['attempt'] for s in starts]}")


@check("RUN-03")
def grace(trial):
    gaps = []
    for attempt in ("0", "1"):
        term = [line["at"] for line in lines(trial, "term") if line["attempt"] == attempt]
        alive = [line["at"] for line in lines(trial, "alive") if line["attempt"] == attempt]
        if term and alive:
            gaps.append(max(alive) - term[0])
    return bool(gaps) and min(gaps) >= 8, f"after SIGTERM the attempts went on for {gaps} s"


@check("RUN-04")
def failure(trial):
    found = ended(trial)
    status = found["body"].get("status", {})
    counts = {key: status.get(key) for key in ("failedCount", "retriedCount")}
    return found["execution"].status == "failed" and counts == {"failedCount": 1, "retriedCount": 1}, (
        f"the execution is {found['execution'].status}, with {counts}")


@check("RUN-05")
def name_of_execution(trial):
    name = started(trial, "short")[2]
    return bool(re.fullmatch(re.escape(job(trial, "short")) + r"-[a-z0-9]{5}", name)), f"the execution's name is {name!r}"


@check("RUN-06")
def answer_to_start(trial):
    answer, seconds, name = started(trial, "short")
    found, _ = execution(trial, name) if name else (None, None)
    is_running = found is not None and (found.status == "running" or found.completed and found.seconds(found.completed) > seconds)
    return bool(name) and bool(is_running) and seconds < 30, f"{answer} after {seconds:.1f} s, naming {name!r}, which is {found.status if found else 'unknown'}"


@check("RUN-07")
def overlap(trial):
    first = started(trial, "short")[2]
    answer, _ = start(trial, job(trial, "short"))
    second = answer.json.get("metadata", {}).get("name", "").split("/")[-1]
    found, _ = execution(trial, first)
    if found.status != "running":
        raise NotCheckable("the first execution ended before the second one was started")
    return answer.is_ok and bool(second) and second != first, f"{answer}: {second!r} was started while {first!r} was running"


@check("RUN-08")
def structured_log(trial):
    name, log = started(trial, "failing")[2], ended(trial)["log"]
    found = [e for e in log if e.get("jsonPayload") and e.get("severity", "DEFAULT") != "DEFAULT"
             and e.get("labels", {}).get("run.googleapis.com/execution_name") == name]
    return bool(found), f"{len(found)} of {len(log)} entries have jsonPayload, a severity and the execution's name"


@check("RUN-09")
def reserved_variables(trial):
    name = trial.run.dashed("reserved")
    trial.record.note("job", name)
    body = containers.resource(trial, name, containers.JOBS["short"], account(trial), CLOUD_RUN_EXECUTION="mine")
    answer = google_of(trial).call("POST", "run", f"{containers.SERVICE}/{trial.project}/jobs", body, region=trial.region)
    return answer.status == 400, f"a job with the variable CLOUD_RUN_EXECUTION: {answer}"


@check("IAM-06")
def metadata_server(trial):
    found = lines(trial, "token")[0]["value"]
    return found.isdigit() and int(found) > 0, f"the answer's expires_in was {found!r}"


# ---------------------------------------------------------------- Cloud Scheduler
def trigger(trial):
    """A trigger that starts `short` as the run's account, about half a year from now."""
    def make():
        name, place = trial.run.dashed("trigger"), f"projects/{trial.project}/locations/{trial.region}"
        month = (dt.datetime.now(dt.timezone.utc).month + 5) % 12 + 1
        body = {"name": f"{place}/jobs/{name}", "description": trial.run.mark, "schedule": f"0 0 1 {month} *", "timeZone": "Etc/UTC",
                "attemptDeadline": "180s", "retryConfig": {"retryCount": 0},
                "httpTarget": {"uri": f"https://run.googleapis.com/v2/{place}/jobs/{job(trial, 'short')}:run", "httpMethod": "POST",
                               "oauthToken": {"serviceAccountEmail": account(trial), "scope": "https://www.googleapis.com/auth/cloud-platform"}}}
        trial.record.note("trigger", name)
        google_of(trial).call("POST", "cloudscheduler", f"v1/{place}/jobs", body).needed("create a trigger")
        return name
    return trial.once("trigger", make)


def fire(trial):
    path = f"v1/projects/{trial.project}/locations/{trial.region}/jobs/{trigger(trial)}:run"
    return google_of(trial).call("POST", "cloudscheduler", path, {}).needed("fire the trigger")


def refused(trial):
    """The first entry of a trigger that may not start its job; `None` if none came. It comes before the role is given."""
    def make():
        fire(trial)
        conditions = ['resource.type = "cloud_scheduler_job"', f'resource.labels.location = "{trial.region}"',
                      f'resource.labels.job_id = ("{trigger(trial)}")', "severity >= ERROR"]
        found = {}

        def logged(open_ones):
            found["entries"] = containers.entries(trial, conditions)
            return open_ones if found["entries"] else []

        samples = measured(trial.bounds, {"entry": time.monotonic()}, logged, min(120, trial.limit), 5 * trial.pace)
        return samples, found["entries"]
    return trial.once("refused", make)


@check("SCH-02")
def refused_trigger(trial):
    samples, found = refused(trial)
    return bool(found), f"entries of severity ERROR with the trigger's name: {len(found)}; time until the first one could be read: {samples}"


@check("SCH-01")
def invoker(trial):
    refused(trial)
    google, name, email = google_of(trial), job(trial, "short"), account(trial)
    policy = {"bindings": [{"role": "roles/run.invoker", "members": [f"serviceAccount:{email}"]}]}
    path = f"v1/projects/{trial.project}/locations/{trial.region}/jobs/{name}"
    google.call("POST", "run", f"{path}:setIamPolicy", {"policy": policy}, region=trial.region).needed("give roles/run.invoker on a job")

    def fired(open_ones):
        fire(trial)
        trial.bounds.wait(5 * trial.pace)
        items = google.call("GET", "run", f"{containers.SERVICE}/{trial.project}/executions", region=trial.region,
                            query={"labelSelector": f"run.googleapis.com/job={name}"}).needed("list the executions").json.get("items", [])
        creators = {e["metadata"].get("annotations", {}).get("run.googleapis.com/creator") for e in items}
        return open_ones if email in creators else []

    samples = measured(trial.bounds, {"role": time.monotonic()}, fired, min(180, trial.limit * 1.5), 15 * trial.pace)
    return samples.is_complete, f"from the role on the job to an execution that the trigger started as that account: {samples}"


# ---------------------------------------------------------------- Cloud Logging and Cloud Monitoring
@check("LOG-01")
def late_entries(trial):
    late = ended(trial)["late"]
    if not late:
        raise NotCheckable("the execution has no log")
    return max(late) < 60, f"entries, from their time to the reading that had them: {Samples(late, 0)}"


@check("MON-01")
def counted(trial):
    google, name = google_of(trial), job(trial, "failing")
    ended(trial)
    begin = f"{dt.datetime.now(dt.timezone.utc) - dt.timedelta(minutes=20):%Y-%m-%dT%H:%M:%SZ}"
    conditions = " AND ".join(['resource.type = "cloud_run_job"', 'metric.type = "run.googleapis.com/job/completed_execution_count"',
                               'metric.labels.result = "failed"', f'resource.labels.location = "{trial.region}"',
                               f'resource.labels.job_name = one_of("{name}")'])

    def shown(open_ones):
        now = f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        reply = google.call("GET", "monitoring", f"v3/projects/{trial.project}/timeSeries", query={
            "filter": conditions, "interval.startTime": begin, "interval.endTime": now, "aggregation.alignmentPeriod": "300s",
            "aggregation.perSeriesAligner": "ALIGN_SUM"}).needed("read the metric")
        points = [p for series in reply.json.get("timeSeries", []) for p in series.get("points", [])]
        return open_ones if any(float(p["value"].get("int64Value") or p["value"].get("doubleValue") or 0) > 0 for p in points) else []

    limit = min(600, trial.bounds.left - 30)
    samples = measured(trial.bounds, {"metric": time.monotonic()}, shown, max(0, limit), 15)
    if not samples.is_complete and limit < 600:
        raise NotCheckable(f"the failed execution was not counted within {limit:.0f} s, which was all the time that the run had left")
    return samples.is_complete, f"from the end of the failed execution to a value above 0: {samples}"


@check("MON-02")
def promql(trial):
    google, name = google_of(trial), job(trial, "short")
    series = (f'run_googleapis_com:job_completed_execution_count{{monitored_resource="cloud_run_job",job_name="{name}",'
              f'location="{trial.region}",result="succeeded"}}')
    answer = google.call("POST", "monitoring", f"v1/projects/{trial.project}/location/global/prometheus/api/v1/query",
                         {"query": f"(sum(increase({series}[3600s])) or vector(0)) < 1000000"})
    found = answer.json.get("data", {}).get("result", [])
    return answer.is_ok and answer.json.get("status") == "success" and len(found) == 1, f"{answer}, with {len(found)} value"
