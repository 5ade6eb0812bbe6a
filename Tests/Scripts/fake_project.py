"""The scripts against a fake of Google's services, through the real gcloud."""
import atexit
import copy
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT, REGION = "cloudact-testing-1", "us-central1"
INDEX = json.loads((ROOT / "deploy/generated/test/deployment.json").read_text())
JOBS, SERVICES = INDEX["jobs"], INDEX["services"]
SCHEDULES = {job["job"]: job["schedule"] for job in JOBS if job["schedule"]}
ALERTS = sorted(p.stem for p in (ROOT / "deploy/generated/test/alerts").glob("*.json"))
sys.path.insert(0, str(ROOT / "scripts"))

# Counts gcloud's processes: one line a start.
COUNTING_GCLOUD = """#!/bin/sh
echo "$*" >>"$GCLOUD_CALLS"
exec {gcloud} "$@"
"""


class FakeGoogle:
    """One server for all tests; each test puts the state that it begins with."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fake-google-"))
        self.server = subprocess.Popen(
            [sys.executable, str(ROOT / "Tests/FakeGoogle/server.py"), "--port", "0", "--dir", str(self.folder), "--strict"],
            stdout=subprocess.PIPE, text=True)
        atexit.register(self.stop)
        # The server prints its address once it listens.
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.server.stdout.readline())
        if not found:
            raise RuntimeError("the fake did not start")
        self.port, self.url = int(found[1]), found[0]
        (self.folder / "bin").mkdir()
        gcloud = self.folder / "bin/gcloud"
        gcloud.write_text(COUNTING_GCLOUD.format(gcloud=shutil.which("gcloud")))
        gcloud.chmod(0o755)
        self.environment = self._environment()
        self.states = {}

    def stop(self):
        self.server.terminate()
        self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self):
        """The variables that env.sh exports, with the counting gcloud first in PATH."""
        script = f'. "{ROOT}/Tests/FakeGoogle/env.sh" && env -0'
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CLOUDSDK_")}
        out = subprocess.run(["bash", "-c", script], env={**clean, "FAKE_GOOGLE_VAR": str(self.folder)}, capture_output=True,
                             check=True).stdout.decode()
        environment = dict(pair.split("=", 1) for pair in out.split("\0") if "=" in pair)
        return environment | {"PATH": f"{self.folder}/bin:{environment['PATH']}", "GCLOUD_CALLS": str(self.folder / "calls"),
                              "NO_COLOR": "1"}

    def control(self, method, name, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/__{name}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def state(self):
        return self.control("GET", "state")

    def put(self, state):
        self.control("POST", "reset")
        self.control("POST", "state", state)

    def faults(self, *faults):
        self.control("POST", "config", {"faults": list(faults)})

    def run(self, *command, environment=None):
        """Output, errors and exit code, with gcloud's calls and the requests that were made."""
        calls, log = self.folder / "calls", self.folder / "requests.jsonl"
        calls.write_text("")
        before = log.stat().st_size if log.exists() else 0
        done = subprocess.run([str(part) for part in command], env=environment or self.environment, capture_output=True, text=True,
                              cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
        done.gcloud = calls.read_text().splitlines()
        with open(log, encoding="utf-8") as lines:
            lines.seek(before)
            done.requests = [json.loads(line) for line in lines]
        return done

    def script(self, name, *arguments):
        return self.run(ROOT / "scripts" / name, *arguments)

    # ---------------------------------------------------------------- states
    def prepared(self):
        """A project with services, secrets and images, and nothing deployed."""
        if "prepared" not in self.states:
            self.control("POST", "reset")
            self.run("gcloud", "services", "enable", *SERVICES, f"--project={PROJECT}", "--quiet")
            for secret in ("ca-root-api-key-test", "stripe-secret-key-test"):
                self.run("bash", "-c", f"printf x | gcloud secrets create {secret} --replication-policy=automatic --data-file=- "
                                       f"--project={PROJECT} --quiet")
            self.run("gcloud", "artifacts", "repositories", "create", "scheduler-jobs", "--repository-format=docker",
                     f"--location={REGION}", f"--project={PROJECT}", "--quiet")
            self.control("POST", "state", {"docker_images": {job["image"]: {} for job in JOBS}})
            self.states["prepared"] = self.state()
        return copy.deepcopy(self.states["prepared"])

    def deployed(self):
        """After the first run of create-all-jobs.sh; `first_run` is that run."""
        if "deployed" not in self.states:
            self.put(self.prepared())
            self.first_run = self.script("create-all-jobs.sh", "test", "--yes")
            self.states["deployed"] = self.state()
        return copy.deepcopy(self.states["deployed"])

    def original(self):
        """The deployment that the Python jobs left: one account with wide roles, one image, v1 URLs, no label, as plain commands of
        gcloud create it. One trigger has another name, one is in another region, and one starts something else."""
        if "original" not in self.states:
            state = self.prepared()
            state["docker_images"] = {}
            state["secrets"][f"projects/{PROJECT}/secrets/slack-webhook-test"] = {
                **state["secrets"][f"projects/{PROJECT}/secrets/stripe-secret-key-test"], "name": f"projects/{PROJECT}/secrets/slack-webhook-test"}
            self.put(state)
            done = self.run("bash", "-euc", ORIGINAL)
            if done.returncode:
                raise RuntimeError(done.stdout + done.stderr)
            self.states["original"] = {**self.state(), "docker_images": self.prepared()["docker_images"]}
        return copy.deepcopy(self.states["original"])


OLD_ACCOUNT = f"cloudact-jobs@{PROJECT}.iam.gserviceaccount.com"
OLD_IMAGE = f"gcr.io/{PROJECT}/cloudact-api-service-test:latest"
OLD_TRIGGERS = " ".join(f"'trigger cloudact-{name}-trigger cloudact-{name} \"{schedule}\" {REGION}'" for name, schedule in SCHEDULES.items())
ORIGINAL = f"""
export PROJECT={PROJECT} REGION={REGION} ACCOUNT={OLD_ACCOUNT}
gcloud iam service-accounts create cloudact-jobs --display-name='Cloud Run jobs' --project=$PROJECT --quiet
for role in bigquery.admin secretmanager.secretAccessor run.invoker; do
    gcloud projects add-iam-policy-binding $PROJECT --member=serviceAccount:$ACCOUNT --role=roles/$role --condition=None --quiet
done
create() {{
    gcloud run jobs create cloudact-$1 --image={OLD_IMAGE} --command=python --args=src/jobs/$1.py --service-account=$ACCOUNT \\
        --set-env-vars=ENVIRONMENT=test,GCP_PROJECT_ID=$PROJECT \\
        --set-secrets=CA_ROOT_API_KEY=ca-root-api-key-test:latest,SLACK_WEBHOOK=slack-webhook-test:latest \\
        --memory=2Gi --cpu=2 --max-retries=1 --task-timeout=30m --region=$REGION --project=$PROJECT --quiet
}}
trigger() {{
    gcloud scheduler jobs create http $1 --schedule="$3" --time-zone=UTC --http-method=POST --location=$4 --project=$PROJECT --quiet \\
        --uri=https://$REGION-run.googleapis.com/apis/run.googleapis.com/v1/namespaces/$PROJECT/jobs/$2:run \\
        --oauth-service-account-email=$ACCOUNT
}}
export -f create trigger
printf '%s\\n' {' '.join(job['job'] for job in JOBS)} | xargs -P 4 -I % bash -euc 'create %'
{{
    printf '%s\\0' {OLD_TRIGGERS}
    printf '%s\\0' 'trigger nightly-quota cloudact-quota-cleanup "30 1 * * *" {REGION}' \\
        'trigger cloudact-stale-cleanup-trigger cloudact-stale-cleanup "*/15 * * * *" europe-west1' \\
        'trigger cloudact-report-trigger cloudact-report "0 6 * * *" {REGION}'
}} | xargs -0 -P 4 -I % bash -euc %
"""


_fake = []


def fake():
    if not _fake:
        _fake.append(FakeGoogle())
    return _fake[0]


needs_gcloud = unittest.skipUnless(shutil.which("gcloud"), "gcloud is not installed: https://cloud.google.com/sdk/docs/install")


def mutating(requests):
    """The requests that change something. Reading a policy and fetching a token are POSTs, too."""
    reading = (":getIamPolicy", "/token", "/v2/entries:list")
    return [f"{r['method']} {r['host']}{r['path']}" for r in requests if r["method"] != "GET" and not r["path"].endswith(reading)]


def deployed_job(state, name):
    return state["run_jobs"][f"{PROJECT}/{REGION}/{name}"]


def container(state, name):
    return deployed_job(state, name)["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]


def versions_of(state, name):
    """The tags of the image that a deployed job has by digest."""
    return state["docker_images"][container(state, name)["image"]]["tags"]


def trigger(state, name):
    return state["scheduler_jobs"][f"projects/{PROJECT}/locations/{REGION}/jobs/{name}"]


def members(policy, role):
    return {m for b in policy.get("bindings", []) if b["role"] == role for m in b["members"]}
