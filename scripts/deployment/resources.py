"""Jobs and triggers."""
import json
import os
import re
import tempfile

from . import change as phases
from . import ownership
from .change import Change
from .comparison import comparable_trigger, container_of, extras, is_ready, job_differences, not_ready, trigger_differences
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


def conflicts(desired, live):
    """Cloud Scheduler is not everywhere where Cloud Run is, and only the service knows where it is now."""
    known = live.scheduler_locations
    if desired.triggers and known and desired.region not in known:
        yield f"Cloud Scheduler is not in {desired.region}, so no trigger can be there; set region in jobs.yaml to one of: {', '.join(known)}"


def orphans(google, desired, live):
    """Jobs and triggers of ours that jobs.yaml does not have."""
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
    return found
