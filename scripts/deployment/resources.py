"""Jobs, triggers, notification channels and alert policies."""
from . import change as phases
from . import ownership
from .access import already, patiently
from .change import Change
from .comparison import changes, differences, job_differences


def jobs(google, desired, live):
    for job in desired.jobs:
        wanted, there = desired.resources[job["name"]], live.jobs.get(job["name"])
        details = job_differences(wanted, there, desired.words["job"]) if there else [f"image: {job['image']}"]
        action = action_for(there, lambda: ownership.of_job(desired, there))
        if details:
            yield Change(phases.JOBS, action, "job", job["name"], details=details,
                         jobs=frozenset({job["name"]}), apply=lambda job=job: with_account(
                             google, live, job["account"], lambda: google.gcloud(
                                 "run", "jobs", "replace", desired.job_file(job), f"--region={desired.region}")))


def action_for(there, is_ours):
    """What a change is called: a resource without our mark is taken over."""
    return "create" if not there else "update" if is_ours() else "take over"


def with_account(google, live, email, apply):
    """The service may not know a new account and its roles yet."""
    return apply() if email in live.accounts else patiently(google, apply)


def triggers(google, desired, live):
    for job in desired.jobs:
        name = job["trigger"]
        if not name:
            continue
        wanted, there = desired.triggers[name], live.triggers.get(name)
        details = (differences(wanted, there, desired.words["trigger"]) if there
                   else [f"schedule: {wanted['schedule']} ({wanted['timeZone']})"])
        action = action_for(there, lambda: ownership.of_trigger(desired, live, there))
        if details:
            yield Change(phases.TRIGGERS, action, "trigger", name, details=details,
                         jobs=frozenset({job["name"]}),
                         apply=lambda w=wanted, t=there: with_account(
                             google, live, w["httpTarget"]["oauthToken"]["serviceAccountEmail"],
                             lambda: put_trigger(google, desired, w, t)))


def put_trigger(google, desired, wanted, there):
    """Sends the trigger as it was generated. Cloud Scheduler changes the state of a trigger by calls of its own only."""
    body = {key: value for key, value in wanted.items() if key != "state"}
    if not there:
        parent = wanted["name"].rpartition("/")[0]
        already(lambda: google.request("POST", "cloudscheduler", f"v1/{parent}", body=body, repeatable=True))()
    else:
        # A part that is in the mask and not in the body is cleared.
        named = {pointer[1:].replace("/", ".") for pointer in desired.words["trigger"]}
        mask = ",".join(sorted({*leaves(body), *named} - {"name"}))
        google.request("PATCH", "cloudscheduler", f"v1/{wanted['name']}", body=body, query={"updateMask": mask})
    if wanted["state"] != (there or {}).get("state", "ENABLED"):
        verb = "pause" if wanted["state"] == "PAUSED" else "resume"
        google.request("POST", "cloudscheduler", f"v1/{wanted['name']}:{verb}", body={}, repeatable=True)


def leaves(tree, path=()):
    """The paths of a field mask that covers the tree."""
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in leaves(value, (*path, key))]
    return [".".join(path)]


def channels(google, desired, live):
    for channel in desired.channels:
        if channel_of(channel, live.channels):
            continue
        yield Change(phases.CHANNELS, "create", "notification channel", channel["labels"]["email_address"],
                     lambda channel=channel: live.channels.append(google.request(
                         "POST", "monitoring", f"v3/projects/{desired.project}/notificationChannels", body=channel)))


def channel_of(wanted, channels):
    return next((c["name"] for c in channels if wanted["labels"].items() <= c.get("labels", {}).items()), None)


def alerts(google, desired, live):
    parent = f"v3/projects/{desired.project}/alertPolicies"
    for name, document in desired.alerts.items():
        there = next((a for a in live.alerts if a["userLabels"].get("alert") == name), None)
        jobs_named = frozenset(j["name"] for j in desired.jobs if name == f"no-success-{j['job']}")
        if not there:
            yield Change(phases.ALERTS, "create", "alert", name, jobs=jobs_named, apply=lambda d=document: google.request(
                "POST", "monitoring", parent, body=with_channels(d, desired, live)))
            continue
        details = [".".join(path) for path, _, _ in changes(document, there)]
        if desired.channels and set(there.get("notificationChannels", [])) != {channel_of(c, live.channels) for c in desired.channels}:
            details.append("notification channels")
        if details:
            yield Change(phases.ALERTS, "update", "alert", name, details=details, jobs=jobs_named,
                         apply=lambda d=document, t=there: patch_alert(google, with_channels(d, desired, live), t))


def with_channels(document, desired, live):
    """Without alert_emails the policy's channels are left to whoever set them."""
    channels_of_all = [channel_of(c, live.channels) for c in desired.channels]
    return document | ({"notificationChannels": channels_of_all} if channels_of_all else {})


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
    # A change of region leaves everything of the former one behind.
    found += [Change(phases.JOB_REMOVAL, "delete", "job", f"{job['metadata']['name']} in {where}", lambda name=job["metadata"]["name"], where=where:
                     google.gcloud("run", "jobs", "delete", name, f"--region={where}"))
              for where, job in live.jobs_elsewhere if ownership.of_job(desired, job)]
    found += [Change(phases.TRIGGER_REMOVAL, "delete", "trigger", f"{trigger['name'].split('/')[-1]} in {where}",
                     lambda name=trigger["name"]: google.request("DELETE", "cloudscheduler", f"v1/{name}"))
              for where, trigger in live.triggers_elsewhere if ownership.of_trigger(desired, live, trigger)]
    seen = set()
    for policy in live.alerts:
        name = policy["userLabels"].get("alert", "")
        if name not in desired.alerts or name in seen:
            found.append(Change(phases.REMOVAL, "delete", "alert", name or policy["displayName"],
                                lambda p=policy: google.request("DELETE", "monitoring", f"v3/{p['name']}")))
        seen.add(name)
    return found
