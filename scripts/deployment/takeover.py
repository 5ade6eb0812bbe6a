"""Resources that have our names and no mark of ours: their definitions are kept before they are replaced."""
import base64
import json
import os
import shlex

from . import ownership
from .desired import ROOT

FOLDER = ".taken-over"


def strangers(desired, live):
    """The jobs and triggers that have the names of jobs.yaml and no mark of ours."""
    jobs = {name: live.jobs[name] for name in desired.resources
            if name in live.jobs and not ownership.of_job(desired, live.jobs[name])}
    found = {name: live.triggers[name] for name in desired.triggers
             if name in live.triggers and not ownership.of_trigger(desired, live, live.triggers[name])}
    return jobs, found


def keep(desired, live, root=ROOT):
    """Writes what will be replaced to .taken-over/<environment>/, and restore.sh with the commands that bring it back. Returns the
    folder. Only the owner can read it: variables of a former job may hold keys."""
    jobs, triggers = strangers(desired, live)
    others = other_strangers(desired, live)
    folder = root / FOLDER / desired.environment
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    lines = ["#!/usr/bin/env bash", f"# Brings back what create-all-jobs.sh took over in {desired.environment}. The new jobs are lost.",
             "set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")"']
    for name, job in jobs.items():
        write(folder / f"{name}.json", json.dumps(former(job), indent=2) + "\n")
        lines.append(gcloud(desired, "run", "jobs", "replace", f"{name}.json", f"--region={desired.region}", "--quiet"))
    for name, trigger in triggers.items():
        write(folder / f"{name}.json", json.dumps(trigger, indent=2) + "\n")
        lines += restore(desired, name, trigger)
    for name, resource, *command in others:
        write(folder / f"{name}.json", json.dumps(resource, indent=2) + "\n")
        lines.append(gcloud(desired, *command, "--quiet"))
    write(folder / "restore.sh", "\n".join(lines) + "\n", mode=0o700)
    return folder.relative_to(root)


def other_strangers(desired, live):
    """The accounts, custom roles and metrics that have our names and no mark of ours: for each the name of its file, its definition,
    and the words of the command that brings it back."""
    for account in desired.accounts:
        there = live.accounts.get(account["email"])
        if there and not ownership.of_account(desired, there):
            yield (f"account-{account['id']}", there, "iam", "service-accounts", "update", account["email"],
                   f"--display-name={there.get('displayName', '')}", f"--description={there.get('description', '')}")
    for role in desired.custom_roles:
        there = live.roles.get(role["id"])
        if there and not there.get("deleted") and not ownership.of_role(desired, there):
            yield (f"role-{role['id']}", there, "iam", "roles", "update", role["id"], f"--title={there.get('title', '')}",
                   f"--description={there.get('description', '')}", f"--permissions={','.join(there.get('includedPermissions', []))}")
    for name in desired.metrics:
        there = live.metrics.get(name)
        if there and not ownership.of_metric(desired, there):
            yield f"metric-{name}", there, "logging", "metrics", "update", name, f"--config-from-file=metric-{name}.json"


def kept_jobs(desired, root=ROOT):
    """The jobs that were taken over from this checkout, by name."""
    folder = root / FOLDER / desired.environment
    found = ((name, folder / f"{name}.json") for name in desired.resources)
    return {name: json.loads(path.read_text()) for name, path in found if path.is_file()}


def write(path, text, mode=0o600):
    """Replaces a file. A definition that was kept before stays beside it: a second takeover must not lose the first one."""
    if path.exists() and path.read_text() != text:
        path.rename(path.with_name(f"{path.name}.{int(path.stat().st_mtime)}"))
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)


def gcloud(desired, *words):
    return shlex.join(["gcloud", *words, f"--project={desired.project}"])


# What Cloud Run writes into a job and does not accept, or does not expect, in a new one.
GIVEN = ("uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "namespace")


def former(job):
    """The job without the parts that the service adds, in the form that `gcloud run jobs replace` accepts."""
    metadata = {key: value for key, value in job["metadata"].items() if key not in GIVEN}
    for part in ("labels", "annotations"):
        metadata[part] = {k: v for k, v in metadata.get(part, {}).items() if k.split("/")[0] not in (
            "run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev") or k == "run.googleapis.com/launch-stage"}
    return {"apiVersion": job.get("apiVersion", "run.googleapis.com/v1"), "kind": "Job", "metadata": metadata, "spec": job["spec"]}


def restore(desired, name, trigger):
    target, words = trigger.get("httpTarget"), [f"--location={desired.region}", "--quiet"]
    if not target:
        return [f"# {name} did not start a URL: see {name}.json"]
    account, retries = target.get("oauthToken") or target.get("oidcToken") or {}, trigger.get("retryConfig", {})
    kind = "oauth" if "oauthToken" in target else "oidc"
    options = {
        "schedule": trigger.get("schedule"), "time-zone": trigger.get("timeZone"), "uri": target.get("uri"),
        "http-method": target.get("httpMethod", "POST"), "description": trigger.get("description", ""),
        f"{kind}-service-account-email": account.get("serviceAccountEmail"), "oauth-token-scope": account.get("scope"),
        "attempt-deadline": trigger.get("attemptDeadline"), "max-retry-attempts": retries.get("retryCount", 0),
        "max-retry-duration": retries.get("maxRetryDuration"), "min-backoff": retries.get("minBackoffDuration"),
        "max-backoff": retries.get("maxBackoffDuration"), "max-doublings": retries.get("maxDoublings")}
    if "body" in target:
        options["message-body"] = base64.b64decode(target["body"]).decode(errors="replace")
    headers = {k: v for k, v in target.get("headers", {}).items() if k != "User-Agent"}
    if headers:
        options["update-headers"] = "^\x1f^" + "\x1f".join(f"{k}={v}" for k, v in headers.items())
    words += [f"--{option}={value}" for option, value in options.items() if value is not None]
    commands = [gcloud(desired, "scheduler", "jobs", "update", "http", name, *words)]
    state = "pause" if trigger.get("state") == "PAUSED" else "resume"
    return [*commands, gcloud(desired, "scheduler", "jobs", state, name, f"--location={desired.region}", "--quiet")]
