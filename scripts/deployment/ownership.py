"""Which resources of the project are this environment's. A name is no proof: anybody may begin one with the same letters."""
import fnmatch
import re


def of_job(desired, job):
    return desired.ownership["labels"].items() <= job["metadata"].get("labels", {}).items()


def of_alert(desired, thing):
    """An alert policy or a notification channel."""
    return desired.ownership["labels"].items() <= thing.get("userLabels", {}).items()


def of_trigger(desired, live, trigger):
    """It starts jobs as the account of this environment's triggers, or its description says that it starts one of our jobs."""
    target = started_job(desired, trigger)
    if account_of(trigger) in trigger_accounts(desired, live):
        return True
    return bool(target) and trigger.get("description", "").startswith(f"Starts {target[1]}.") and target in our_jobs(desired, live)


def trigger_accounts(desired, live):
    """The account of the triggers, and those of earlier prefixes."""
    title = next(t for t in desired.ownership["account_display_names"] if "*" not in t)
    return {desired.trigger_account} | {e for e, a in live.accounts.items() if a.get("displayName") == title}


def account_of(trigger):
    """The account as which a trigger sends its requests; empty if it has none."""
    target = trigger.get("httpTarget", {})
    return (target.get("oauthToken") or target.get("oidcToken") or {}).get("serviceAccountEmail", "")


def our_jobs(desired, live):
    """Pairs of region and name: the jobs of jobs.yaml, and those that have our labels wherever they are."""
    ours = {(desired.region, job["name"]) for job in desired.jobs}
    ours |= {(desired.region, name) for name, job in live.jobs.items() if of_job(desired, job)}
    return ours | {(region, job["metadata"]["name"]) for region, job in live.jobs_elsewhere if of_job(desired, job)}


def started_job(desired, trigger):
    """The region and the name of the job of this project that a trigger starts, by either version of the service; or `None`."""
    uri = trigger.get("httpTarget", {}).get("uri", "")
    found = re.match(r"https?://([^/]+)/.*?(?:namespaces|projects)/([^/]+)/(?:locations/([^/]+)/)?jobs/([^/:?#]+):run(?:[?#]|$)", uri)
    if not found or not (found[2] == desired.project or found[2].isdigit()):
        return None
    host = re.match(r"([a-z]+-[a-z]+\d+)-run\.|run\.([a-z]+-[a-z]+\d+)\.rep\.", found[1])
    region = found[3] or (host and (host[1] or host[2]))
    return (region, found[4]) if region else None


def of_account(desired, account):
    """Accounts have no labels; their display names are the proof. Their ids are not: account_prefix may have been another one."""
    titles = desired.ownership["account_display_names"]
    ours = any(fnmatch.fnmatchcase(account.get("displayName", ""), title) for title in titles)
    return ours and account["email"].endswith(f"@{desired.project}.iam.gserviceaccount.com")


def of_role(desired, role):
    """Custom roles have no labels either."""
    return role.get("description") == desired.ownership["custom_role_description"]


def of_metric(desired, metric):
    """Nor have log-based metrics."""
    return metric.get("description", "").endswith(desired.ownership["metric_description"])


def of_dashboard(desired, dashboard):
    return desired.ownership["labels"].items() <= dashboard.get("labels", {}).items()


def members(desired, live):
    """The accounts of ours, those of jobs that are gone too, as policies name them."""
    emails = {a["email"] for a in desired.accounts} | {e for e, a in live.accounts.items() if of_account(desired, a)}
    return {"serviceAccount:" + email for email in emails}


def foreign(desired, live):
    """The resources of others that have our prefix, or a role on our jobs. They are shown and never changed."""
    lines = [f"job {name}" for name, job in live.jobs.items() if desired.owns(name) and not of_job(desired, job)
             and name not in {j["name"] for j in desired.jobs}]
    lines += [f"trigger {name}" for name, trigger in live.triggers.items() if desired.owns(name)
              and name not in desired.triggers and not of_trigger(desired, live, trigger)
              and started_job(desired, trigger) not in our_jobs(desired, live)]
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
