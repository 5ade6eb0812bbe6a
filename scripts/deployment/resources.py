"""Jobs, triggers, notification channels and alert policies."""
from . import change as phases
from . import ownership
from .access import already
from .change import Change
from .policies import patiently
from .records import job_differences, lacks, trigger_differences


def jobs(google, desired, live):
    for job in desired.jobs:
        there = live.jobs.get(job["name"])
        details = job_differences(job["deployed"], there) if there else [f"image: {job['deployed']['image']}"]
        if details:
            yield Change(phases.JOBS, "update" if there else "create", "job", job["name"], details=details,
                         jobs=frozenset({job["name"]}), apply=lambda job=job: with_account(
                             google, live, job["deployed"]["service account"], lambda: google.gcloud(
                                 "run", "jobs", "replace", desired.job_file(job), f"--region={desired.region}")))


def with_account(google, live, email, apply):
    """An account that this run has made, and its roles, may not be known to the service yet."""
    return apply() if email in live.accounts else patiently(google, apply)


def triggers(google, desired, live):
    for job in desired.jobs:
        name = job["trigger"]
        if not name:
            continue
        wanted, there = desired.triggers[name], live.triggers.get(name)
        details = trigger_differences(wanted, there) if there else [f"schedule: {wanted['schedule']} ({wanted['timeZone']})"]
        if details:
            yield Change(phases.TRIGGERS, "update" if there else "create", "trigger", name, details=details,
                         jobs=frozenset({job["name"]}),
                         apply=lambda w=wanted, t=there, d=details: with_account(
                             google, live, w["httpTarget"]["oauthToken"]["serviceAccountEmail"],
                             lambda: put_trigger(google, desired, w, t, d)))


def put_trigger(google, desired, wanted, there, details):
    name, place = wanted["name"].split("/")[-1], f"--location={desired.region}"
    target, retry = wanted["httpTarget"], wanted["retryConfig"]
    values = [
        place, f"--schedule={wanted['schedule']}", f"--time-zone={wanted['timeZone']}",
        f"--description={wanted['description']}", f"--uri={target['uri']}", f"--http-method={target['httpMethod']}",
        f"--oauth-service-account-email={target['oauthToken']['serviceAccountEmail']}",
        f"--oauth-token-scope={target['oauthToken']['scope']}", f"--attempt-deadline={wanted['attemptDeadline']}",
        f"--max-retry-attempts={retry['retryCount']}", f"--max-retry-duration={retry['maxRetryDuration']}",
        f"--min-backoff={retry['minBackoffDuration']}", f"--max-backoff={retry['maxBackoffDuration']}",
        f"--max-doublings={retry['maxDoublings']}"]
    if not there:
        already(lambda: google.gcloud("scheduler", "jobs", "create", "http", name, *values))()
    elif any(not line.startswith("state: ") for line in details):
        body = ["--clear-message-body"] if there.get("httpTarget", {}).get("body") else []
        google.gcloud("scheduler", "jobs", "update", "http", name, *values, *body)
    if wanted["state"] != (there or {}).get("state", "ENABLED"):
        google.gcloud("scheduler", "jobs", "pause" if wanted["state"] == "PAUSED" else "resume", name, place)


def channels(google, desired, live):
    for email in desired.index["alert_emails"]:
        if channel_of(email, live.channels):
            continue
        body = {"type": "email", "displayName": f"Scheduler jobs ({desired.environment}): {email}",
                "labels": {"email_address": email},
                "userLabels": {"managed-by": ownership.MARK, "environment": desired.environment}}
        yield Change(phases.CHANNELS, "create", "notification channel", email, lambda body=body: live.channels.append(
            google.request("POST", "monitoring", f"v3/projects/{desired.project}/notificationChannels", body=body)))


def channel_of(email, channels):
    return next((c["name"] for c in channels if c.get("labels", {}).get("email_address") == email), None)


def alerts(google, desired, live):
    parent = f"v3/projects/{desired.project}/alertPolicies"
    for name, document in desired.alerts.items():
        there = next((a for a in live.alerts if a["userLabels"].get("alert") == name), None)
        jobs_named = frozenset(j["name"] for j in desired.jobs if name == f"no-success-{j['job']}")
        if not there:
            yield Change(phases.ALERTS, "create", "alert", name, jobs=jobs_named, apply=lambda d=document: google.request(
                "POST", "monitoring", parent, body=with_channels(d, desired, live)))
            continue
        emails = desired.index["alert_emails"]
        details = lacks(document, there)
        if emails and set(there.get("notificationChannels", [])) != {channel_of(e, live.channels) for e in emails}:
            details.append("notification channels")
        if details:
            yield Change(phases.ALERTS, "update", "alert", name, details=details, jobs=jobs_named,
                         apply=lambda d=document, t=there: patch_alert(google, with_channels(d, desired, live), t))


def with_channels(document, desired, live):
    """Without alert_emails the policy's channels are left to whoever set them."""
    emails = desired.index["alert_emails"]
    return document | ({"notificationChannels": [channel_of(e, live.channels) for e in emails]} if emails else {})


def patch_alert(google, document, there):
    # A condition that keeps its name keeps its open incidents.
    conditions = [c | {"name": old["name"]} for c, old in zip(document["conditions"], there["conditions"])]
    body = document | {"conditions": conditions or document["conditions"]}
    google.request("PATCH", "monitoring", f"v3/{there['name']}", body=body, query={"updateMask": ",".join(sorted(document))})


def orphans(google, desired, live):
    """Jobs, triggers and alerts of ours that jobs.yaml does not have."""
    found, region = [], desired.region
    wanted = {j["name"] for j in desired.jobs}
    found += [Change(phases.JOB_REMOVAL, "delete", "job", name, lambda name=name: google.gcloud(
        "run", "jobs", "delete", name, f"--region={region}"))
        for name, job in live.jobs.items() if name not in wanted and ownership.of_job(desired, job)]
    found += [Change(phases.TRIGGER_REMOVAL, "delete", "trigger", name, lambda name=name: google.gcloud(
        "scheduler", "jobs", "delete", name, f"--location={region}"))
        for name, trigger in live.triggers.items() if name not in desired.triggers and ownership.of_trigger(desired, live, trigger)]
    seen = set()
    for policy in live.alerts:
        name = policy["userLabels"].get("alert", "")
        if name not in desired.alerts or name in seen:
            found.append(Change(phases.REMOVAL, "delete", "alert", name or policy["displayName"],
                                lambda p=policy: google.request("DELETE", "monitoring", f"v3/{p['name']}")))
        seen.add(name)
    return found
