"""The things that must exist before anything can be deployed."""
import shlex
from concurrent.futures import ThreadPoolExecutor

from .google import GoogleError

RESOURCE_MANAGER = "cloudresourcemanager.googleapis.com"


def missing(google, desired):
    """Everything that is missing, each with what to do about it; empty when deployment can start."""
    project = desired.project
    try:
        enabled = {s["config"]["name"] for s in google.pages(
            "serviceusage", f"v1/projects/{project}/services", "services", filter="state:ENABLED", pageSize=200)}
    except GoogleError as error:
        return [(f"project {project} cannot be reached as {google.account}: {error}",
                 error.advice or f"gcloud auth login, or ask for access to {project}")]
    google.enabled = enabled
    disabled = [s for s in desired.index["services"] if s not in enabled]
    # The deployer's calls may be charged to another project, where it is enabled. A request gives the better answer.
    if RESOURCE_MANAGER in disabled and answers(google, project):
        disabled.remove(RESOURCE_MANAGER)
    found = []
    if disabled:
        found.append((f"services not enabled: {', '.join(disabled)}",
                      f"gcloud services enable {' '.join(disabled)} --project={project}"))
    return found + missing_secrets(google, desired, "secretmanager.googleapis.com" in enabled)


def answers(google, project):
    """Whether the project's access list can be read."""
    try:
        google.request("POST", "cloudresourcemanager", f"v1/projects/{project}:getIamPolicy", body={}, repeatable=True)
    except GoogleError:
        return False
    return True


def missing_secrets(google, desired, can_look):
    if not can_look:
        return [advice(desired, name, "cannot be there while its service is not enabled") for name in desired.secrets]

    def look(name):
        path = f"v1/projects/{desired.project}/secrets/{name}/versions"
        try:
            versions = google.pages("secretmanager", path, "versions", pageSize=100)
        except GoogleError as error:
            if error.status != 404:
                return (f"secret {name} cannot be read: {error}", error.advice or f"ask for access to {desired.project}")
            return advice(desired, name, "does not exist")
        enabled = {v["name"].split("/")[-1] for v in versions if v.get("state") == "ENABLED"}
        if not enabled:
            return (f"secret {name} has no enabled version",
                    f"gcloud secrets versions add {name} --data-file=- --project={desired.project}")
        gone = sorted(desired.secret_versions[name] - enabled - {"latest"})
        if gone:
            return (f"secret {name} has no enabled version {', '.join(gone)}, which jobs.yaml names; enabled: {', '.join(sorted(enabled, key=int))}",
                    f"gcloud secrets versions list {name} --project={desired.project}")
        return None

    with ThreadPoolExecutor(8) as pool:
        return [answer for answer in pool.map(look, desired.secrets) if answer]


def advice(desired, name, problem):
    create = shlex.join(["gcloud", "secrets", "create", name, "--replication-policy=automatic", "--data-file=-",
                         f"--project={desired.project}"])
    return f"secret {name} {problem}", f"{create}   (reads the value from standard input)"
