"""Resources as they should be and as they are, compared part by part."""
import json
import re

UNITS = {"m": 1 / 1000, "": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "K": 1e3, "M": 1e6, "G": 1e9}
TASK = ("spec", "template", "spec", "template", "spec")
CONTAINER = (*TASK, "containers", "0")
# Google writes labels and annotations with names of its own into a job. These are the ones that people choose.
GOOGLES = ("run.googleapis.com/", "cloud.googleapis.com/", "client.knative.dev/", "serving.knative.dev/", "goog-")
CHOSEN = {f"run.googleapis.com/{name}" for name in (
    "vpc-access-connector", "vpc-access-egress", "network-interfaces", "cloudsql-instances", "execution-environment", "encryption-key",
    "encryption-key-shutdown-hours", "post-key-revocation-action-type", "binary-authorization", "binary-authorization-breakglass",
    "secrets", "sandbox", "cpu-throttling", "startup-cpu-boost", "gpu-zonal-redundancy-disabled", "container-dependencies", "launch-stage")}
# The parts whose texts are compared letter by letter: 1 and 1.0 are two values of a variable.
LITERAL = {"env", "secrets", "args", "command", "labels", "image"}
# The values that Cloud Run uses where a job has none.
DEFAULTS = {(*TASK, "maxRetries"): 3, (*TASK, "timeoutSeconds"): 600, ("spec", "template", "spec", "taskCount"): 1,
            ("spec", "template", "metadata", "annotations", "run.googleapis.com/execution-environment"): "gen2"}
# The names of parts that jobs.yaml has no word for. A replacement removes them.
OTHER_WORDS = {("metadata", "annotations"): "job annotation", ("spec", "template", "metadata", "labels"): "execution label",
               CONTAINER: "container", TASK: "task", ("spec", "template", "spec"): "execution", ("httpTarget", "headers"): "header"}
# The parts of a trigger that people choose, and the headers that Cloud Scheduler sets.
TRIGGER_PARTS = {"description", "schedule", "timeZone", "state", "attemptDeadline", "retryConfig", "httpTarget", "pubsubTarget",
                 "appEngineHttpTarget"}
SET_HEADERS = ("User-Agent", "Host", "Content-Length", "X-CloudScheduler", "X-Google-", "X-AppEngine-")


def container_of(job):
    return job["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]


def job_differences(wanted, actual, words):
    """Lines such as `memory: 512Mi -> 1Gi`; values of variables are shown, secrets are names only."""
    wanted, actual = comparable(wanted), comparable(actual)
    for path, value in DEFAULTS.items():
        if at(actual, path) is None:
            put(actual, path, value)
    ready = not_ready(actual)
    wanted.pop("status"), actual.pop("status")
    return differences(wanted, actual, words) + ready


def comparable(job):
    """The whole job without what the service adds; its variables by name, those that hold secrets apart."""
    spec = job["spec"]["template"]["spec"]["template"]["spec"]
    # Cloud Run names a container by itself.
    containers = [{k: v for k, v in c.items() if k != "name"} for c in spec["containers"]]
    for container in containers:
        variables = container.pop("env", [])
        container["env"] = {v["name"]: v.get("value", "") for v in variables if "valueFrom" not in v}
        container["secrets"] = {v["name"]: secret(v["valueFrom"]) for v in variables if "valueFrom" in v}
    execution, metadata = job["spec"]["template"], job["metadata"]
    template = {**execution["spec"], "template": {"spec": {**spec, "containers": containers}}}
    around = execution.get("metadata", {})
    annotations = {k: v for k, v in chosen(metadata.get("annotations", {})).items() if (k, v) != ("run.googleapis.com/launch-stage", "GA")}
    return {"metadata": {"labels": chosen(metadata.get("labels", {})), "annotations": annotations}, "status": job.get("status", {}),
            "spec": {"template": {"spec": template, "metadata": {
                "annotations": chosen(around.get("annotations", {})), "labels": chosen(around.get("labels", {}))}}}}


def chosen(mapping):
    """The labels or annotations that somebody chose."""
    return {k: v for k, v in mapping.items() if k in CHOSEN or not k.startswith(GOOGLES)}


def trigger_differences(wanted, actual, words):
    return differences(comparable_trigger(wanted), comparable_trigger(actual), words)


def comparable_trigger(trigger):
    """The whole trigger without what the service adds."""
    found, target = {k: v for k, v in trigger.items() if k in TRIGGER_PARTS}, trigger.get("httpTarget", {})
    if target.get("headers"):
        # With a body comes its type.
        given = SET_HEADERS if target.get("body") else (*SET_HEADERS, "Content-Type")
        headers = {k: v for k, v in target["headers"].items() if not k.startswith(given) and v != "application/octet-stream"}
        found["httpTarget"] = {**target, "headers": headers}
    return found


def secret(source):
    reference = source.get("secretKeyRef", {})
    return f"{reference.get('name')}:{reference.get('key')}"


def is_ready(job):
    return not not_ready({"status": job.get("status", {})})


def not_ready(job):
    """Why a job that is stored cannot be run, such as an image that is not there."""
    ready = next((c for c in job["status"].get("conditions", []) if c.get("type") == "Ready"), {})
    return [f"not ready: {ready.get('message') or ready.get('reason', '')}"] if ready.get("status") == "False" else []


def differences(wanted, actual, words):
    """One line for each part that differs, also for what is there and not wanted. `words` are the names of parts by JSON pointer."""
    names = OTHER_WORDS | {parts(pointer): name for pointer, name in words.items()}
    found = [*changes(wanted, actual), *extras(wanted, actual)]
    return [f"{spoken_path(path, names)}: {shown(have)} -> {shown(want)}" for path, want, have in found]


def extras(wanted, actual, path=()):
    """The parts of `actual` that `wanted` does not have. An update removes them."""
    if isinstance(actual, dict):
        wanted = wanted if isinstance(wanted, dict) else {}
        for key, value in actual.items():
            if key not in wanted or isinstance(value, (dict, list)):
                yield from extras(wanted.get(key), value, (*path, key))
    elif isinstance(actual, list) and isinstance(wanted, list):
        # Of lists with other lengths all is said already.
        for index, (want, have) in enumerate(zip(wanted, actual)):
            if len(wanted) == len(actual) and isinstance(have, dict):
                yield from extras(want, have, (*path, str(index)))
    elif wanted is None and normal(actual) is not None:
        yield path, None, actual


def changes(wanted, actual, path=()):
    """The parts of `wanted` that are otherwise in `actual`, each with both values; what `actual` has beyond that does not count."""
    if isinstance(wanted, dict):
        actual = actual if isinstance(actual, dict) else {}
        for key, value in wanted.items():
            yield from changes(value, actual.get(key), (*path, key))
    elif isinstance(wanted, list) and any(isinstance(item, dict) for item in wanted):
        actual = actual if isinstance(actual, list) else []
        if len(wanted) != len(actual):
            yield path, len(wanted), len(actual)
            return
        for index, value in enumerate(wanted):
            yield from changes(value, actual[index], (*path, str(index)))
    elif wanted != actual if LITERAL & set(path) else normal(wanted) != normal(actual):
        yield path, wanted, actual


def normal(value):
    """Nothing, zero and `0s` are the same, and so are `1024Mi` and `1Gi`, `1000m` and `1`, `180s` and `180.000s`."""
    if isinstance(value, str):
        duration = re.fullmatch(r"(\d+(?:\.\d+)?)s", value)
        quantity = re.fullmatch(r"(\d+(?:\.\d+)?)(m|[KMG]i?|)", value)
        value = float(duration[1]) if duration else float(quantity[1]) * UNITS[quantity[2]] if quantity else value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        value = float(value)
    return value or None


def parts(pointer):
    """The parts of a JSON pointer (RFC 6901)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def at(tree, path):
    for key in path:
        if isinstance(tree, list):
            tree = tree[int(key)] if int(key) < len(tree) else None
        else:
            tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def put(tree, path, value):
    *parents, last = path
    for key in parents:
        tree = tree[key]
    tree[last] = value


def spoken_path(path, names):
    """The name of a part, or that of what it is in and its own key: `memory`, `env DAYS_TO_KEEP`."""
    for count in range(len(path), 0, -1):
        if path[:count] in names:
            return " ".join([names[path[:count]], *path[count:]])
    return ".".join(path)


def shown(value):
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        text = json.dumps(value)
        return text if len(text) <= 120 else text[:117] + "..."
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else "none" if value in (None, "") else value
