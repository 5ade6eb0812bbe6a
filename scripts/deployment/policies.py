"""Changing IAM policies and access lists: read, change our own entries, write with what was read as a condition."""
from .google import GoogleError
from .live import dataset_grants


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
    """The policy of the project, a secret or a job. Its etag makes sure that nobody else's change is lost."""
    service, path, region = live.place(kind, name)
    patiently(google, lambda: google.request(
        "POST", service, f"{path}:setIamPolicy", region=region, repeatable=True,
        body={"policy": amended(live.policy(kind, name), add, remove)}))


def set_access(google, live, name, add, remove):
    """The access list of a dataset, which gcloud has no command for."""
    def once():
        dataset = live.dataset(name)
        entries = [e for e in dataset.get("access", []) if not dataset_grants({"access": [e]}) & remove]
        entries += access_entries(add)
        google.request("PATCH", "bigquery", f"bigquery/v2/projects/{google.project}/datasets/{name}",
                       body={"access": entries}, headers={"If-Match": dataset["etag"]})

    patiently(google, once)


def access_entries(pairs):
    return [{"role": role, "userByEmail": member.partition(":")[2]} for role, member in sorted(pairs)]


# What a service says while it does not know a new account, or a role of it, everywhere. gcloud shows the text of a refusal
# only, not its code.
NOT_KNOWN_YET = ("does not exist", "may not exist", "Permission denied on secret")
CHANGED_MEANWHILE = ("concurrent policy changes",)


def patiently(google, attempt):
    """Repeats after somebody else's change, and while a new account is not known everywhere, which takes up to a minute."""
    for seconds in (2, 4, 8, 16, 30, None):
        try:
            return attempt()
        except GoogleError as error:
            passing = error.status == 412 or any(text in str(error) for text in NOT_KNOWN_YET + CHANGED_MEANWHILE)
            if not passing or seconds is None:
                raise
            google.sleep(seconds)
