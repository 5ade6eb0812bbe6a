"""Resources as they should be and as they are, compared part by part."""
import re

UNITS = {"m": 1 / 1000, "": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "K": 1e3, "M": 1e6, "G": 1e9}
TASK = ("spec", "template", "spec", "template", "spec")
CONTAINER = (*TASK, "containers", "0")
# The parts of which a resource has no more than it should. Of other mappings what a service adds does not count.
WHOLE = {(*CONTAINER, "env"), (*CONTAINER, "secrets")}
# The parts whose texts are compared letter by letter: 1 and 1.0 are two values of a variable.
LITERAL = {"env", "secrets", "args", "command", "labels", "image"}
# The values that Cloud Run uses where a job has none.
DEFAULTS = {(*TASK, "maxRetries"): 3, (*TASK, "timeoutSeconds"): 600, ("spec", "template", "spec", "taskCount"): 1,
            ("spec", "template", "metadata", "annotations", "run.googleapis.com/execution-environment"): "gen2"}


def container_of(job):
    return job["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]


def job_differences(wanted, actual, words):
    """Lines such as `memory: 512Mi -> 1Gi`; values of variables are shown, secrets are names only."""
    wanted, actual = comparable(wanted), comparable(actual)
    for path, value in DEFAULTS.items():
        if at(actual, path) is None:
            put(actual, path, value)
    return differences(wanted, actual, words) + not_ready(actual)


def comparable(job):
    """The parts of a job that are compared; its variables by name, those that hold secrets apart."""
    spec = job["spec"]["template"]["spec"]["template"]["spec"]
    containers = [dict(c) for c in spec["containers"]]
    for container in containers:
        variables = container.pop("env", [])
        container["env"] = {v["name"]: v.get("value", "") for v in variables if "valueFrom" not in v}
        container["secrets"] = {v["name"]: secret(v["valueFrom"]) for v in variables if "valueFrom" in v}
    execution = job["spec"]["template"]
    template = {**execution["spec"], "template": {"spec": {**spec, "containers": containers}}}
    annotations = execution.get("metadata", {}).get("annotations", {})
    return {"metadata": {"labels": job["metadata"].get("labels", {})}, "status": job.get("status", {}),
            "spec": {"template": {"metadata": {"annotations": dict(annotations)}, "spec": template}}}


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
    """One line for each part that differs. `words` are the names of parts by JSON pointer; a part that has one may not be there
    where it is not wanted."""
    names = {parts(pointer): name for pointer, name in words.items()}
    found = list(changes(wanted, actual))
    for path in names:
        want, have = at(wanted, path), at(actual, path)
        if path in WHOLE:
            found += [((*path, key), None, have[key]) for key in sorted(set(have or {}) - set(want or {}))]
        elif want is None and have not in (None, "", [], {}) and not isinstance(have, dict):
            found.append((path, None, have))
    return [f"{spoken_path(path, names)}: {shown(have)} -> {shown(want)}" for path, want, have in found]


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
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else "none" if value in (None, "") else value
