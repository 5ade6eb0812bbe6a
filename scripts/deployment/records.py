"""The comparable parts of what is deployed, in the words of jobs.yaml."""
import re

UNITS = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024, "K": 1000 / 2**20, "M": 1e6 / 2**20, "G": 1e9 / 2**20, "": 1 / 2**20}


def job_record(job):
    """A Cloud Run Job in the form of `deployed` in deployment.json."""
    execution = job["spec"]["template"]["spec"]
    task = execution["template"]["spec"]
    container = task["containers"][0]
    limits = container.get("resources", {}).get("limits", {})
    variables = container.get("env", [])
    return {
        "image": container["image"], "args": container.get("args", []),
        "service account": task.get("serviceAccountName", ""),
        "cpu": cpus(limits.get("cpu", "")), "memory": memory(limits.get("memory", "")),
        "timeout": int(task.get("timeoutSeconds", 600)), "retries": task.get("maxRetries", 3),
        "tasks": execution.get("taskCount", 1), "parallelism": execution.get("parallelism", 0),
        "env": {v["name"]: v.get("value", "") for v in variables if "valueFrom" not in v},
        "secrets": {v["name"]: secret(v["valueFrom"]) for v in variables if "valueFrom" in v},
        "labels": job["metadata"].get("labels", {}),
    }


def secret(source):
    reference = source.get("secretKeyRef", {})
    return f"{reference.get('name')}:{reference.get('key')}"


def cpus(text):
    """`1000m` and `1` are one."""
    match = re.fullmatch(r"([\d.]+)(m?)", text)
    if not match:
        return text
    number = float(match[1]) / (1000 if match[2] else 1)
    return int(number) if number == int(number) else number


def memory(text):
    """`1024Mi` and `1Gi` are `1Gi`."""
    match = re.fullmatch(r"([\d.]+)([KMG]i?)?", text)
    if not match:
        return text
    mebibytes = float(match[1]) * UNITS[match[2] or ""]
    if mebibytes != int(mebibytes):
        return text
    return f"{int(mebibytes) // 1024}Gi" if mebibytes % 1024 == 0 else f"{int(mebibytes)}Mi"


def job_differences(wanted, job):
    """Lines such as `memory: 512Mi -> 1Gi`; values of variables are shown, secrets are names only."""
    actual, lines = job_record(job), []
    for key, value in wanted.items():
        if key in ("env", "secrets"):
            lines += map_differences(key, value, actual[key])
        elif key == "labels":
            lines += [f"label {k}: {actual[key].get(k, 'none')} -> {v}" for k, v in value.items() if actual[key].get(k) != v]
        elif actual[key] != value:
            lines.append(f"{key}: {shown(actual[key])} -> {shown(value)}")
    if len(job["spec"]["template"]["spec"]["template"]["spec"]["containers"]) > 1:
        lines.append("containers: several -> one")
    if job["spec"]["template"]["spec"]["template"]["spec"]["containers"][0].get("command"):
        lines.append("command: set -> the image's own")
    return lines + not_ready(job)


def not_ready(job):
    """Why a job that is stored cannot be run, such as an image that is not there."""
    ready = next((c for c in job.get("status", {}).get("conditions", []) if c.get("type") == "Ready"), {})
    return [f"not ready: {ready.get('message') or ready.get('reason', '')}"] if ready.get("status") == "False" else []


def map_differences(key, wanted, actual):
    names = sorted(wanted.keys() | actual.keys())
    return [f"{key} {n}: {actual.get(n, 'none')} -> {wanted.get(n, 'none')}" for n in names if actual.get(n) != wanted.get(n)]


def shown(value):
    return " ".join(value) or "none" if isinstance(value, list) else value


def trigger_differences(wanted, trigger):
    return [f"{names[path]}: {at(trigger, path) or 'none'} -> {at(wanted, path)}" for path in names
            if same(at(wanted, path)) != same(at(trigger, path))]


# The parts of a trigger that are compared, and what they are called.
names = {
    "schedule": "schedule", "timeZone": "time zone", "description": "description", "state": "state",
    "attemptDeadline": "attempt deadline", "retryConfig.retryCount": "retries",
    "retryConfig.maxRetryDuration": "longest retrying", "retryConfig.minBackoffDuration": "shortest backoff",
    "retryConfig.maxBackoffDuration": "longest backoff", "retryConfig.maxDoublings": "doublings",
    "httpTarget.uri": "target", "httpTarget.httpMethod": "method", "httpTarget.body": "body",
    "httpTarget.oauthToken.serviceAccountEmail": "account", "httpTarget.oauthToken.scope": "scope",
}


def at(tree, path):
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def same(value):
    """Nothing, zero and `0s` are the same to Cloud Scheduler; durations may come with decimals."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?s", value):
        value = float(value[:-1])
    return value or None


def lacks(wanted, actual, path=""):
    """Where `actual` differs from `wanted`; what `actual` has beyond that does not count."""
    if isinstance(wanted, dict):
        actual = actual if isinstance(actual, dict) else {}
        return [p for k, v in wanted.items() for p in lacks(v, actual.get(k), f"{path}.{k}" if path else k)]
    if isinstance(wanted, list):
        actual = actual if isinstance(actual, list) else []
        if len(wanted) != len(actual):
            return [path]
        return [p for i, v in enumerate(wanted) for p in lacks(v, actual[i], path)]
    if isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        return [] if float(wanted) == float(actual or 0) else [path]
    return [] if same(wanted) == same(actual) else [path]
