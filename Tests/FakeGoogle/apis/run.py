"""Cloud Run jobs: Knative v1, and v2's :run. Executions advance when they are looked at; no container is run."""
import copy
import re
import time

from core import CONFIG, S, Err, has_role, iam_policy, now, number, page, rand, route, sa_exists, take

from .artifacts import image_exists
from .logs import BEFORE_READ, add_log
from .secrets import version

KN = "apis/run.googleapis.com/v1/namespaces/{p}/"
MEM = {1: (512, 4096), 2: (512, 8192), 4: (2048, 16384), 6: (4096, 24576), 8: (4096, 32768)}  # cpu -> MiB range
UNITS = {"Gi": 1024, "Mi": 1, "Ki": 1 / 1024, "G": 953.67, "M": 0.95367}


def cond(kind, status, **kw):
    return {"type": kind, "status": status, "lastTransitionTime": now(), **kw}


def run_find(table, rq, p, name):
    if not rq.region:
        raise Err(404, "The requested URL was not found on this server: a named Cloud Run job lives at its regional endpoint.")
    kind = "JOB" if table == "run_jobs" else "EXECUTION"
    return take(table, f"{p}/{rq.region}/{name}", f"Resource '{name}' of kind '{kind}' in region '{rq.region}' in project '{p}' does not exist.")


def check_job(p, job):
    """Defaults, and the server-side checks that a deployment script can trip over."""
    ex = job["spec"]["template"].setdefault("spec", {})
    ex["taskCount"] = ex.get("taskCount") or 1
    task = ex.setdefault("template", {}).setdefault("spec", {})
    for k, v in (("maxRetries", 3), ("timeoutSeconds", "600"), ("serviceAccountName", number(p) + "-compute@developer.gserviceaccount.com")):
        task[k] = v if task.get(k) is None else task[k]
    if not re.match(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", job["metadata"].get("name", "")):
        raise Err(400, "metadata.name: must use only lowercase alphanumeric characters and dashes, begin with a letter and not end with a dash.")
    if not 1 <= int(task["timeoutSeconds"]) <= 604800 or not 0 <= task["maxRetries"] <= 10 or not 1 <= ex["taskCount"] <= 10000:
        raise Err(400, "spec...: timeoutSeconds must be in 1..604800, maxRetries in 0..10, taskCount in 1..10000.")
    email = task["serviceAccountName"]
    if CONFIG["strict"] and not sa_exists(email):
        raise Err(403, f"Permission 'iam.serviceaccounts.actAs' denied on service account {email} (or it may not exist).")
    for c in task.get("containers") or [{}]:
        if not c.get("image"):
            raise Err(400, "spec...containers[0].image: should not be empty")
        lim = c.setdefault("resources", {}).setdefault("limits", {})
        lim["cpu"], lim["memory"] = lim.get("cpu") or "1000m", lim.get("memory") or "512Mi"
        cpu = float(lim["cpu"].rstrip("m")) / (1000 if lim["cpu"].endswith("m") else 1)
        if cpu not in MEM:
            raise Err(400, f"spec...resources.limits.cpu: Invalid value specified for cpu: {lim['cpu']}. Allowed for jobs: 1, 2, 4, 6, 8.")
        m = re.match(r"([\d.]+)([KMG]i?)?$", lim["memory"])
        if not m or not MEM[cpu][0] <= float(m[1]) * UNITS.get(m[2], 1 / 2**20) <= MEM[cpu][1]:
            raise Err(400, "spec...resources.limits.memory: Invalid value specified for memory. For {:g} CPU, memory must be between {}Mi and {}Mi "
                           "inclusive.".format(cpu, *MEM[cpu]))
        for e in c.get("env", []):
            if re.match("CLOUD_RUN_(JOB|EXECUTION|TASK_(INDEX|COUNT|ATTEMPT))$", e["name"]):
                raise Err(400, f"The following reserved env names were provided: {e['name']}. These values are automatically set by the system.")
            if CONFIG["strict"] and e.get("valueFrom", {}).get("secretKeyRef"):
                check_secret(p, email, **e["valueFrom"]["secretKeyRef"])


def missing_image(spec):
    """With check_images: what the service says of the first image that is not in Artifact Registry."""
    gone = [c["image"] for c in spec["template"]["spec"]["containers"] if CONFIG["check_images"] and not image_exists(c["image"])]
    return gone and f"Image '{gone[0]}' not found."


def ready(job):
    gone = missing_image(job["spec"]["template"]["spec"])
    return cond("Ready", "False", reason="ContainerMissing", message=gone) if gone else cond("Ready", "True")


def check_secret(p, email, name, key="latest", **_):
    where = "spec...env.value_from.secret_key_ref.name: "
    try:
        version(p, name, key)
    except Err as e:
        raise Err(400, where + str(e))
    if not has_role(email, ("roles/secretmanager.secretAccessor", "roles/secretmanager.admin", "roles/owner"), f"cloudresourcemanager:projects/{p}",
                    f"secretmanager:projects/{p}/secrets/{name}", permission="secretmanager.versions.access"):
        raise Err(400, f"{where}Permission denied on secret: projects/{number(p)}/secrets/{name}/versions/{key} for Revision service account {email}. "
                       "The service account used must be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) "
                       "at the secret, project or higher level.")


def job_store(rq, p, job, **md):
    job["metadata"] |= md | {"resourceVersion": "AAY" + rand(8)}
    job["metadata"].setdefault("labels", {}).update({"cloud.googleapis.com/location": rq.region, "run.googleapis.com/lastUpdatedTime": now()})
    job["metadata"]["annotations"]["run.googleapis.com/lastModifier"] = rq.who
    S["run_jobs"][f"{p}/{rq.region}/{md['name']}"] = job
    return job


@route("run", "POST", KN + "jobs")
def job_create(rq, p):
    job, name = copy.deepcopy(rq.body), rq.body["metadata"].get("name", "")
    check_job(p, job)
    if f"{p}/{rq.region}/{name}" in S["run_jobs"]:
        raise Err(409, f"Resource '{name}' already exists.")
    job["status"] = {"observedGeneration": 1, "conditions": [ready(job)]}
    job["metadata"].setdefault("annotations", {})["run.googleapis.com/creator"] = rq.who
    return job_store(rq, p, job, name=name, namespace=number(p), uid=rand(8) + "-fake", generation=1, creationTimestamp=now(),
                     selfLink=f"/apis/run.googleapis.com/v1/namespaces/{number(p)}/jobs/{name}")


@route("run", "PUT", KN + "jobs/{j}")
def job_replace(rq, p, j):
    old, job = run_find("run_jobs", rq, p, j), copy.deepcopy(rq.body)
    was, sent = old["metadata"]["resourceVersion"], job["metadata"].get("resourceVersion")
    if sent and sent != was:
        raise Err(409, f"Conflict for resource '{j}': version '{sent}' was specified but current version is '{was}'.", "ABORTED")
    check_job(p, job)
    gen = old["metadata"]["generation"] + (job["spec"] != old["spec"])
    job["status"] = {**old["status"], "observedGeneration": gen, "conditions": [ready(job)]}
    job["metadata"].setdefault("annotations", {})["run.googleapis.com/creator"] = old["metadata"]["annotations"]["run.googleapis.com/creator"]
    return job_store(rq, p, job, **{k: old["metadata"][k] for k in ("name", "namespace", "uid", "creationTimestamp", "selfLink")}, generation=gen)


route("run", "GET", KN + "jobs/{j}")(lambda rq, p, j: run_find("run_jobs", rq, p, j))
route("run", "GET", KN + "jobs")(lambda rq, p: {"apiVersion": "run.googleapis.com/v1", "kind": "JobList", "metadata": {}, "items": [
    v for k, v in S["run_jobs"].items() if k.startswith(f"{p}/{rq.region or ''}")]})
iam_policy("run", "v1/", "projects/{p}/locations/{l}/jobs/{j}", lambda p, l, j: take("run_jobs", f"{p}/{l}/{j}", f"Resource '{j}' of kind 'JOB' does not exist."))


@route("run", "DELETE", KN + "jobs/{j}")
def job_delete(rq, p, j):
    run_find("run_jobs", rq, p, j)
    del S["run_jobs"][f"{p}/{rq.region}/{j}"]
    for k in [k for k, v in S["executions"].items() if k.startswith(f"{p}/{rq.region}/") and v["metadata"]["labels"]["run.googleapis.com/job"] == j]:
        del S["executions"][k], S["execution_runs"][k]
    S["policies"].pop(f"run:projects/{p}/locations/{rq.region}/jobs/{j}", None)
    return {"status": "Success"}


@route("run", "POST", KN + "jobs/{j}:run", "v2/projects/{p}/locations/{l}/jobs/{j}:run")
def job_run(rq, p, j, l=None):
    rq.region = l or rq.region
    job, t = run_find("run_jobs", rq, p, j), now()
    spec, over = copy.deepcopy(job["spec"]["template"]["spec"]), rq.body.get("overrides", {})
    task = spec["template"]["spec"]
    spec["taskCount"] = over.get("taskCount") or spec["taskCount"]
    task["timeoutSeconds"] = str(over.get("timeoutSeconds") or over.get("timeout", "").rstrip("s") or task["timeoutSeconds"])
    for o in over.get("containerOverrides", []):
        c = next((c for c in task["containers"] if c.get("name") == o.get("name")), task["containers"][0])
        if o.get("args") or o.get("clearArgs"):
            c["args"] = o.get("args", [])
        c["env"] = [e for e in c.get("env", []) if e["name"] not in {x["name"] for x in o.get("env", [])}] + o.get("env", [])
    name, env = f"{j}-{rand(5)}", {e["name"]: e.get("value", "") for e in task["containers"][0].get("env", [])}
    labels = {"run.googleapis.com/job": j, "run.googleapis.com/jobUid": job["metadata"]["uid"], "cloud.googleapis.com/location": rq.region,
              "run.googleapis.com/jobGeneration": str(job["metadata"]["generation"]), "run.googleapis.com/servingState": "Active"}
    ex = {"apiVersion": "run.googleapis.com/v1", "kind": "Execution", "spec": spec,
          "metadata": {"name": name, "namespace": number(p), "uid": rand(8) + "-fake", "generation": 1, "labels": labels, "creationTimestamp": t,
                       "annotations": {"run.googleapis.com/creator": rq.who}, "ownerReferences": [{"kind": "Job", "name": j}]},
          "status": {"observedGeneration": 1, "logUri": f"https://console.cloud.google.com/logs/viewer?project={p}",
                     "conditions": [cond(c, "Unknown") for c in ("Completed", "ResourcesAvailable", "Started")]}}
    S["executions"][f"{p}/{rq.region}/{name}"] = ex
    fail, _, tasks = env.get("FAKE_RESULT", "fail" if "fail" in j else "").partition(":")
    S["execution_runs"][f"{p}/{rq.region}/{name}"] = {"polls": 0, "need": int(env.get("FAKE_POLLS") or CONFIG["polls"]), "t0": time.time(), "done": False,
                                                      "failed": min(int(tasks or spec["taskCount"]), spec["taskCount"]) if fail.startswith("fail") else 0}
    job["status"] |= {"executionCount": job["status"].get("executionCount", 0) + 1,
                      "latestCreatedExecution": {"name": name, "creationTimestamp": t, "completionStatus": "EXECUTION_RUNNING"}}
    return {"name": f"projects/{p}/locations/{l}/operations/fake-{rand(8)}", "metadata": {
        "name": f"projects/{p}/locations/{l}/jobs/{j}/executions/{name}"}} if l else ex


def summary(ex, task, attempt, is_failure):
    """The last line of a job of this service."""
    name, status = ex["metadata"]["name"], "failed" if is_failure else "succeeded"
    failures = [{"subject": "demo_10001", "reason": "simulated failure"}] if is_failure else []
    return {"message": f"{name} {status}", "job": name.rsplit("-", 1)[0], "status": status, "reason": None, "dry_run": False,
            "counts": {"organizations": 1, "bytes_billed": 20971520}, "failure_count": len(failures), "failures": failures, "duration_ms": 1200, "execution": name, "task_index": task, "attempt": attempt}


def run_log(key, ex, task, stream, severity, text=None, attempt=0, **payload):
    p, region, name = key.split("/")
    add_log(p, "run.googleapis.com%2F" + stream, severity, {"type": "cloud_run_job", "labels": {
        "project_id": p, "location": region, "job_name": ex["metadata"]["labels"]["run.googleapis.com/job"]}}, {
        "instanceId": f"fake-{name}-{task}", "run.googleapis.com/execution_name": name, "run.googleapis.com/task_attempt": str(attempt),
        "run.googleapis.com/task_index": str(task)}, **(payload or {"textPayload": text}))


def log_end(key, ex, task, is_failure):
    """Every attempt of a task ends with its summary; a task that fails is attempted again."""
    retries = ex["spec"]["template"]["spec"]["maxRetries"] if is_failure else 0
    for attempt in range(retries + 1):
        if is_failure:
            run_log(key, ex, task, "stderr", "ERROR", "fake Google: simulated failure", attempt)
        run_log(key, ex, task, "stdout", "ERROR" if is_failure else "INFO", attempt=attempt, jsonPayload=summary(ex, task, attempt, is_failure))
        run_log(key, ex, task, "varlog%2Fsystem", "DEFAULT", f"Container called exit({int(is_failure)}).", attempt)


def advance(key, poll=True, cancel=False):
    """Each GET of an execution moves it: Unknown, then Started, then Completed or Failed after `need` polls (or max_run_seconds)."""
    ex, run = S["executions"][key], S["execution_runs"][key]
    if run["done"]:
        return ex
    run["polls"] += poll
    st, md, n, t, age = ex["status"], ex["metadata"], ex["spec"]["taskCount"], now(), time.time() - run["t0"]
    c, logged, missing = ex["spec"]["template"]["spec"]["containers"][0], range(min(n, 100)), missing_image(ex["spec"])
    if "startTime" not in st and not missing and (run["polls"] or cancel or age > 1):
        st |= {"startTime": t, "runningCount": n, "conditions": [
            cond("Completed", "Unknown"), cond("ContainerReady", "True", message="Imported container image."),
            cond("ResourcesAvailable", "True", message="Provisioned imported containers."),
            cond("Started", "True", message=f"Started deployed execution in {age:.2f}s.")]}
        for i in logged:
            run_log(key, ex, i, "stdout", "INFO", "fake Google: would run " + " ".join([c["image"], *c.get("command", []), *c.get("args", [])]))
    if run["polls"] > run["need"] or cancel or missing or age > CONFIG["max_run_seconds"]:
        run["done"], st["completionTime"], failed = True, t, 0 if missing else run["failed"]
        st.pop("runningCount", 0)
        if missing:
            result, end = "FAILED", cond("Completed", "False", reason="ContainerMissing", message=missing)
        elif cancel:
            st["cancelledCount"], result, end = n, "CANCELLED", cond("Completed", "False", reason="Cancelled", message="Execution cancelled.")
        else:
            st |= {k: v for k, v in (("succeededCount", n - failed), ("failedCount", failed), ("retriedCount", failed * ex["spec"]["template"]["spec"]["maxRetries"])) if v}
            result = "FAILED" if failed else "SUCCEEDED"
            end = cond("Completed", "False", reason="NonZeroExitCode", message=f"Task {md['name']}-task0 failed with message: The container exited with an error.") \
                if failed else cond("Completed", "True", message=f"Execution completed successfully in {age:.2f}s.")
            for i in logged:
                log_end(key, ex, i, i < failed)
        st["conditions"] = [end, *st["conditions"][1:]]
        md["labels"].pop("run.googleapis.com/servingState")
        job = S["run_jobs"][key.rsplit("/", 1)[0] + "/" + md["labels"]["run.googleapis.com/job"]]
        if job["status"]["latestCreatedExecution"]["name"] == md["name"]:
            job["status"]["latestCreatedExecution"] |= {"completionTimestamp": t, "completionStatus": "EXECUTION_" + result}
    return ex


BEFORE_READ.append(lambda: [advance(key, poll=False) for key in S["executions"]])


@route("run", "GET", KN + "executions")
def executions_list(rq, p):
    """gcloud's labelSelector is a list of 'label = value'."""
    want = dict(re.findall(r"([\w./-]+)\s*=\s*([\w.-]+)", rq.query.get("labelSelector", "")))
    hits = [advance(k, poll=False) for k in reversed(S["executions"]) if k.startswith(f"{p}/{rq.region or ''}")]
    got = page([e for e in hits if want.items() <= e["metadata"]["labels"].items()], rq, "items", "limit", "continue")
    return {"apiVersion": "run.googleapis.com/v1", "kind": "ExecutionList", "metadata": {"continue": got.pop("nextPageToken", "")}, **got}


@route("run", "DELETE", KN + "executions/{e}")
def execution_delete(rq, p, e):
    run_find("executions", rq, p, e)
    del S["executions"][f"{p}/{rq.region}/{e}"], S["execution_runs"][f"{p}/{rq.region}/{e}"]
    return {"status": "Success"}


@route("run", "GET", KN + "executions/{e}")
@route("run", "POST", KN + "executions/{e}:cancel")
def execution_get(rq, p, e):
    run_find("executions", rq, p, e)
    return advance(f"{p}/{rq.region}/{e}", poll=rq.command == "GET", cancel=rq.command == "POST")
