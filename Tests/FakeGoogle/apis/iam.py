"""IAM: service accounts (keyed by email) and custom roles."""
import base64
import os
import re

from core import DEPLOYER, S, Err, iam_policy, page, project, rand, route, set_mask


# ------------------------------------------------------------------ service accounts
def sa(e, x="-"):
    if e == DEPLOYER:
        return {"email": e, "projectId": "fake-google"}
    hit = [a for a in S["service_accounts"].values() if e in (a["email"], a["uniqueId"])]
    if not hit:
        raise Err(404, f"Unknown service account: projects/{x}/serviceAccounts/{e} does not exist.")
    return hit[0]


@route("iam", "POST", "v1/projects/{p}/serviceAccounts")
def sa_create(rq, p):
    aid = rq.body["accountId"]
    email = f"{aid}@{p}.iam.gserviceaccount.com"
    if not re.match(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])$", aid):
        raise Err(400, f'The account ID "{aid}" does not have a length between 6 and 30, or is not made of [a-z0-9-].')
    if email in S["service_accounts"]:
        raise Err(409, f"Service account {aid} already exists within project projects/{p}.")
    S["service_accounts"][email] = {"name": f"projects/{p}/serviceAccounts/{email}", "projectId": p, "email": email, "etag": "MDEwMjE5MjA=",
                                    "uniqueId": rand(21, "123456789"), "oauth2ClientId": rand(21, "123456789"), **rq.body.get("serviceAccount", {})}
    return S["service_accounts"][email]


SA = "v1/projects/{x}/serviceAccounts/{e}"
route("iam", "GET", "v1/projects/{p}/serviceAccounts")(
    lambda rq, p: page([a for a in S["service_accounts"].values() if a["projectId"] == p], rq, "accounts"))
route("iam", "GET", SA)(lambda rq, x, e: sa(e, x))
route("iam", "PATCH", SA)(lambda rq, x, e: set_mask(sa(e), rq.body.get("serviceAccount", {}), rq.body.get("updateMask")))


@route("iam", "POST", SA + ":enable", SA + ":disable")
def sa_enable(rq, x, e):
    account = sa(e, x)
    account.pop("disabled", None)
    account |= {"disabled": True} if rq.path.endswith(":disable") else {}
    return {}


@route("iam", "DELETE", SA)
def sa_delete(rq, x, e):
    email = sa(e, x)["email"]
    S["policies"].pop("iam:serviceAccounts/" + email, None)
    del S["service_accounts"][email]
    return {}


iam_policy("iam", "v1/", "projects/{x}/serviceAccounts/{e}", lambda x, e: sa(e, x), lambda x, e: "iam:serviceAccounts/" + sa(e)["email"])


# ------------------------------------------------------------------ custom roles, keyed by projects/P/roles/ID
with open(os.path.join(os.path.dirname(__file__), "permissions.txt")) as _f:
    PERMISSIONS = {f"{res}.{v.rstrip('?!')}": {"?": "TESTING", "!": "NOT_SUPPORTED"}.get(v[-1], "SUPPORTED")
                   for res, *verbs in map(str.split, _f) if res != "#" for v in verbs}
KNOWN = {p.split(".")[0] for p in PERMISSIONS}
ROLE = "v1/projects/{p}/roles/{r}"


def check_role(role):
    """Permissions of the services in permissions.txt must exist; of other services only the form is looked at."""
    for perm in role.get("includedPermissions", []):
        fits = re.match(r"[a-z][a-zA-Z0-9.-]+[./][a-zA-Z]+\.[a-zA-Z]+$", perm)
        level = PERMISSIONS.get(perm, "NOT_SUPPORTED" if perm.split(".")[0] in KNOWN or not fits else "SUPPORTED")
        if level == "NOT_SUPPORTED" or re.match(r"resourcemanager\.(organizations|folders)\.", perm):
            raise Err(400, f"Permission {perm} is not valid.")
    if len(role.get("title", "")) > 100 or len(role.get("description", "")) > 300:
        raise Err(400, "A role's title has at most 100 characters and its description at most 300.")
    role["includedPermissions"] = sorted({*role.get("includedPermissions", [])})
    return role | {"etag": base64.b64encode(os.urandom(8)).decode()}


def role_find(p, r):
    name = f"projects/{p}/roles/{r}"
    if name not in S["roles"]:
        raise Err(404, f"The role named {name} was not found.")
    return name, S["roles"][name]


@route("iam", "POST", "v1/projects/{p}/roles")
def role_create(rq, p):
    r, name = rq.body.get("roleId", ""), f"projects/{p}/roles/{rq.body.get('roleId')}"
    if not re.match(r"[a-zA-Z0-9_.]{3,64}$", r):
        raise Err(400, f"The role id {r} must be 3 to 64 characters of [a-zA-Z0-9_.].")
    if S["roles"].get(name, {}).get("deleted"):
        raise Err(400, f"You can't create a role_id ({r}) which has been marked for deletion.", "FAILED_PRECONDITION")
    if name in S["roles"]:
        raise Err(409, f"A role named {r} in projects/{p} already exists.")
    S["roles"][name] = check_role({"stage": "ALPHA", **rq.body.get("role", {}), "name": name})
    return S["roles"][name]


@route("iam", "PATCH", ROLE)
def role_patch(rq, p, r):
    name, old = role_find(p, r)
    if rq.body.get("etag", old["etag"]).translate({45: 43, 95: 47}) != old["etag"]:
        raise Err(409, "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.", "ABORTED")
    new = set_mask(dict(old), rq.body, rq.query.get("updateMask"))
    S["roles"][name] = check_role(new)
    return S["roles"][name]


@route("iam", "DELETE", ROLE)
@route("iam", "POST", ROLE + ":undelete")
def role_delete(rq, p, r):
    """A deleted role stays for seven days, its id taken; here it stays until the state is reset."""
    name, role = role_find(p, r)
    if role.get("deleted", False) == (rq.command == "DELETE"):
        raise Err(400, f"The role named {name} is {'already' if role.get('deleted') else 'not'} deleted.", "FAILED_PRECONDITION")
    S["roles"][name] = {k: v for k, v in role.items() if k != "deleted"} | ({"deleted": True} if rq.command == "DELETE" else {})
    return S["roles"][name]


@route("iam", "GET", "v1/projects/{p}/roles")
def role_list(rq, p):
    full, deleted = rq.query.get("view") == "FULL", rq.query.get("showDeleted", "").lower() == "true"
    return page([{k: v for k, v in r.items() if full or k != "includedPermissions"} for n, r in S["roles"].items()
                 if n.startswith(f"projects/{p}/") and (deleted or not r.get("deleted"))], rq, "roles")


route("iam", "GET", ROLE)(lambda rq, p, r: role_find(p, r)[1])


@route("iam", "POST", "v1/permissions:queryTestablePermissions")
def testable(rq):
    p = project(rq.body.get("fullResourceName", "").split("/")[-1])
    rq.query = {k: rq.body.get(k) for k in ("pageSize", "pageToken")}
    return page([{"name": n, "stage": "GA"} | ({} if v == "SUPPORTED" else {"customRolesSupportLevel": v})
                 | ({} if n.split(".")[0] + ".googleapis.com" in S["services"][p] else {"apiDisabled": True}) for n, v in PERMISSIONS.items()], rq, "permissions")
