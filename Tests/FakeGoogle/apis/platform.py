"""Tokens, projects, enabled services, operations and locations: what every other API here leans on."""
import base64
import json
import re
from urllib.parse import parse_qsl

from core import DEPLOYER, S, Err, iam_policy, lro, number, page, route, take

REGIONS = ["us-central1", "us-east1", "us-west1", "europe-west1", "europe-west4", "asia-northeast1"]


# ------------------------------------------------------------------ tokens
def access_token(email):
    return "ya29.fake-google-" + base64.urlsafe_b64encode(email.encode()).decode().rstrip("=")


@route("local", "POST", "token")
@route("oauth2", "POST", "token")
def token(rq):
    form = dict(parse_qsl(rq.raw.decode()))
    claims = json.loads(base64.urlsafe_b64decode(form.get("assertion", ".e30").split(".")[1] + "==") or "{}")
    email = claims.get("iss", DEPLOYER)
    rq.log_body = {"grant_type": form.get("grant_type"), "iss": email}
    return {"access_token": access_token(email), "token_type": "Bearer", "expires_in": 3599}


# ------------------------------------------------------------------ projects, services, operations, locations
route("cloudresourcemanager", "GET", "v1/projects")(lambda rq: {"projects": list(S["projects"].values())})
route("cloudresourcemanager", "GET", "v1/projects/{p}")(lambda rq, p: S["projects"][p])
route("cloudresourcemanager", "GET", "v3/projects/{p}")(lambda rq, p: {
    "name": "projects/" + number(p), "projectId": p, "state": "ACTIVE", "displayName": p})
for _v in ("v1/", "v3/"):
    iam_policy("cloudresourcemanager", _v, "projects/{p}", lambda p: None)


def service(p, s):
    return {"name": f"projects/{number(p)}/services/{s}", "config": {"name": s, "title": s}, "parent": "projects/" + number(p),
            "state": "ENABLED" if s in S["services"][p] else "DISABLED"}


route("serviceusage", "GET", "v1/projects/{p}/services")(lambda rq, p: page([service(p, s) for s in S["services"][p]], rq, "services"))
route("serviceusage", "GET", "v1/projects/{p}/services/{s}")(lambda rq, p, s: service(p, s))


@route("serviceusage", "POST", "v1/projects/{p}/services/{s}:enable", "v1/projects/{p}/services:batchEnable")
def service_enable(rq, p, s=None):
    names = [s] if s else rq.body.get("serviceIds", [])
    for n in names:
        if not re.match(r"[a-z0-9-]+(\.[a-z0-9-]+)+$", n):
            raise Err(403, f"Not found or permission denied for service(s): {n}.")
    S["services"][p] = sorted({*S["services"][p], *names})
    return lro({"services": [service(p, n) for n in names]}, "api.serviceusage.v1.BatchEnableServicesResponse")


@route("serviceusage", "POST", "v1/projects/{p}/services/{s}:disable")
def service_disable(rq, p, s):
    S["services"][p] = [x for x in S["services"][p] if x != s]
    return lro({"service": service(p, s)}, "api.serviceusage.v1.DisableServiceResponse")


@route("*", "GET", "v1/operations/{o}", "v1/projects/{p}/locations/{l}/operations/{o}")
def operation(rq, o, p=None, l=None):
    return take("operations", f"projects/{p}/locations/{l}/operations/{o}" if p else "operations/" + o, "Operation not found.")


@route("*", "GET", "v1/projects/{p}/locations", "v1/projects/{p}/locations/{l}")
def locations(rq, p, l=None):
    items = [{"name": f"projects/{p}/locations/{r}", "locationId": r, "labels": {"cloud.googleapis.com/region": r}} for r in REGIONS if l in (None, r)]
    return items[0] if l and items else page(items, rq, "locations")
