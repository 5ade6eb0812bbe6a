"""Accounts, roles and who has them. Policies are changed by reading them, changing our own entries, and writing with what was read
as a condition."""
from . import change as phases
from . import ownership
from .change import Change
from .comparison import changes
from .effects import already, patiently
from .google import GoogleError
from .live import dataset_grants, granted


def accounts(google, desired, live):
    parent = f"v1/projects/{desired.project}/serviceAccounts"
    for account in desired.accounts:
        email, jobs = account["email"], jobs_of(desired, {"serviceAccount:" + account["email"]})
        wanted, there = account["resource"], live.accounts.get(email)
        if not there:
            body = {"accountId": account["id"], "serviceAccount": wanted}
            yield Change(phases.ACCOUNTS, "create", "account", account["id"], jobs=jobs, apply=already(
                lambda body=body: google.request("POST", "iam", parent, body=body, repeatable=True)))
            continue
        details = [f"{words(path)}: {have or 'none'} -> {want}" for path, want, have in changes(wanted, there)]
        details += ["disabled -> enabled"] if there.get("disabled") else []

        def update(path=f"{parent}/{email}", wanted=wanted, disabled=there.get("disabled")):
            google.request("PATCH", "iam", path, body={"serviceAccount": wanted, "updateMask": ",".join(wanted)})
            if disabled:
                google.request("POST", "iam", f"{path}:enable", repeatable=True)
        # An account with our id and another display name is somebody else's.
        action = "update" if ownership.of_account(desired, there) else "take over"
        if details:
            yield Change(phases.ACCOUNTS, action, "account", account["id"], update, details, jobs)


def words(path):
    """`display name` for `displayName`."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in path[-1])


def custom_roles(google, desired, live):
    parent = f"v1/projects/{desired.project}/roles"
    for role in desired.custom_roles:
        body, there = role["resource"], live.roles.get(role["id"])
        if not there:
            yield Change(phases.ACCOUNTS, "create", "custom role", role["id"], apply=already(
                lambda role=role, body=body: google.request(
                    "POST", "iam", parent, body={"roleId": role["id"], "role": body}, repeatable=True)))
            continue
        have, want = set(there.get("includedPermissions", [])), set(body["includedPermissions"])
        details = [f"+ {p}" for p in sorted(want - have)] + [f"- {p}" for p in sorted(have - want)]
        # A service may leave out that a role is generally available.
        texts = {key: body[key] for key in ("title", "description")}
        details += [f"{words(path)}: {old or 'none'} -> {new}" for path, new, old in changes(texts, there)]
        details += ["deleted -> undeleted"] if there.get("deleted") else []

        def update(path=f"{parent}/{role['id']}", body=body, deleted=there.get("deleted")):
            if deleted:
                google.request("POST", "iam", f"{path}:undelete", body={})
            google.request("PATCH", "iam", path, body=body, query={"updateMask": ",".join(body)})
        is_ours = ownership.of_role(desired, there) or there.get("deleted")
        if details:
            yield Change(phases.ACCOUNTS, "update" if is_ours else "take over", "custom role", role["id"], update, details)


def datasets(google, desired, live):
    parent = f"bigquery/v2/projects/{desired.project}/datasets"
    for dataset in desired.datasets:
        name, there = dataset["name"], live.datasets[dataset["name"]]
        if there:
            yield from policy("dataset access", name, desired, dataset["grants"], dataset_grants(there), lambda add, name=name:
                              set_access(google, live, name, add, set()))
            continue
        body = dataset["resource"]
        body = body | {"access": body["access"] + access_entries(dataset["grants"])}
        create = already(lambda body=body: google.request("POST", "bigquery", parent, body=body, repeatable=True))
        yield Change(phases.ACCESS, "create", "dataset", name, lambda create=create: patiently(google, create),
                     [f"location: {body['location']}", *spoken("+", dataset["grants"])])


def conflicts(desired, live):
    """The differences that no change can resolve."""
    for dataset in desired.datasets:
        want, there = dataset["resource"]["location"], live.datasets[dataset["name"]]
        if there and there["location"].upper() != want.upper():
            yield (f"dataset {dataset['name']} is in {there['location']}, not in {want.upper()}; "
                   "set bigquery_location in jobs.yaml to where it is")


def project(google, desired, live):
    yield from policy("project roles", desired.project, desired, desired.project_grants, live.project_grants, lambda add:
                      set_policy(google, live, "project", desired.project, add, set()))


def tables(google, desired, live):
    """Tables that do not exist yet are in `waiting`."""
    for name, wanted in desired.table_grants.items():
        if name in live.table_grants:
            yield from policy("table access", name, desired, wanted, live.table_grants[name], lambda add, name=name:
                              set_policy(google, live, "table", name, add, set()))


def waiting(desired, live):
    """One line about the grants on tables that do not exist yet, with what to do; none if all exist."""
    count = sum(len(wanted) for name, wanted in desired.table_grants.items() if name not in live.table_grants)
    if not count:
        return []
    subject = "1 grant waits for a table" if count == 1 else f"{count} grants wait for tables"
    return [f"{subject} that bootstrap creates; run scripts/run-job.sh {desired.environment} bootstrap, "
            f"then scripts/create-all-jobs.sh {desired.environment} again"]


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
    return frozenset(j["name"] for j in desired.jobs if f"serviceAccount:{j['account']}" in members)


def orphans(google, desired, live):
    """Roles that our accounts have beyond jobs.yaml, and accounts and custom roles of ours that it no longer has."""
    found, ours = [], ownership.members(desired, live)

    def extra(kind, name, actual, wanted, apply):
        beyond = {(role, member) for role, member in actual - wanted if member in ours}
        if beyond:
            found.append(Change(phases.REMOVAL, "delete", kind, name, lambda: apply(beyond), spoken("-", beyond)))

    extra("project roles", desired.project, live.project_grants, desired.project_grants, lambda gone: set_policy(
        google, live, "project", desired.project, set(), gone))
    for kind, all_live, all_wanted in (("secret", live.secret_grants, desired.secret_grants), ("job", live.job_grants, desired.job_grants),
                                       ("table", live.table_grants, desired.table_grants)):
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
        for name, role in live.roles.items() if name not in roles and not role.get("deleted") and ownership.of_role(desired, role)]
    return found


def amended(policy, add, remove):
    """The policy with these pairs of role and member more and less; bindings with a condition stay as they are."""
    bindings = [{**b, "members": list(b["members"])} for b in policy.get("bindings", [])]
    for binding in bindings:
        if "condition" not in binding:
            binding["members"] = [m for m in binding["members"] if (binding["role"], m) not in remove]
    for role, member in sorted(add):
        plain = next((b for b in bindings if b["role"] == role and "condition" not in b), None)
        if not plain:
            plain = {"role": role, "members": []}
            bindings.append(plain)
        if member not in plain["members"]:
            plain["members"].append(member)
    return {**policy, "bindings": [b for b in bindings if b["members"]]}


def set_policy(google, live, kind, name, add, remove):
    """The policy of the project, a table, a secret or a job. Its etag makes sure that nobody else's change is lost."""
    service, path, region = live.place(kind, name)

    def once():
        policy = google.request("POST", service, f"{path}:setIamPolicy", region=region, repeatable=True,
                                body={"policy": amended(live.policy(kind, name), add, remove)})
        check(granted(policy), add, remove)

    patiently(google, once)


def check(pairs, add, remove):
    """The reply to a change is the access that holds now."""
    left = spoken("+", add - pairs) + spoken("-", remove & pairs)
    if left:
        raise GoogleError(f"the service accepted the change, and still differs: {'; '.join(left)}")


def set_access(google, live, name, add, remove):
    """The access list of a dataset, which gcloud has no command for."""
    def once():
        dataset = live.dataset(name)
        entries = [e for e in dataset.get("access", []) if not dataset_grants({"access": [e]}) & remove]
        entries += access_entries(add)
        changed = google.request("PATCH", "bigquery", f"bigquery/v2/projects/{google.project}/datasets/{name}",
                                 body={"access": entries}, headers={"If-Match": dataset["etag"]})
        check(dataset_grants(changed), add, remove)

    patiently(google, once)


def access_entries(pairs):
    return [{"role": role, "userByEmail": member.partition(":")[2]} for role, member in sorted(pairs)]
