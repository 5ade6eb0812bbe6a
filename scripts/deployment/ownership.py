"""Which resources of the project are this environment's. A name is no proof: anybody may begin one with the same letters."""
import fnmatch
import re


def of_job(desired, job):
    return desired.ownership["labels"].items() <= job["metadata"].get("labels", {}).items()


def of_alert(desired, thing):
    """An alert policy or a notification channel."""
    return desired.ownership["labels"].items() <= thing.get("userLabels", {}).items()


def of_trigger(desired, live, trigger):
    """It starts jobs as our account, or has our prefix and starts one of our jobs."""
    target = trigger.get("httpTarget", {})
    if target.get("oauthToken", {}).get("serviceAccountEmail") == desired.trigger_account:
        return True
    found = re.search(r"/jobs/([^/:]+):run$", target.get("uri", ""))
    here = f"/{desired.project}/" in target.get("uri", "") and desired.region in target["uri"]
    ours = {j["name"] for j in desired.jobs} | {n for n, job in live.jobs.items() if of_job(desired, job)}
    return bool(found) and here and found[1] in ours and desired.owns(trigger["name"].split("/")[-1])


def of_account(desired, account):
    """Accounts have no labels; their display names are the proof."""
    titles = desired.ownership["account_display_names"]
    ours = any(fnmatch.fnmatchcase(account.get("displayName", ""), title) for title in titles)
    return ours and desired.owns(account["email"].partition("@")[0], "account_prefix")


def of_role(desired, role):
    """Custom roles have no labels either."""
    return role.get("description") == desired.ownership["custom_role_description"]


def members(desired, live):
    """The accounts of ours, those of jobs that are gone too, as policies name them."""
    emails = {a["email"] for a in desired.accounts} | {e for e, a in live.accounts.items() if of_account(desired, a)}
    return {"serviceAccount:" + email for email in emails}


def foreign(desired, live):
    """The resources of others that have our prefix, or a role on our jobs. They are shown and never changed."""
    lines = [f"job {name}" for name, job in live.jobs.items() if desired.owns(name) and not of_job(desired, job)
             and name not in {j["name"] for j in desired.jobs}]
    lines += [f"trigger {name}" for name, trigger in live.triggers.items() if desired.owns(name)
              and name not in desired.triggers and not of_trigger(desired, live, trigger)]
    if live.access_refusal:
        return lines
    known = members(desired, live)
    lines += [f"account {id_}" for id_, email in ((e.partition("@")[0], e) for e in live.accounts)
              if desired.owns(id_, "account_prefix") and f"serviceAccount:{email}" not in known]
    roles = {r["id"] for r in desired.custom_roles}
    lines += [f"custom role {name}" for name, role in live.roles.items() if name not in roles and desired.owns_role(name)
              and not role.get("deleted") and not of_role(desired, role)]
    for name, pairs in live.job_grants.items():
        lines += [f"job {name}: {role.split('/')[-1]} for {member}" for role, member in sorted(pairs) if member not in known]
    return lines
