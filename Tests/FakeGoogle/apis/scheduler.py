"""Cloud Scheduler. Nothing fires by itself; `jobs run` really calls a Cloud Run target, as the trigger's service account."""
import copy
import datetime as dt
import re
import zoneinfo

from core import CONFIG, S, Err, crud, has_role, now, project, route, sa_exists, set_mask

from .logs import add_log
from .platform import REGIONS
from .run import job_run

NAMES = [{}, {}, {}, {m: i + 1 for i, m in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split())},
         {d: i for i, d in enumerate("sun mon tue wed thu fri sat".split())}]


def cron(expr):
    """A unix-cron line as five sets; None for the App Engine 'every ...' spelling; ValueError otherwise."""
    if re.match(r"every\s+\S+", expr):
        return None
    fields, out = expr.split(), []
    if len(fields) != 5:
        raise ValueError(expr)
    for f, (lo, hi), nm in zip(fields, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)], NAMES):
        vals = set()
        for part in f.lower().split(","):
            rng, _, step = part.partition("/")
            a, dash, b = rng.partition("-")
            a, b = (lo, hi) if rng == "*" else (int(nm.get(a, a)), int(nm.get(b, b)) if dash else hi if step else int(nm.get(a, a)))
            if not lo <= a <= b <= hi or step == "0":
                raise ValueError(expr)
            vals |= set(range(a, b + 1, int(step or 1)))
        out.append({v % 7 for v in vals} if hi == 7 else vals)
    return out


def next_fire(expr, tz):
    c, t = cron(expr), dt.datetime.now(zoneinfo.ZoneInfo(tz)).replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
    either = c and len(c[2]) < 31 and len(c[4]) < 7  # cron's rule: both day fields restricted means "or"
    for _ in range(366 * 5 if c else 0):
        days = (t.day in c[2], (t.weekday() + 1) % 7 in c[4])
        if t.month in c[3] and (any(days) if either else all(days)):
            for m in range(t.hour * 60 + t.minute, 1440):
                if m // 60 in c[1] and m % 60 in c[0]:
                    return t.replace(hour=m // 60, minute=m % 60).astimezone(dt.timezone.utc)
        t = t.replace(hour=0, minute=0) + dt.timedelta(days=1)


SJ = "projects/{p}/locations/{l}/jobs/{j}"
sched = crud("cloudscheduler", "v1/", SJ, "scheduler_jobs", "jobs", "Job not found.")
route("cloudscheduler", "POST", "v1/" + SJ + ":pause")(lambda rq, **kw: sched(**kw).__ior__({"state": "PAUSED"}))
route("cloudscheduler", "POST", "v1/" + SJ + ":resume")(lambda rq, **kw: sched(**kw).__ior__({"state": "ENABLED"}))


def sched_store(sj):
    try:
        nxt = next_fire(sj.get("schedule", ""), sj.setdefault("timeZone", "Etc/UTC"))
    except (ValueError, zoneinfo.ZoneInfoNotFoundError):
        raise Err(400, f"Schedule or time zone is invalid: \"{sj.get('schedule')}\" \"{sj.get('timeZone')}\".")
    target = sj.get("httpTarget", {})
    for tok in [t for t in ("oauthToken", "oidcToken") if t in target]:
        email = target[tok].get("serviceAccountEmail")
        if not email:  # --clear-auth-token
            del target[tok]
        elif CONFIG["strict"] and not sa_exists(email):
            raise Err(403, f'The principal lacks IAM permission "iam.serviceAccounts.actAs" for the resource "{email}" (or the resource may not exist).')
        elif tok == "oauthToken":
            target[tok].setdefault("scope", "https://www.googleapis.com/auth/cloud-platform")
    S["scheduler_jobs"][sj["name"]] = sj | {"userUpdateTime": now()} | ({"scheduleTime": now(nxt)} if nxt else {})
    return S["scheduler_jobs"][sj["name"]]


@route("cloudscheduler", "POST", "v1/projects/{p}/locations/{l}/jobs")
def sched_create(rq, p, l):
    sj = {"state": "ENABLED", "attemptDeadline": "180s", **copy.deepcopy(rq.body)}
    sj["retryConfig"] = {"maxRetryDuration": "0s", "minBackoffDuration": "5s", "maxBackoffDuration": "3600s", "maxDoublings": 5} | sj.get("retryConfig", {})
    if not re.match(rf"projects/{p}/locations/{l}/jobs/[\w-]{{1,500}}$", sj.get("name", "")):
        raise Err(400, 'Job name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/jobs/<JOB_ID>".')
    if l not in REGIONS:
        raise Err(404, f"Location '{l}' is not a valid location. Use ListLocations to list valid locations.")
    if sj["name"] in S["scheduler_jobs"]:
        raise Err(409, f"Job {sj['name']} already exists.")
    return sched_store(sj)


@route("cloudscheduler", "PATCH", "v1/" + SJ)
def sched_patch(rq, **kw):
    return sched_store(set_mask(copy.deepcopy(sched(**kw)), rq.body, rq.query.get("updateMask")))


@route("cloudscheduler", "POST", "v1/" + SJ + ":run")
def sched_run(rq, p, l, j):
    """Force a run: a Cloud Run ':run' target really creates an execution here, as the trigger's own identity."""
    sj = sched(p=p, l=l, j=j)
    code, msg = dispatch(rq, sj.get("httpTarget", {}))
    sj |= {"lastAttemptTime": now(), "status": {"code": code, "message": msg} if code else {}}
    add_log(p, "cloudscheduler.googleapis.com%2Fexecutions", "ERROR" if code else "INFO", {"type": "cloud_scheduler_job", "labels": {
        "job_id": j, "location": l, "project_id": p}}, jsonPayload={"jobName": sj["name"], "url": sj.get("httpTarget", {}).get("uri"), "debugInfo": msg})
    return sj


def dispatch(rq, target):
    uri, email = target.get("uri", ""), target.get("oauthToken", {}).get("serviceAccountEmail")
    m = re.match(r"https://(?P<l>[a-z0-9-]+)-run\.googleapis\.com/apis/run\.googleapis\.com/v1/namespaces/(?P<p>[^/]+)/jobs/(?P<j>[^/:]+):run$", uri) \
        or re.match(r"https://(?:[a-z0-9-]+-)?run\.googleapis\.com/v2/projects/(?P<p>[^/]+)/locations/(?P<l>[^/]+)/jobs/(?P<j>[^/:]+):run$", uri)
    if not m or target.get("httpMethod", "POST") != "POST":
        return 2, "fake Google: the target is not a POST to a Cloud Run job's :run URL, so nothing was called"
    if not email:
        return 16, "URL_ERROR-ERROR_AUTHENTICATION. Original HTTP response code number = 401 (a *.googleapis.com target needs an OAuth token)"
    p, l, j = project(m["p"]), m["l"], m["j"]
    if f"{p}/{l}/{j}" not in S["run_jobs"]:
        return 5, "URL_ERROR-ERROR_NOT_FOUND. Original HTTP response code number = 404"
    roles = ["roles/" + r for r in ("run.invoker", "run.developer", "run.admin", "run.jobsExecutor", "run.jobsExecutorWithOverrides", "editor", "owner")]
    if not has_role(email, roles, f"cloudresourcemanager:projects/{p}", f"run:projects/{p}/locations/{l}/jobs/{j}", permission="run.jobs.run"):
        return 7, f"URL_REJECTED-REJECTED_PERMISSION_DENIED. Original HTTP response code number = 403 ({email} lacks run.jobs.run on {j})"
    as_sa = copy.copy(rq)
    as_sa.region, as_sa.who, as_sa.body = l, email, {}
    job_run(as_sa, p, j)
    return 0, ""
