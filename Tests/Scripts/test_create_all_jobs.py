"""create-all-jobs.sh from an empty project to a deployed one, twice."""
import json
import pathlib
import shutil
import tempfile
import unittest
import urllib.request

from fake_project import (ALERTS, JOBS, PROJECT, REGION, ROOT, SCHEDULES, container, deployed_job, fake, members, mutating,
                          needs_gcloud, trigger)


@needs_gcloud
class CreateAllJobsTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def test_lists_everything_that_is_missing_at_once(self):
        self.google.put({})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 2)
        for text in ("run.googleapis.com", "cloudscheduler.googleapis.com", "cloudresourcemanager.googleapis.com", "gcloud services enable",
                     "secret stripe-secret-key-test", "gcloud secrets create stripe-secret-key-test"):
            self.assertIn(text, done.stderr)
        self.assertEqual(mutating(done.requests), [])

    def test_a_project_out_of_reach_is_said_so(self):
        self.google.put(self.google.prepared())
        self.google.faults({"path": "/services$", "status": 403, "message": "no access", "times": 9})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.google.faults()
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"project {PROJECT} cannot be reached as deployer@", done.stderr)

    def test_a_secret_without_a_version_is_missing(self):
        state = self.google.prepared()
        state["secrets"][f"projects/{PROJECT}/secrets/stripe-secret-key-test"]["versions"] = []
        self.google.put(state)
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 2)
        self.assertIn("stripe-secret-key-test has no enabled version", done.stderr)

    def test_the_first_run_makes_everything(self):
        state = self.google.deployed()
        self.assertEqual(self.google.first_run.returncode, 0, self.google.first_run.stdout + self.google.first_run.stderr)
        self.assertEqual(len(self.google.first_run.gcloud), 1 + len(JOBS), "credentials and the jobs")
        names = {key.split("/")[-1] for key in state["run_jobs"]}
        self.assertEqual(names, {job["name"] for job in JOBS})
        self.assertEqual({k.split("/")[-1]: t["schedule"] for k, t in state["scheduler_jobs"].items()},
                         {f"cloudact-{n}-trigger": schedule for n, schedule in SCHEDULES.items()})
        self.assertEqual(len(state["service_accounts"]), len(JOBS) + 1, "one of each job and the triggers'")
        self.assertEqual(len(state["alert_policies"]), len(ALERTS))
        self.assertEqual({k.split("/")[-1] for k in state["datasets"]}, {"organizations", "scheduler_jobs"})
        for name in SCHEDULES:
            self.assertRegex(self.google.first_run.stdout, rf"(?m)^cloudact-{name} .*created$")

    def test_every_trigger_really_starts_its_job(self):
        self.google.put(self.google.deployed())
        for name in SCHEDULES:
            path = f"v1/projects/{PROJECT}/locations/{REGION}/jobs/cloudact-{name}-trigger:run"
            self.assertEqual(self.rest("POST", "cloudscheduler", path)["status"], {}, name)
        started = {e["metadata"]["labels"]["run.googleapis.com/job"] for e in self.google.state()["executions"].values()}
        self.assertEqual(started, {f"cloudact-{n}" for n in SCHEDULES})

    def test_accounts_have_no_more_than_they_need(self):
        state = self.google.deployed()
        project = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]
        account = "serviceAccount:ca-test-{}@" + PROJECT + ".iam.gserviceaccount.com"
        roles = {b["role"] for b in project["bindings"] if any(m.startswith("serviceAccount:ca-test-") for m in b["members"])}
        schema = f"projects/{PROJECT}/roles/cloudact_organization_schema"
        reader = f"projects/{PROJECT}/roles/cloudact_schema_reader"
        self.assertEqual(roles, {"roles/bigquery.jobUser", schema, reader})
        self.assertEqual(members(project, reader), {account.format("verify")})
        self.assertEqual(members(project, schema), {account.format("org-sync-all")})
        stripe = state["policies"][f"secretmanager:projects/{PROJECT}/secrets/stripe-secret-key-test"]
        self.assertEqual(members(stripe, "roles/secretmanager.secretAccessor"),
                         {account.format("billing-sync-retry"), account.format("billing-sync-reconcile")})
        datasets = {k.split("/")[-1]: d["access"] for k, d in state["datasets"].items()}
        for name, access in datasets.items():
            self.assertEqual([e for e in access if e["role"] == "OWNER"], [{"role": "OWNER", "specialGroup": "projectOwners"}], name)
            accounts = {e["userByEmail"].partition("@")[0] for e in access if "userByEmail" in e}
            self.assertEqual(accounts, {"ca-test-bootstrap", "ca-test-bootstrap-sync"}, "the jobs for schemas, and not the deployer")
        invokers = state["policies"][f"run:projects/{PROJECT}/locations/{REGION}/jobs/cloudact-stale-cleanup"]
        self.assertEqual(members(invokers, "roles/run.invoker"), {account.format("trigger")})
        self.assertNotIn(f"run:projects/{PROJECT}/locations/{REGION}/jobs/cloudact-bootstrap", state["policies"])

    def test_a_second_run_changes_nothing(self):
        self.google.put(self.google.deployed())
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual((done.returncode, mutating(done.requests)), (0, []))
        self.assertIn("Nothing to do.", done.stdout)
        self.assertEqual(len(done.gcloud), 1, done.gcloud)
        own = [r for r in done.requests if r["path"] != "/token"]
        self.assertEqual({r.get("quota_project") for r in own}, {PROJECT}, "the project's own quota and services")

    def test_without_endpoints_of_its_own_it_goes_to_google_over_tls(self):
        self.google.put(self.google.deployed())
        real = {k: v for k, v in self.google.environment.items() if not k.startswith("CLOUDSDK_API_ENDPOINT_OVERRIDES_")}
        done = self.google.run(ROOT / "scripts/create-all-jobs.sh", "test", "--dry-run", environment=real)
        self.assertIn("Nothing to do.", done.stdout, done.stderr)
        hosts = {r["host"].partition(":")[0] for r in done.requests if r["path"] != "/token"}
        self.assertTrue(all(host.endswith(".googleapis.com") for host in hosts), hosts)
        self.assertIn("us-central1-run.googleapis.com", hosts)

    def test_whom_alerts_notify(self):
        self.google.put(self.google.deployed())
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            for folder in ("scripts", "deploy"):
                shutil.copytree(ROOT / folder, root / folder)
            index = root / "deploy/generated/test/deployment.json"
            desired = json.loads(index.read_text())
            index.write_text(json.dumps(desired | {"notification_channels": [{
                "type": "email", "displayName": "Operators", "labels": {"email_address": "ops@example.com"},
                "userLabels": desired["ownership"]["labels"]}]}))
            done = self.google.run(root / "scripts/create-all-jobs.sh", "test", "--yes")
            again = self.google.run(root / "scripts/create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Nothing to do.", again.stdout)
        state = self.google.state()
        channel = next(iter(state["notification_channels"].values()))
        self.assertEqual(channel["labels"], {"email_address": "ops@example.com"})
        self.assertEqual([a["notificationChannels"] for a in state["alert_policies"].values()], [[channel["name"]]] * len(ALERTS))

    def test_gcloud_takes_the_generated_files_as_they_are(self):
        before = self.google.deployed()
        # The files name images by tag, and the deployed jobs theirs by digest.
        container(before, "cloudact-billing-sync-retry")["image"] = next(j["image"] for j in JOBS if j["job"] == "billing-sync-retry")
        self.google.put(before)
        done = self.google.run("gcloud", "run", "jobs", "replace", "deploy/generated/test/jobs/cloudact-billing-sync-retry.yaml",
                               f"--region={REGION}", f"--project={PROJECT}", "--quiet")
        self.assertEqual(done.returncode, 0, done.stderr)
        state = self.google.state()
        self.assertEqual(container(state, "cloudact-billing-sync-retry")["env"][-1]["valueFrom"]["secretKeyRef"]["name"],
                         "stripe-secret-key-test")
        self.assertEqual(deployed_job(state, "cloudact-billing-sync-retry")["metadata"]["generation"], 1)
        self.assertEqual(trigger(state, "cloudact-billing-sync-retry-trigger")["state"], "ENABLED")

    def test_the_plain_commands_create_the_same(self):
        """commands.sh, with a bq that only says yes: the stand-in has no queries."""
        self.google.put(self.google.prepared())
        with tempfile.TemporaryDirectory() as name:
            bq = pathlib.Path(name, "bq")
            bq.write_text("#!/bin/sh\nexit 0\n")
            bq.chmod(0o755)
            environment = {**self.google.environment, "PATH": f"{name}:{self.google.environment['PATH']}", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
            done = self.google.run("bash", ROOT / "deploy/generated/test/commands.sh", environment=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = self.google.script("create-all-jobs.sh", "test", "--dry-run")
        changes = [line.strip() for line in shown.stdout.splitlines() if line.startswith(("  +", "  ~", "  -", "  !"))]
        self.assertEqual(changes, ["+ create dataset organizations", "+ create dataset scheduler_jobs",
                                   *(f"~ update job {job['name']}" for job in JOBS),
                                   "! alerts notify nobody: jobs.yaml has neither alert_emails nor alert_channels"], shown.stdout)
        # The commands name images by tag.
        for job in JOBS:
            self.assertRegex(shown.stdout, rf"~ update job {job['name']}\n      image: {job['image']} -> {job['image']} \(sha256:\w+\)\n  \S")

    def test_only_deploys_one_job_with_what_it_needs(self):
        self.google.put(self.google.prepared())
        done = self.google.script("create-all-jobs.sh", "test", "--yes", "--only", "cloudact-stale-cleanup")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        state = self.google.state()
        self.assertEqual([k.split("/")[-1] for k in state["run_jobs"]], ["cloudact-stale-cleanup"])
        self.assertEqual({e.partition("@")[0] for e in state["service_accounts"]}, {"ca-test-stale-cleanup", "ca-test-trigger"})
        self.assertEqual(sorted(a["userLabels"]["alert"] for a in state["alert_policies"].values()),
                         ["no-success-stale-cleanup", "over-budget-stale-cleanup"])

    def rest(self, method, service, path):
        request = urllib.request.Request(f"http://{service}.googleapis.com/{path}", b"{}", {
            "Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}, method=method)
        request.set_proxy(f"127.0.0.1:{self.google.port}", "http")
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    @property
    def token(self):
        helper = self.google.run("gcloud", "config", "config-helper", "--format=json")
        return json.loads(helper.stdout)["credential"]["access_token"]


if __name__ == "__main__":
    unittest.main()
