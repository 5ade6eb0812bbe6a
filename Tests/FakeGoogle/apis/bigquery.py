"""BigQuery: datasets with their access lists, and tables with their policies. Tests put the tables into the state; no queries."""
import copy
import re
import time

from core import S, Err, crud, rand, route, sa_exists

BQ = "bigquery/v2/"
DATASET = "projects/{p}/datasets/{d}"
FIXED = ("kind", "id", "etag", "selfLink", "creationTime", "lastModifiedTime", "datasetReference", "type")
LEGACY = {"roles/bigquery.dataOwner": "OWNER", "roles/bigquery.dataEditor": "WRITER", "roles/bigquery.dataViewer": "READER"}
WHO = ("userByEmail", "groupByEmail", "domain", "specialGroup", "iamMember", "view", "routine", "dataset")


@route("bigquery", "POST", BQ + "projects/{p}/datasets")
def insert(rq, p):
    ref = rq.body["datasetReference"] | {"projectId": p}
    name = f"projects/{p}/datasets/{ref['datasetId']}"
    if name in S["datasets"]:
        raise Err(409, f"Already Exists: Dataset {p}:{ref['datasetId']}")
    if not re.match(r"\w{1,1024}$", ref["datasetId"]):
        raise Err(400, f'Invalid dataset ID "{ref["datasetId"]}".')
    fixed = {"kind": "bigquery#dataset", "id": f"{p}:{ref['datasetId']}", "creationTime": str(int(time.time() * 1000)), "datasetReference": ref, "type": "DEFAULT"}
    access = [{"role": "WRITER", "specialGroup": "projectWriters"}, {"role": "OWNER", "specialGroup": "projectOwners"},
              {"role": "OWNER", "userByEmail": rq.who}, {"role": "READER", "specialGroup": "projectReaders"}]
    return store(name, {"location": "US", "access": access} | fixed | {k: v for k, v in rq.body.items() if k not in FIXED})


@route("bigquery", "PATCH", BQ + DATASET)
def patch(rq, p, d):
    old = dataset(p=p, d=d)
    if rq.headers.get("If-Match", old["etag"]) != old["etag"]:
        raise Err(412, "Precondition Failed")
    return store(f"projects/{p}/datasets/{d}", copy.deepcopy(old) | {k: v for k, v in rq.body.items() if k not in FIXED})


def store(name, new):
    for k, v in new.get("labels", {}).items():
        if not re.match(r"[a-z_][a-z0-9_-]{0,62}$", k) or not re.match(r"[a-z0-9_-]{0,63}$", v):
            raise Err(400, f"Label {k}:{v} is invalid: at most 63 lowercase letters, digits, underscores and dashes; a key begins with a letter.")
    new["access"] = check_access(new["id"], new["access"])
    S["datasets"][name] = new | {"etag": rand(22) + "==", "lastModifiedTime": str(int(time.time() * 1000))}
    return S["datasets"][name]


def check_access(where, access):
    """One grantee and a role per entry; service accounts exist; three roles come back in their old names."""
    out = []
    for e in access:
        who = [k for k in WHO if k in e]
        if len(who) != 1:
            raise Err(400, f"Dataset {where}: an access entry names exactly one of {', '.join(WHO)}; this one has {', '.join(who) or 'none'}.")
        if not e.get("role") and who[0] not in ("view", "routine", "dataset"):
            raise Err(400, f"Dataset {where}: the access entry for {e[who[0]]} has no role.")
        if who[0] == "userByEmail" and not sa_exists(e["userByEmail"]):
            raise Err(400, f"IAM setPolicy failed for Dataset {where}: Service account {e['userByEmail']} does not exist.")
        e = e | ({"role": LEGACY.get(e["role"], e["role"])} if "role" in e else {})
        out += [e] if e not in out else []
    return out


dataset = crud("bigquery", BQ, DATASET, "datasets", "datasets", "Not found: Dataset {p}:{d}")
crud("bigquery", BQ, DATASET + "/tables/{t}", "tables", "tables", "Not found: Table {p}:{d}.{t}")
