"""Jobs, triggers, notification channels and alert policies."""
import json
import os
import re
import tempfile

from . import change as phases
from . import ownership
from .change import Change
from .comparison import changes, comparable_trigger, container_of, extras, is_ready, job_differences, not_ready, trigger_differences
from .effects import final, once, patiently, verified
from .google import GoogleError
from .takeover import former


def jobs(google, desired, live):
    for job in desired.jobs:
        there = live.jobs.get(job["name"])
        wanted = live.images.pinned(desired.resources[job["name"]], there)
        details = job_differences(wanted, there, desired.words["job"]) if there else [f"image: {container_of(wanted)['image']}"]
        action = action_for(there, lambda: ownership.of_job(desired, there))
        if details:
            yield Change(phases.JOBS, action, "job", job["name"], details=[live.images.spoken(d) for d in details],
                         jobs=frozenset({job["name"]}), apply=lambda job=job, wanted=wanted: with_account(
                             google, live, job["account"], lambda: put_job(google, desired, wanted, live.jobs.get(job["name"]))))


def put_job(google, desired, wanted, there):
    """Replaces or creates the job, and reads it. A job that worked is put back if its replacement cannot run."""
    path = f"apis/run.googleapis.com/v1/namespaces/{desired.project}/jobs/{wanted['metadata']['name']}"

    def read():
        return google.get("run", path, desired.region)

    try:
        verified(google, lambda: replace(google, desired, wanted), lambda: [
            d for d in job_differences(wanted, read(), desired.words["job"]) if not d.startswith("not ready")])
    except GoogleError as error:
        if not there or not is_ready(there):
            raise
        broken = not_ready({"status": read().get("status", {})})
        if not broken:
            raise
        replace(google, desired, former(there))
        raise GoogleError(f"{broken[0]}. The job that worked was put back. {error}") from None


def replace(google, desired, job):
    """gcloud repeats a creation whose reply was lost, and then fails on its own work."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "job.json")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(job, out)
        for attempt in range(4):
            try:
                return google.gcloud("run", "jobs", "replace", file, f"--region={desired.region}")
            except GoogleError as error:
                text = str(error).lower()
                if attempt == 3 or not re.search(r"already exists|conflict for resource|\berror 429|too many requests|resource_exhausted", text):
                    raise
                google.sleep(2 ** attempt)


def action_for(there, is_ours):
    """What a change is called: a resource without our mark is taken over."""
    return "create" if not there else "update" if is_ours() else "take over"


def with_account(google, live, email, apply):
    """The service may not know a new account and its roles yet."""
    if email not in live.accounts:
        return patiently(google, apply)
    try:
        return apply()
    except GoogleError as error:
        raise final(google, error) from None


def triggers(google, desired, live):
    for job in desired.jobs:
        name = job["trigger"]
        if not name:
            continue
        wanted, there = desired.triggers[name], live.triggers.get(name)
        details = (trigger_differences(wanted, there, desired.words["trigger"]) if there
                   else [f"schedule: {wanted['schedule']} ({wanted['timeZone']})"])
        action = action_for(there, lambda: ownership.of_trigger(desired, live, there))
        if details:
            yield Change(phases.TRIGGERS, action, "trigger", name, details=details,
                         jobs=frozenset({job["name"]}),
                         apply=lambda w=wanted, t=there: with_account(
                             google, live, w["httpTarget"]["oauthToken"]["serviceAccountEmail"],
                             lambda: put_trigger(google, desired, w, t)))


def put_trigger(google, desired, wanted, there):
    """Sends the trigger as it was generated, and reads it. Cloud Scheduler changes the state of a trigger by calls of its own only."""
    path = f"v1/{wanted['name']}"

    def put():
        live = there
        if not live:
            body = {key: value for key, value in wanted.items() if key != "state"}
            live = once(google, lambda: google.request("POST", "cloudscheduler", path.rpartition("/")[0], body=body, repeatable=True),
                        lambda: google.get("cloudscheduler", path))
        if trigger_differences(wanted, live, desired.words["trigger"]):
            live = google.request("PATCH", "cloudscheduler", path, query={"updateMask": mask_of(wanted, live)}, body={
                key: value for key, value in wanted.items() if key != "state"})
        if wanted["state"] != live.get("state", "ENABLED"):
            verb = "pause" if wanted["state"] == "PAUSED" else "resume"
            google.request("POST", "cloudscheduler", f"{path}:{verb}", body={}, repeatable=True)

    verified(google, put, lambda: trigger_differences(wanted, google.get("cloudscheduler", path), desired.words["trigger"]))


def mask_of(wanted, live):
    """The field mask of an update: every part that is wanted, and every part that is there and not wanted, which the service clears
    because it is in the mask and not in the body. A mask cannot name one header."""
    surplus = [".".join(path) for path, _, _ in extras(wanted, comparable_trigger(live))]
    fields = {*leaves({k: v for k, v in wanted.items() if k not in ("name", "state")}), *surplus}
    return ",".join(sorted({"httpTarget.headers" if f.startswith("httpTarget.headers") else f for f in fields}))


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
                     lambda channel=channel: create_channel(google, desired, live, channel))


def create_channel(google, desired, live, channel):
    path, field = f"v3/projects/{desired.project}/notificationChannels", "notificationChannels"
    live.channels.append(only_one(google, path, field, channel, lambda c: ownership.of_alert(desired, c) and channel_of(channel, [c])))


def only_one(google, path, field, body, is_it):
    """Creates an alert or a channel, which have no names of ours. Two deployments at the same time both create one; both then keep
    the older one."""
    def found():
        return sorted((c for c in google.pages("monitoring", path, field) if is_it(c)),
                      key=lambda c: (c.get("creationRecord", {}).get("mutateTime", ""), c["name"]))

    once(google, lambda: google.request("POST", "monitoring", path, body=body), lambda: next(iter(found()), None))
    kept, *others = found() or [None]
    if not kept:
        raise GoogleError("the service accepted the creation, and does not list the result")
    for other in others:
        try:
            google.request("DELETE", "monitoring", f"v3/{other['name']}", query={"force": "true"} if field == "notificationChannels" else {})
        except GoogleError as error:
            if error.status != 404:
                raise
    return kept


def channel_of(wanted, channels):
    return next((c["name"] for c in channels if wanted["labels"].items() <= c.get("labels", {}).items()), None)


def alerts(google, desired, live):
    parent = f"v3/projects/{desired.project}/alertPolicies"
    for name, document in desired.alerts.items():
        there = next((a for a in live.alerts if a["userLabels"].get("alert") == name), None)
        jobs_named = frozenset(j["name"] for j in desired.jobs if name == f"no-success-{j['job']}")
        if not there:
            yield Change(phases.ALERTS, "create", "alert", name, jobs=jobs_named, apply=lambda d=document, name=name: only_one(
                google, parent, "alertPolicies", with_channels(d, desired, live),
                lambda a, name=name: ownership.of_alert(desired, a) and a["userLabels"].get("alert") == name))
            continue
        details = alert_differences(document, there)
        if desired.channels and set(there.get("notificationChannels", [])) != {channel_of(c, live.channels) for c in desired.channels}:
            details.append("notification channels")
        if details:
            yield Change(phases.ALERTS, "update", "alert", name, details=details, jobs=jobs_named,
                         apply=lambda d=document, t=there: verified(
                             google, lambda: patch_alert(google, with_channels(d, desired, live), t),
                             lambda: alert_differences(d, google.get("monitoring", f"v3/{t['name']}"))))


def alert_differences(document, there):
    """The parts that an update would change. The service adds to conditions, and to nothing else that is compared."""
    found = list(changes(document, there))
    for part in ("userLabels", "documentation", "alertStrategy"):
        found += [(path, want, have) for path, want, have in extras(document.get(part), there.get(part), (part,))]
    return [f"{'.'.join(path)}: {brief(have)} -> {brief(want)}" for path, want, have in found]


def brief(value):
    text = "none" if value in (None, "", [], {}) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def with_channels(document, desired, live):
    """Without alert_emails the policy's channels are left to whoever set them."""
    channels_of_all = [channel_of(c, live.channels) for c in desired.channels]
    return document | ({"notificationChannels": channels_of_all} if channels_of_all else {})


def patch_alert(google, document, there):
    # A condition that keeps its name keeps its open incidents.
    names = [{"name": old["name"]} for old in there["conditions"]]
    conditions = [c | (names[i] if i < len(names) else {}) for i, c in enumerate(document["conditions"])]
    google.request("PATCH", "monitoring", f"v3/{there['name']}", body=document | {"conditions": conditions},
                   query={"updateMask": ",".join(sorted(document))})


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
