"""The images of the environment's repository. A tag can be moved, so jobs are deployed by digest."""
import copy
import re

from .comparison import container_of
from .google import GoogleError


class Images:
    """`digests` has `repository/name@sha256:...` for each `repository/name:tag`; `unknown` says why they could not be listed."""

    def __init__(self, digests, unknown=""):
        self.digests, self.unknown = digests, unknown
        self.tags = {}
        for image, digest in digests.items():
            self.tags.setdefault(digest, []).append(image.rpartition(":")[2])

    def __contains__(self, image):
        return image in self.digests

    def absent(self, jobs):
        """The images of these jobs that surely are not in the repository."""
        return [] if self.unknown else [job["image"] for job in jobs if job["image"] not in self]

    def pinned(self, job, live=None):
        """The job with its image by digest. An image that is not there keeps its tag. Where the repository could not be listed, a
        live job keeps the digest that it has."""
        pinned = copy.deepcopy(job)
        container, has = container_of(pinned), container_of(live).get("image", "") if live else ""
        is_same = "@" in has and has.partition("@")[0] == container["image"].rpartition(":")[0]
        container["image"] = has if self.unknown and is_same else self.digests.get(container["image"], container["image"])
        return pinned

    def spoken(self, text):
        """The text with versions for people: `name:0.1.0 (sha256:0123456789ab)`."""
        def version(found):
            tags = self.tags.get(found[0])
            name = f"{found[1]}:{','.join(sorted(tags))}" if tags else found[1]
            return f"{name} ({found[2][:19]}{'' if tags or self.unknown else ', without a tag'})"
        return re.sub(r"(\S+)@(sha256:[0-9a-f]{64})", version, text)


def listed(google, desired):
    """The images of the environment's repository."""
    host, _, path = desired.index["images"].partition("/")
    location, is_registry, _ = host.partition("-docker.pkg.dev")
    if not is_registry or path.count("/") != 1:
        return Images({}, f"{desired.index['images']} is no repository of Artifact Registry")
    project, repository = path.split("/")
    try:
        found = google.pages("artifactregistry", f"v1/projects/{project}/locations/{location}/repositories/{repository}/dockerImages",
                             "dockerImages", pageSize=1000)
    except GoogleError as error:
        return Images({}, "" if error.status == 404 else str(error))
    return Images({f"{image['uri'].partition('@')[0]}:{tag}": image["uri"] for image in found for tag in image.get("tags", [])})
