"""Artifact Registry: repositories, and the Docker images that a test seeds (or a fake build pushes).

An image is one entry of the state's `docker_images`, keyed by its URI with a tag, a digest or both; what the entry does not
say is made up: {"us-central1-docker.pkg.dev/proj/repo/app:v1": {}} is enough.
"""
import hashlib
import re
import zlib

from core import S, Err, crud, lro, now, page, route

REPO = "v1/projects/{p}/locations/{l}/repositories/{r}"
repo = crud("artifactregistry", "v1/", REPO.removeprefix("v1/"), "repositories", "repositories", "Requested entity was not found.")


@route("artifactregistry", "POST", "v1/projects/{p}/locations/{l}/repositories")
def repo_create(rq, p, l):
    parent, rid = f"projects/{p}/locations/{l}", rq.query["repositoryId"]
    name = f"{parent}/repositories/{rid}"
    if name in S["repositories"]:
        raise Err(409, "the repository already exists")
    S["repositories"][name] = {**rq.body, "name": name, "createTime": now(), "updateTime": now(), "registryUri": f"{l}-docker.pkg.dev/{p}/{rid}"}
    return lro(S["repositories"][name], "devtools.artifactregistry.v1.Repository", parent + "/operations")


# ------------------------------------------------------------------ images
def split(uri):
    """(image, tag, digest) of host/project/repo/path[:tag][@sha256:digest]."""
    uri, _, digest = uri.partition("@")
    image, colon, tag = uri.rpartition(":")
    return (image, tag, digest) if colon and "/" not in tag else (uri, "", digest)


def settle():
    """The seeds in full: keyed by digest, with tags, times and a size."""
    full = {}
    for uri, seed in S["docker_images"].items():
        image, tag, digest = split(uri)
        t = seed.get("uploadTime") or now()
        full[f"{image}@{digest or 'sha256:' + hashlib.sha256(uri.encode()).hexdigest()}"] = {
            "uploadTime": t, "updateTime": t, "buildTime": t, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "imageSizeBytes": str(20_000_000 + zlib.crc32(uri.encode()) % 80_000_000), **seed, "tags": [x for x in dict.fromkeys([tag, *seed.get("tags", [])]) if x]}
    S["docker_images"] = full
    return full


def images(prefix=""):
    """The images whose path begins with the prefix, the newest first."""
    for uri, i in reversed(settle().items()):
        image, _, digest = split(uri)
        if image.startswith(prefix):
            yield {**i, "uri": uri, "image": image, "digest": digest}


def image_exists(uri):
    """Registries other than pkg.dev and gcr.io are not looked at; no tag and no digest means latest."""
    image, tag, digest = split(uri)
    return not re.match(r"[\w-]+\.pkg\.dev/|([a-z]+\.)?gcr\.io/", image) or any(
        i["image"] == image and (i["digest"] == digest if digest else (tag or "latest") in i["tags"]) for i in images(image))


def set_tag(image, tag, digest=None):
    """Point a tag at a digest of the image (none: remove it); a tag is at one digest only."""
    for uri, i in settle().items():
        if split(uri)[0] == image:
            i["tags"] = [x for x in i["tags"] if x != tag] + ([tag] if split(uri)[2] == digest else [])


def push(uri):
    image, tag, _ = split(uri)
    digest = "sha256:" + hashlib.sha256(f"{uri} {now()}".encode()).hexdigest()
    S["docker_images"][f"{image}@{digest}"] = {}
    set_tag(image, tag or "latest", digest)
    return digest


def of_repo(p, l, r):
    repo(p=p, l=l, r=r)
    return list(images(f"{l}-docker.pkg.dev/{p}/{r}/"))


@route("artifactregistry", "GET", REPO + "/dockerImages")
def docker_images(rq, **at):
    keep = ("uri", "tags", "imageSizeBytes", "uploadTime", "mediaType", "buildTime", "updateTime")
    return page([{"name": "projects/{p}/locations/{l}/repositories/{r}/dockerImages/".format(**at) + i["uri"].split("/", 3)[3].replace("/", "%2F"),
                  **{k: i[k] for k in keep}} for i in of_repo(**at)], rq, "dockerImages")


route("containeranalysis", "GET", "v1/projects/{p}/occurrences")(lambda rq, p: {"occurrences": []})
