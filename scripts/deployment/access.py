"""Accounts, roles and who has them."""
from . import change as phases
from .change import Change
from .google import GoogleError
from .live import dataset_grants
from .policies import set_access, set_policy


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
        if not there:
            body = {"datasetReference": {"projectId": desired.project, "datasetId": name}, "description": dataset["description"],
                    "location": desired.index["bigquery_location"],
                    "labels": {"managed_by": "scheduler-jobs", "environment": desired.environment}}
            yield Change(phases.ACCOUNTS, "create", "dataset", name, details=[f"location: {body['location']}"], apply=already(
                lambda body=body: google.request("POST", "bigquery", parent, body=body, repeatable=True)))
        yield from policy("dataset access", name, desired, dataset["grants"], dataset_grants(there), lambda add, name=name:
                          set_access(google, live, name, add, set()))


def conflicts(desired, live):
    """What no change can mend."""
    want = desired.index["bigquery_location"].upper()
    return [f"dataset {name} is in {there['location']}, not in {want}; set bigquery_location in jobs.yaml to where it is"
            for name, there in live.datasets.items() if there and there["location"].upper() != want]


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
    """Roles that our accounts have beyond jobs.yaml, and accounts of jobs that are gone."""
    found = []

    def extra(kind, name, actual, wanted, apply):
        beyond = {(role, member) for role, member in actual - wanted if desired.owns_member(member)}
        if beyond:
            found.append(Change(phases.REMOVAL, "delete", kind, name, lambda: apply(beyond), spoken("-", beyond)))

    extra("project roles", desired.project, live.project_grants, desired.project_grants, lambda gone: set_policy(
        google, live, "project", desired.project, set(), gone))
    for name, wanted in desired.secret_grants.items():
        extra("secret access", name, live.secret_grants.get(name, set()), wanted, lambda gone, name=name: set_policy(
            google, live, "secret", name, set(), gone))
    for name, wanted in desired.job_grants.items():
        extra("job access", name, live.job_grants.get(name, set()), wanted, lambda gone, name=name: set_policy(
            google, live, "job", name, set(), gone))
    for dataset in desired.datasets:
        extra("dataset access", dataset["name"], dataset_grants(live.datasets[dataset["name"]]), dataset["grants"],
              lambda gone, name=dataset["name"]: set_access(google, live, name, set(), gone))
    known = {a["email"] for a in desired.accounts}
    for email in live.accounts:
        if email not in known and desired.owns_member("serviceAccount:" + email):
            # After its roles: a policy may not name an account that is gone.
            found.append(Change(phases.ACCOUNT_REMOVAL, "delete", "account", email.partition("@")[0],
                                lambda email=email: google.request(
                                    "DELETE", "iam", f"v1/projects/{desired.project}/serviceAccounts/{email}")))
    return found
