"""The core of the fake: state, errors, routing, faults, and what every API shares (projects, paging, CRUD, IAM policies)."""
import base64
import collections
import datetime as dt
import hashlib
import os
import random
import re
import string
import threading

DEPLOYER = "deployer@fake-google.iam.gserviceaccount.com"
BASE_APIS = ["bigquery", "cloudapis", "logging", "monitoring", "servicemanagement", "serviceusage", "storage"]
ALWAYS_ON = ("local", "oauth2", "serviceusage", "iamcredentials")
STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS", 412: "FAILED_PRECONDITION",
          429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
BQ_REASON = {400: "invalid", 403: "accessDenied", 404: "notFound", 409: "duplicate", 412: "conditionNotMet", 429: "rateLimitExceeded",
             500: "internalError", 503: "backendError"}
CONFIG = {"strict": False, "polls": 2, "max_run_seconds": 15, "check_images": False, "faults": []}
S = {t: {} for t in "projects policies services service_accounts roles secrets repositories docker_images run_jobs executions execution_runs scheduler_jobs "
                    "operations datasets tables alert_policies notification_channels log_metrics dashboards buckets objects builds".split()} | {"logs": []}
LOCK, ROUTES = threading.RLock(), []
Reply = collections.namedtuple("Reply", "code body headers", defaults=({},))  # what a handler returns when plain JSON with 200 is not it


class Err(Exception):
    def __init__(self, code, message, status=None, details=None):
        super().__init__(message)
        self.code = code
        self.body = {"error": {"code": code, "message": message, "status": status or STATUS.get(code, "UNKNOWN"), "details": details or [],
                               "errors": [{"reason": BQ_REASON.get(code, "other"), "message": message, "domain": "global"}]}}


SEGMENT = {"": "[^/:]+", r"\*": "[^/]+", r"\*\*": ".+"}


def route(svc, method, *templates):
    """Register fn(rq, **params) for a service and method; {x} is one path segment without ':', {x*} one that may have ':', {x**} the rest."""
    def deco(fn):
        for t in templates:
            rx = re.sub(r"\\\{(\w+?)((?:\\\*)*)\\\}", lambda m: f"(?P<{m[1]}>{SEGMENT[m[2]]})", re.escape(t)) + r"\Z"
            ROUTES.append((svc, method, re.compile(rx), fn))
        return fn
    return deco


def now(t=None):
    return (t or dt.datetime.now(dt.timezone.utc)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rand(n, alphabet=string.ascii_lowercase + string.digits):
    return "".join(random.choices(alphabet, k=n))


def project(pid):
    """Canonical id for a project id or number: any id comes to life on first use, except 'missing-...'."""
    for k, v in S["projects"].items():
        if v["projectNumber"] == pid:
            return k
    if pid.startswith("missing-"):
        raise Err(403, f"[{DEPLOYER}] does not have permission to access projects instance [{pid}] (or it may not exist)")
    if pid not in S["projects"]:
        num = str(10**11 + int(hashlib.sha256(pid.encode()).hexdigest()[:10], 16) % (9 * 10**11))
        S["projects"][pid] = {"projectNumber": num, "projectId": pid, "lifecycleState": "ACTIVE", "name": pid, "createTime": now()}
        S["policies"]["cloudresourcemanager:projects/" + pid] = {
            "version": 1, "etag": "BwAAAAAAAA0=", "bindings": [{"role": "roles/owner", "members": ["serviceAccount:" + DEPLOYER]}]}
        S["services"][pid] = [a + ".googleapis.com" for a in BASE_APIS]
    return pid


def number(p):
    return S["projects"][project(p)]["projectNumber"]


def take(table, key, missing):
    if key not in S[table]:
        raise Err(404, missing)
    return S[table][key]


def page(items, rq, field, size="pageSize", token="pageToken"):
    start, size = int(rq.query.get(token) or 0), int(rq.query.get(size) or 0)
    out = {field: items[start:start + size] if size else items[start:]}
    return out | ({"nextPageToken": str(start + size)} if size and start + size < len(items) else {})


def lro(result, type_url, parent="operations"):
    op = {"name": f"{parent}/fake-{rand(10)}", "done": True, "response": {"@type": "type.googleapis.com/google." + type_url, **result}}
    S["operations"][op["name"]] = op
    return op


def crud(svc, prefix, template, table, field, missing, out=lambda o: o):
    """GET, list, DELETE and IAM policy of a collection whose table is keyed by the full resource name."""
    def find(**kw):
        return take(table, template.format(**kw), missing.format(**kw, number=number(kw["p"])))

    def listing(rq, **kw):
        rx = re.compile(re.escape(template.rsplit("/", 1)[0].format(**kw) + "/").replace("/\\-/", "/[^/]+/") + "[^/]+$")
        return page([out(v) for k, v in S[table].items() if rx.match(k)], rq, field)

    def delete(rq, **kw):
        find(**kw)
        S["policies"].pop(svc + ":" + template.format(**kw), None)
        del S[table][template.format(**kw)]
        return lro({}, "protobuf.Empty", template.split("/repositories")[0].format(**kw) + "/operations") if svc == "artifactregistry" else {}

    route(svc, "GET", prefix + template)(lambda rq, **kw: out(find(**kw)))
    route(svc, "GET", prefix + template.rsplit("/", 1)[0])(listing)
    route(svc, "DELETE", prefix + template)(delete)
    iam_policy(svc, prefix, template, find)
    return find


def set_mask(dst, src, mask):
    """Apply a FieldMask (default: the fields that are present) from src onto dst."""
    for path in filter(None, (mask or ",".join(k for k in src if k not in ("name", "etag"))).split(",")):
        *parents, leaf = [re.sub(r"_(\w)", lambda m: m[1].upper(), x) for x in path.split(".")]
        d, s = dst, src
        for x in parents:
            d, s = d.setdefault(x, {}), (s or {}).get(x)
        d.pop(leaf, None)
        d.update({leaf: s[leaf]} if s and leaf in s else {})
    return dst


def without(o, *keys):
    return {k: v for k, v in o.items() if k not in keys}


def api_enabled(svc, p):
    """Strict mode only: an API answers SERVICE_DISABLED until it has been enabled."""
    api = svc + ".googleapis.com"
    if CONFIG["strict"] and svc not in ALWAYS_ON and api not in S["services"][p]:
        raise Err(403, f"{api} API has not been used in project {p} before or it is disabled. Enable it by visiting "
                  f"https://console.developers.google.com/apis/api/{api}/overview?project={p} then retry.", details=[
                      {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com",
                       "metadata": {"service": api, "consumer": "projects/" + p}}])


# ------------------------------------------------------------------ faults: answers that a test orders through /__config
FAULT = {"method": str, "host": str, "path": str, "status": int, "reason": str, "message": str, "drop": bool, "after": bool, "skip": int, "times": int}


def check_faults(faults):
    for f in faults:
        for k, v in f.items():
            if not isinstance(v, FAULT.get(k, ())):
                raise Err(400, f"fake Google: a fault has {', '.join(FAULT)}; {k}={v!r} is not one of these, or not of its type.")
            if k in ("host", "path"):
                re.compile(v)
        if ("status" in f) == bool(f.get("drop")):
            raise Err(400, "fake Google: a fault needs either a status or drop=true.")


def take_fault(method, host, path):
    """The fault that this request meets, if any: used up after `times` (1) requests, with the first `skip` (0) let through."""
    for f in CONFIG["faults"]:
        if f.get("method", method) == method and re.search(f.get("host", ""), host) and re.search(f.get("path", ""), path):
            if f.get("skip", 0) > 0:
                f["skip"] -= 1
                continue
            f["times"] = f.get("times", 1) - 1
            if f["times"] < 1:
                CONFIG["faults"].remove(f)
            return f


# ------------------------------------------------------------------ IAM policies, on any resource
def sa_exists(email):
    """User-managed accounts must have been created here; service agents and default accounts always exist."""
    mine = re.search(r"@(?!gcp-sa-|serverless-robot-prod\.)[a-z0-9-]+\.iam\.gserviceaccount\.com$", email)
    return not mine or email == DEPLOYER or email in S["service_accounts"]


def has_role(email, roles, *keys, permission=None):
    """Whether one of these policies gives the account one of the roles, or a custom role with the permission."""
    custom = {n for n, r in S["roles"].items() if permission in r.get("includedPermissions", []) and not r.get("deleted") and r.get("stage") != "DISABLED"}
    return any(b["role"] in {*roles, *custom} and {"serviceAccount:" + email, "allUsers"} & set(b["members"])
               for k in keys for b in S["policies"].get(k, {}).get("bindings", []))


def check_binding(role, members):
    """What setIamPolicy refuses: a malformed or unknown role or member."""
    if not re.match(r"(roles/[\w.]+|(projects|organizations)/[^/]+/roles/[\w.]+)$", role):
        raise Err(400, "Role name must be in the form roles/{role}, or projects/{project}/roles/{role}.")
    if role.startswith("projects/") and role not in S["roles"]:
        raise Err(400, f"Role ({role}) does not exist in the resource's hierarchy.")
    for m in members:
        kind, _, email = m.partition(":")
        if not re.match(r"(user|group|serviceAccount|domain|principal|principalSet|deleted):.|all(Authenticated)?Users$", m):
            raise Err(400, f"Invalid member [{m}].")
        if kind == "serviceAccount" and not sa_exists(email):
            raise Err(400, f"Service account {email} does not exist.")


def iam_policy(svc, prefix, template, find, key=None):
    """getIamPolicy and setIamPolicy of a resource; `key`, where the resource has several names, gives the one to keep the policy under."""
    key = key or (lambda **kw: svc + ":" + template.format(**kw))

    def get(rq, **kw):
        find(**kw)
        return S["policies"].get(key(**kw), {"etag": "ACAB"})

    def put(rq, **kw):
        old, new = get(rq, **kw), rq.body.get("policy", {})
        if new.get("etag", old["etag"]).translate({45: 43, 95: 47}) != old["etag"]:  # gcloud sends url-safe base64
            raise Err(409, "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.", "ABORTED")
        for b in new.get("bindings", []):
            check_binding(b["role"], b["members"])
        new |= {"etag": base64.b64encode(os.urandom(8)).decode(), "version": 3 if any("condition" in b for b in new.get("bindings", [])) else 1}
        S["policies"][key(**kw)] = new
        return new

    for m in ("GET", "POST"):
        route(svc, m, prefix + template + ":getIamPolicy")(get)
    route(svc, "POST", prefix + template + ":setIamPolicy")(put)
    route(svc, "POST", prefix + template + ":testIamPermissions")(lambda rq, **kw: {"permissions": rq.body.get("permissions", [])})
