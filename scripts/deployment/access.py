"""Accounts, roles and who has them."""
from . import change as phases
from . import ownership
from .change import Change
from .google import GoogleError
from .live import dataset_grants
from .policies import access_entries, patiently, set_access, set_policy


def accounts(google, desired, live):
    parent = f"v1/projects/{desired.project}/serviceAccounts"
    for account in desired.accounts:
        email, jobs = account["email"], jobs_of(desired, {"serviceAccount:" + account["email"]})
        wanted, there = {"displayName": account["display_name"], "description": account["description"]}, live.accounts.get(email)
        if not there:
            body = {"accountId": account["id"], "serviceAccount": wanted}
            yield Change(phases.ACCOUNTS, "create", "account", account["id"], jobs=jobs, apply=already(
                lambda body=body: google.request("POST", "iam", parent, body=body, repeatable=True)))
            continue
        details = [f"{name}: {there.get(key, 'none')} -> {wanted[key]}" for name, key in (
            ("display name", "displayName"), ("description", "description")) if there.get(key, "") != wanted[key]]
        if there.get("disabled"):
            yield Change(phases.ACCOUNTS, "update", "account", account["id"], details=["disabled -> enabled"], jobs=jobs,
                         apply=lambda email=email: google.request("POST", "iam", f"{parent}/{email}:enable", repeatable=True))
        if details:
            body = {"serviceAccount": wanted, "updateMask": "displayName,description"}
            yield Change(phases.ACCOUNTS, "update", "account", account["id"], details=details, jobs=jobs,
                         apply=lambda email=email, body=body: google.request("PATCH", "iam", f"{parent}/{email}", body=body))


def already(create):
    """A creation whose answer was lost is repeated, and then finds what it has made itself."""
    def apply():
        try:
            create()
        except GoogleError as error:
            if "already exists" not in str(error).lower():
                raise
    return apply


def custom_roles(google, desired, live):
    parent = f"v1/projects/{desired.project}/roles"
    for role in desired.custom_roles:
        body = {"title": role["title"], "description": role["description"], "includedPermissions": role["permissions"], "stage": "GA"}
        there = live.roles.get(role["id"])
        if not there:
            yield Change(phases.ACCOUNTS, "create", "custom role", role["id"], apply=already(
                lambda role=role, body=body: google.request(
                    "POST", "iam", parent, body={"roleId": role["id"], "role": body}, repeatable=True)))
            continue
        have, want = set(there.get("includedPermissions", [])), set(role["permissions"])
        details = [f"+ {p}" for p in sorted(want - have)] + [f"- {p}" for p in sorted(have - want)]
        details += [f"{k}: {there.get(k, 'none')} -> {role[k]}" for k in ("title", "description") if there.get(k) != role[k]]
        details += ["deleted -> undeleted"] if there.get("deleted") else []

        def mend(path=f"{parent}/{role['id']}", body=body, deleted=there.get("deleted")):
            if deleted:
                google.request("POST", "iam", f"{path}:undelete", body={})
            google.request("PATCH", "iam", path, body=body, query={"updateMask": "title,description,includedPermissions,stage"})
        if details:
            yield Change(phases.ACCOUNTS, "update", "custom role", role["id"], mend, details)


def datasets(google, desired, live):
    parent = f"bigquery/v2/projects/{desired.project}/datasets"
    for dataset in desired.datasets:
        name, there = dataset["name"], live.datasets[dataset["name"]]
        if there:
            yield from policy("dataset access", name, desired, dataset["grants"], dataset_grants(there), lambda add, name=name:
                              set_access(google, live, name, add, set()))
            continue
        # Left to itself BigQuery makes whoever creates it its owner, and every editor of the project a writer.
        body = {"datasetReference": {"projectId": desired.project, "datasetId": name}, "description": dataset["description"],
                "location": desired.index["bigquery_location"],
                "labels": {"managed_by": ownership.MARK, "environment": desired.environment},
                "access": [{"role": "OWNER", "specialGroup": "projectOwners"}, *access_entries(dataset["grants"])]}
        create = already(lambda body=body: google.request("POST", "bigquery", parent, body=body, repeatable=True))
        yield Change(phases.ACCESS, "create", "dataset", name, lambda create=create: patiently(google, create),
                     [f"location: {body['location']}", *spoken("+", dataset["grants"])])


def conflicts(desired, live):
    """What no change can mend."""
    want, found = desired.index["bigquery_location"].upper(), {d["name"]: live.datasets[d["name"]] for d in desired.datasets}
    return [f"dataset {name} is in {there['location']}, not in {want}; set bigquery_location in jobs.yaml to where it is"
            for name, there in found.items() if there and there["location"].upper() != want]


def project(google, desired, live):
    yield from policy("project roles", desired.project, desired, desired.project_grants, live.project_grants, lambda add:
                      set_policy(google, live, "project", desired.project, add, set()))


def secrets(google, desired, live):
    for name, wanted in desired.secret_grants.items():
        yield from policy("secret access", name, desired, wanted, live.secret_grants.get(name, set()), lambda add, name=name:
                          set_policy(google, live, "secret", name, add, set()))


def jobs(google, desired, live):
    for name, wanted in desired.job_grants.items():
        yield from policy("job access", name, desired, wanted, live.job_grants.get(name, set()), phase=phases.JOB_ACCESS,
                          jobs=frozenset({name}), apply=lambda add, name=name:
                          set_policy(google, live, "job", name, add, set()))


def policy(kind, name, desired, wanted, actual, apply, phase=phases.ACCESS, jobs=None):
    missing = wanted - actual
    if missing:
        yield Change(phase, "update", kind, name, lambda: apply(missing), spoken("+", missing),
                     jobs if jobs is not None else jobs_of(desired, {member for _, member in missing}))


def spoken(sign, pairs):
    """One line for each role: `+ run.invoker for ca-test-trigger`."""
    by_role = {}
    for role, member in sorted(pairs):
        by_role.setdefault(role.split("/")[-1], []).append(member.partition(":")[2].partition("@")[0])
    return [f"{sign} {role} for {', '.join(members)}" for role, members in by_role.items()]


def jobs_of(desired, members):
    """The deployed jobs whose accounts these are."""
    return frozenset(j["name"] for j in desired.jobs if f"serviceAccount:{j['deployed']['service account']}" in members)


def orphans(google, desired, live):
    """Roles that our accounts have beyond jobs.yaml, and accounts and custom roles of ours that it no longer has."""
    found, ours = [], ownership.members(desired, live)

    def extra(kind, name, actual, wanted, apply):
        beyond = {(role, member) for role, member in actual - wanted if member in ours}
        if beyond:
            found.append(Change(phases.REMOVAL, "delete", kind, name, lambda: apply(beyond), spoken("-", beyond)))

    extra("project roles", desired.project, live.project_grants, desired.project_grants, lambda gone: set_policy(
        google, live, "project", desired.project, set(), gone))
    for kind, all_live, all_wanted in (("secret", live.secret_grants, desired.secret_grants), ("job", live.job_grants, desired.job_grants)):
        for name, actual in all_live.items():
            extra(f"{kind} access", name, actual, all_wanted.get(name, set()), lambda gone, kind=kind, name=name: set_policy(
                google, live, kind, name, set(), gone))
    wanted = {d["name"]: d["grants"] for d in desired.datasets}
    for name, dataset in live.datasets.items():
        extra("dataset access", name, dataset_grants(dataset), wanted.get(name, set()),
              lambda gone, name=name: set_access(google, live, name, set(), gone))
    # After what has them: a policy may not name an account that is gone.
    known, roles = {a["email"] for a in desired.accounts}, {r["id"] for r in desired.custom_roles}
    found += [Change(phases.ACCOUNT_REMOVAL, "delete", "account", email.partition("@")[0], lambda email=email: google.request(
        "DELETE", "iam", f"v1/projects/{desired.project}/serviceAccounts/{email}"))
        for email in live.accounts if email not in known and "serviceAccount:" + email in ours]
    found += [Change(phases.ACCOUNT_REMOVAL, "delete", "custom role", name, lambda name=name: google.request(
        "DELETE", "iam", f"v1/projects/{desired.project}/roles/{name}"))
        for name, role in live.roles.items() if name not in roles and desired.owns_role(name) and not role.get("deleted")
        and ownership.of_role(desired, role)]
    return found
