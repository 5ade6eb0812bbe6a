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
        if any(v.get("state") == "ENABLED" for v in versions):
            return None
        return (f"secret {name} has no enabled version",
                f"gcloud secrets versions add {name} --data-file=- --project={desired.project}")

    with ThreadPoolExecutor(8) as pool:
        return [answer for answer in pool.map(look, desired.secrets) if answer]


def advice(desired, name, problem):
    create = shlex.join(["gcloud", "secrets", "create", name, "--replication-policy=automatic", "--data-file=-",
                         f"--project={desired.project}"])
    return f"secret {name} {problem}", f"{create}   (reads the value from standard input)"


def missing_images(google, desired):
    """The images that are not in the repository, and why that could not be checked, as for registries of others; one of the two
    is empty."""
    there, unknown = images_in_repository(google, desired)
    return ([] if unknown else [job["image"] for job in desired.jobs if job["image"] not in there]), unknown


def images_in_repository(google, desired):
    """The images of the environment's repository with their tags, and why they could not be listed."""
    host, _, path = desired.index["images"].partition("/")
    location, is_registry, _ = host.partition("-docker.pkg.dev")
    if not is_registry or path.count("/") != 1:
        return set(), f"{desired.index['images']} is no repository of Artifact Registry"
    project, repository = path.split("/")
    try:
        images = google.pages("artifactregistry",
                              f"v1/projects/{project}/locations/{location}/repositories/{repository}/dockerImages",
                              "dockerImages", pageSize=1000)
    except GoogleError as error:
        return set(), "" if error.status == 404 else str(error)
    return {f"{image['uri'].partition('@')[0].partition(':')[0]}:{tag}" for image in images for tag in image.get("tags", [])}, ""
