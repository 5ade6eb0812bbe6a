"""Cloud Build: a submitted build runs nothing and succeeds after `polls` GETs; its images then exist in Artifact Registry.

With it, as much of Cloud Storage as `gcloud builds submit` needs: buckets, an upload (its bytes are counted, not kept), log files.
"""
import base64
import hashlib
import json
import re
import uuid

from core import CONFIG, S, Err, Reply, now, number, page, rand, route, take

from .artifacts import push

# ------------------------------------------------------------------ Cloud Storage
BUCKET = "storage/v1/b/{b}"


def bucket(b):
    return take("buckets", b, "The specified bucket does not exist.")


@route("storage", "POST", "storage/v1/b")
def bucket_create(rq):
    name = rq.body.get("name", "")
    if not re.match(r"[a-z0-9][-._a-z0-9]{1,61}[a-z0-9]$", name):
        raise Err(400, f"Invalid bucket name: '{name}'")
    if name in S["buckets"]:
        raise Err(409, "Your previous request to create the named bucket succeeded and you already own it.")
    S["buckets"][name] = {"kind": "storage#bucket", "location": "US", "storageClass": "STANDARD", **rq.body, "id": name, "timeCreated": now(),
                          "projectNumber": number(rq.query["project"])}
    return S["buckets"][name]


route("storage", "GET", BUCKET)(lambda rq, b: bucket(b))
route("storage", "GET", "storage/v1/b")(lambda rq: page([v for k, v in S["buckets"].items() if v["projectNumber"] == number(rq.query["project"])
                                                         and k.startswith(rq.query.get("prefix", ""))], rq, "items"))
route("storage", "GET", BUCKET + "/o")(lambda rq, b: bucket(b) and page([v for v in S["objects"].values() if v["bucket"] == b
                                                                         and v["name"].startswith(rq.query.get("prefix", ""))], rq, "items"))


def put_object(b, name, data, text=None):
    S["objects"][f"{b}/{name}"] = {"kind": "storage#object", "id": f"{b}/{name}", "bucket": b, "name": name, "size": str(len(data)), "generation": rand(16, "123456789"),
                                   "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(), "timeCreated": now()} | ({"text": text} if text else {})
    return S["objects"][f"{b}/{name}"]


@route("storage", "POST", "upload/" + BUCKET + "/o", "resumable/upload/" + BUCKET + "/o")
def upload(rq, b):
    """media, multipart (metadata, then data) or the start of a resumable upload."""
    bucket(b)
    kind, name = rq.query.get("uploadType"), rq.query.get("name")
    if kind == "resumable":
        S["objects"]["upload/" + (uid := rand(20))] = {"bucket": b, "name": name or rq.body["name"], "size": 0}
        return Reply(200, b"", {"Location": f"http://{rq.host}/{rq.path}?uploadType=resumable&upload_id={uid}"})
    if kind == "multipart":
        mark = b"--" + re.search("""boundary=["']?([^"';]+)""", rq.headers["Content-Type"])[1].encode()
        _, head, rest = rq.raw.split(mark, 2)
        eol = b"\r\n" if head.startswith(b"\r\n") else b"\n"
        return put_object(b, name or json.loads(head.split(eol * 2, 1)[1])["name"], rest.split(eol * 2, 1)[1].rpartition(eol + mark)[0])
    return put_object(b, name, rq.raw)


@route("storage", "PUT", "upload/" + BUCKET + "/o", "resumable/upload/" + BUCKET + "/o")
def upload_part(rq, b):
    key = "upload/" + rq.query["upload_id"]
    part, total = take("objects", key, "No such upload."), rq.headers.get("Content-Range", "*/*").rpartition("/")[2]
    part["size"] += len(rq.raw)
    if total == "*" or part["size"] < int(total):
        return Reply(308, b"", {"Range": f"bytes=0-{part['size'] - 1}"} if part["size"] else {})
    del S["objects"][key]
    return put_object(b, part["name"], rq.raw) | {"size": total}


route("storage", "GET", BUCKET + "/o/{o**}")(lambda rq, b, o: raw(rq, b, o) if rq.query.get("alt") == "media" else take("objects", f"{b}/{o}", f"No such object: {b}/{o}"))


@route("storage", "GET", "{b}/{o**}")
def raw(rq, b, o):
    """An object's bytes, from where a Range header says: how gcloud follows a build's log."""
    if b == "storage":
        raise Err(400, f"fake Google does not implement GET {rq.host}/{rq.path}", "UNIMPLEMENTED")
    data = take("objects", f"{b}/{o}", f"No such object: {b}/{o}").get("text", "").encode()
    start = int((re.match(r"bytes=(\d+)-", rq.headers.get("Range", "")) or [0, 0])[1])
    if start >= len(data):
        raise Err(416, "The requested range cannot be satisfied.")
    return Reply(206, data[start:], {"Content-Type": "text/plain", "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})


# ------------------------------------------------------------------ Cloud Build
BUILDS = "v1/projects/{p}/locations/{l}/builds"


@route("cloudbuild", "POST", BUILDS, "v1/projects/{p}/builds")
def build_create(rq, p, l="global"):
    b, src = dict(rq.body), rq.body.get("source", {}).get("storageSource")
    if not b.get("steps"):
        raise Err(400, "invalid build: no build steps specified")
    if src and f"{src['bucket']}/{src['object']}" not in S["objects"]:
        raise Err(404, f"could not resolve storage source: object {src['bucket']}/{src['object']} not found")
    if src:
        b["sourceProvenance"] = {"resolvedStorageSource": src}
    bid = str(uuid.uuid4())
    b = substitute(b, {"PROJECT_ID": p, "PROJECT_NUMBER": number(p), "BUILD_ID": bid, "LOCATION": l, **b.get("substitutions", {})})
    S["builds"][bid] = {"timeout": "600s", "queueTtl": "3600s", "logsBucket": f"gs://{number(p)}.cloudbuild-logs.googleusercontent.com", "options": {
        "logging": "LEGACY"}, **b, "id": bid, "projectId": p, "status": "QUEUED", "createTime": now(), "polls": 0,
        "name": f"projects/{number(p)}/locations/{l}/builds/{bid}", "logUrl": f"https://console.cloud.google.com/cloud-build/builds/{bid}?project={number(p)}"}
    return {"name": f"operations/build/{p}/{base64.b64encode(bid.encode()).decode()}", "metadata": {
        "@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata", "build": shown(S["builds"][bid])}}


def substitute(x, values):
    """$NAME and ${NAME} in every string; a name without a value is an error if it is the caller's own, else empty."""
    def value(m):
        name = m[1] or m[2]
        if name.startswith("_") and name not in values:
            raise Err(400, f'generic::invalid_argument: key "{name}" in the template is not matched in the substitution data')
        return values.get(name, "")
    if isinstance(x, str):
        return re.sub(r"(?<!\$)\$(?:\{([A-Z_][A-Z0-9_]*)\}|([A-Z_][A-Z0-9_]*))", value, x)
    return {k: substitute(v, values) for k, v in x.items()} if isinstance(x, dict) else [substitute(v, values) for v in x] if isinstance(x, list) else x


def shown(b):
    return {k: v for k, v in b.items() if k != "polls"}


def finish(b, status, *lines, **more):
    b |= {"status": status, "finishTime": now(), **more}
    text = "\n".join([f'starting build "{b["id"]}"', "", "fake Google: nothing was built", *lines, {"SUCCESS": "DONE"}.get(status, "ERROR")]) + "\n"
    logs = b["logsBucket"].removeprefix("gs://")
    put_object(logs.partition("/")[0], "/".join([*logs.split("/")[1:], f"log-{b['id']}.txt"]), text.encode(), text)


@route("cloudbuild", "GET", BUILDS + "/{i}", "v1/projects/{p}/builds/{i}")
def build_get(rq, p, i, l="global"):
    """QUEUED, then WORKING, then SUCCESS; FAILURE when an image has `fail` in its name or no repository, or _FAKE_RESULT=fail is substituted."""
    b = take("builds", i, f"no Build found for project {p} and id {i}")
    b["polls"] += 1
    if b["status"] == "QUEUED":
        b |= {"status": "WORKING", "startTime": now()}
    if b["status"] == "WORKING" and b["polls"] > CONFIG["polls"]:
        names = [*b.get("images", []), *(s["args"][-1] for s in b["steps"] if "docker" in s.get("name", "") and s.get("args", [""])[0] == "push")]
        repos = [f"projects/{m[2]}/locations/{m[1]}/repositories/{m[3]}" for n in names if (m := re.match(r"([\w-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/", n))]
        gone = [r for r in repos if r not in S["repositories"]]
        if gone:
            finish(b, "FAILURE", f'denied: Repository "{gone[0].split("/")[-1]}" not found', failureInfo={
                "type": "PUSH_FAILED", "detail": f"failed to push image: {gone[0]} not found"})
        elif any("fail" in n for n in names) or b.get("substitutions", {}).get("_FAKE_RESULT", "").startswith("fail"):
            finish(b, "FAILURE", "fake Google: simulated failure", failureInfo={
                "type": "USER_BUILD_STEP", "detail": "Build step failure: build step 0 failed: step exited with non-zero status: 1"})
        else:
            finish(b, "SUCCESS", *("pushed " + n for n in names), results={"images": [{"name": n, "digest": push(n)} for n in names]})
    return shown(b)


@route("cloudbuild", "POST", BUILDS + "/{i}:cancel", "v1/projects/{p}/builds/{i}:cancel")
def build_cancel(rq, p, i, l="global"):
    b = take("builds", i, f"no Build found for project {p} and id {i}")
    if b["status"] in ("QUEUED", "WORKING"):
        finish(b, "CANCELLED")
    return shown(b)


route("cloudbuild", "GET", BUILDS, "v1/projects/{p}/builds")(
    lambda rq, p, l="global": page([shown(b) for b in reversed(S["builds"].values()) if b["projectId"] == p], rq, "builds"))
route("cloudbuild", "GET", "v1/projects/{p}/locations/{l}/defaultServiceAccount")(lambda rq, p, l: {
    "name": f"projects/{p}/locations/{l}/defaultServiceAccount", "serviceAccountEmail": f"projects/{p}/serviceAccounts/{number(p)}-compute@developer.gserviceaccount.com"})
