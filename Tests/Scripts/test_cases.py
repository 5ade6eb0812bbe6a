"""Situations in which a deployment goes wrong quietly: what is compared, what is waited for, what is repeated, and what is said."""
import concurrent.futures
import copy
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from fake_project import (ALERTS, JOBS, PROJECT, REGION, ROOT, SCHEDULES, container, deployed_job, fake, mutating, needs_gcloud, trigger)

CLEANUP = "cloudact-quota-cleanup"


class CaseTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def tearDown(self):
        self.google.faults()

    def deploy(self, *arguments):
        return self.google.script("create-all-jobs.sh", "test", *arguments)

    def gcloud(self, *arguments):
        done = self.google.run("gcloud", *arguments, f"--project={PROJECT}", "--quiet")
        self.assertEqual(done.returncode, 0, done.stderr)


@needs_gcloud
class DriftCaseTests(CaseTests):
    def setUp(self):
        self.google.put(self.google.deployed())

    def test_a_job_of_others_with_our_name_is_not_simply_replaced(self):
        self.gcloud("run", "jobs", "delete", "cloudact-stale-cleanup", f"--region={REGION}")
        self.gcloud("run", "jobs", "create", "cloudact-stale-cleanup", "--image=us-docker.pkg.dev/x/y/z:1", "--labels=team=other",
                    "--command=python", f"--region={REGION}")
        done = self.deploy("--yes")
        self.assertEqual((done.returncode, mutating(done.requests)), (3, []))
        self.assertIn("! take over job cloudact-stale-cleanup", done.stdout)
        self.assertIn("label team: other -> none", done.stdout)

    def test_an_account_of_others_with_our_id_is_not_simply_renamed(self):
        state = self.google.deployed()
        email = f"ca-test-stale-cleanup@{PROJECT}.iam.gserviceaccount.com"
        state["service_accounts"][email] |= {"displayName": "The other team's cleaner", "disabled": True}
        self.google.put(state)
        done = self.deploy("--yes")
        self.assertEqual((done.returncode, mutating(done.requests)), (3, []))
        for text in ("! take over account ca-test-stale-cleanup", "display name: The other team's cleaner -> cloudact-stale-cleanup (test)",
                     "disabled -> enabled"):
            self.assertIn(text, done.stdout)
        # A copy of the scripts, because they keep what they replace beside themselves.
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for folder in ("scripts", "deploy"):
            shutil.copytree(ROOT / folder, root / folder)
        taken = self.google.run(root / "scripts/create-all-jobs.sh", "test", "--take-over")
        self.assertEqual(taken.returncode, 0, taken.stdout)
        account = self.google.state()["service_accounts"][email]
        self.assertEqual((account["displayName"], account.get("disabled")), ("cloudact-stale-cleanup (test)", None))
        restored = self.google.run("bash", root / ".taken-over/test/restore.sh")
        self.assertEqual(restored.returncode, 0, restored.stderr)
        self.assertEqual(self.google.state()["service_accounts"][email]["displayName"], "The other team's cleaner")

    def test_a_network_that_jobs_yaml_does_not_have_is_drift(self):
        self.gcloud("run", "jobs", "update", CLEANUP, "--network=default", "--subnet=default", "--vpc-egress=all-traffic", f"--region={REGION}")
        self.gcloud("run", "jobs", "update", CLEANUP, "--memory=1Gi", f"--region={REGION}")
        shown = self.deploy("--dry-run")
        for text in ("memory: 1Gi -> 512Mi", "annotation run.googleapis.com/vpc-access-egress: all-traffic -> none",
                     "annotation run.googleapis.com/network-interfaces: "):
            self.assertIn(text, shown.stdout)
        self.assertEqual(self.deploy().returncode, 0)
        self.assertIn("Nothing to do.", self.deploy().stdout)

    def test_a_body_of_a_trigger_is_cleared(self):
        self.gcloud("scheduler", "jobs", "update", "http", f"{CLEANUP}-trigger", f"--location={REGION}", "--message-body={}",
                    "--update-headers=X-Team=data")
        done = self.deploy()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("body: e30= -> none", done.stdout)
        self.assertIn("header X-Team: data -> none", done.stdout)
        self.assertNotIn("body", trigger(self.google.state(), f"{CLEANUP}-trigger")["httpTarget"])
        self.assertIn("Nothing to do.", self.deploy().stdout)

    def test_an_update_that_changed_nothing_is_a_failure(self):
        self.google.faults({"method": "PATCH", "path": "/jobs/", "status": 200, "times": 9})
        state = self.google.state()
        trigger(state, f"{CLEANUP}-trigger")["schedule"] = "0 3 * * *"
        self.google.control("POST", "state", {"scheduler_jobs": state["scheduler_jobs"]})
        done = self.deploy()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("still differs: schedule: 0 3 * * * -> 0 1 * * *", done.stdout)

    def test_a_change_of_region_names_what_stays_behind(self):
        state = self.google.state()
        name = f"projects/{PROJECT}/locations/europe-west1/jobs/{CLEANUP}-trigger"
        state["scheduler_jobs"][name] = {**trigger(state, f"{CLEANUP}-trigger"), "name": name}
        job = copy.deepcopy(deployed_job(state, CLEANUP))
        job["metadata"]["labels"]["cloud.googleapis.com/location"] = "europe-west1"
        state["run_jobs"][f"{PROJECT}/europe-west1/{CLEANUP}"] = job
        self.google.put(state)
        listed = json.loads(self.google.script("list-jobs.sh", "test", "--json").stdout)
        self.assertEqual(listed["orphans"], [f"job {CLEANUP} in europe-west1", f"trigger {CLEANUP}-trigger in europe-west1"])
        self.assertEqual(mutating(self.deploy().requests), [])
        done = self.deploy("--prune", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        state = self.google.state()
        self.assertNotIn(name, state["scheduler_jobs"])
        self.assertNotIn(f"{PROJECT}/europe-west1/{CLEANUP}", state["run_jobs"])
        self.assertIn(f"{PROJECT}/{REGION}/{CLEANUP}", state["run_jobs"])

    def test_a_change_of_prefix_names_what_stays_behind(self):
        state = self.google.state()
        account = state["service_accounts"][f"ca-test-bootstrap@{PROJECT}.iam.gserviceaccount.com"]
        email = f"old-bootstrap@{PROJECT}.iam.gserviceaccount.com"
        state["service_accounts"][email] = {**account, "email": email}
        roles = f"projects/{PROJECT}/roles/"
        state["roles"][roles + "old_organization_schema"] = {
            **state["roles"][roles + "cloudact_organization_schema"], "name": roles + "old_organization_schema"}
        job = copy.deepcopy(deployed_job(state, CLEANUP))
        job["metadata"]["name"] = "old-quota-cleanup"
        state["run_jobs"][f"{PROJECT}/{REGION}/old-quota-cleanup"] = job
        name = f"projects/{PROJECT}/locations/{REGION}/jobs/old-quota-cleanup-trigger"
        state["scheduler_jobs"][name] = {**trigger(state, f"{CLEANUP}-trigger"), "name": name}
        self.google.put(state)
        listed = json.loads(self.google.script("list-jobs.sh", "test", "--json").stdout)
        self.assertEqual(set(listed["orphans"]), {"account old-bootstrap", "custom role old_organization_schema", "job old-quota-cleanup",
                                                  "trigger old-quota-cleanup-trigger"})

    def test_a_region_that_cannot_be_searched_is_named(self):
        self.google.faults({"method": "GET", "host": "cloudscheduler", "path": "/locations/europe-west1/jobs", "status": 403, "message": "no", "times": 9})
        done = self.deploy()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("not searched: triggers in europe-west1: no (Cloud Scheduler", done.stdout)


    def test_a_job_that_worked_is_put_back_where_images_cannot_be_listed(self):
        state = self.google.state()
        name = "us-central1-docker.pkg.dev/cloudact-testing-1/scheduler-jobs/quota-cleanup:0.0.1"
        container(state, CLEANUP)["image"] = name
        state["docker_images"] = {uri: image for uri, image in state["docker_images"].items() if "/quota-cleanup" not in uri} | {name: {}}
        self.google.put(state)
        self.google.faults({"path": "/dockerImages$", "status": 403, "message": "no", "times": 9})
        self.google.control("POST", "config", {"check_images": True})
        self.addCleanup(self.google.control, "POST", "config", {"check_images": False})
        done = self.deploy()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("whether the images exist could not be checked: no (Artifact Registry", done.stdout)
        self.assertIn("The job that worked was put back.", done.stdout)
        self.assertEqual(container(self.google.state(), CLEANUP)["image"], name)


@needs_gcloud
class RepetitionTests(CaseTests):
    def without(self, *names):
        state = self.google.deployed()
        for name in names:
            state["run_jobs"].pop(f"{PROJECT}/{REGION}/{name}")
            state["policies"].pop(f"run:projects/{PROJECT}/locations/{REGION}/jobs/{name}", None)
        self.google.put(state)

    def test_a_job_whose_creation_was_not_answered_is_done(self):
        self.without(CLEANUP)
        self.google.faults({"method": "POST", "host": "run", "path": "/jobs$", "status": 503, "after": True, "times": 1})
        done = self.deploy("--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("Nothing to do.", self.deploy().stdout)

    def test_too_many_requests_are_tried_again(self):
        state = self.google.deployed()
        state["alert_policies"] = {}
        self.google.put(state)
        self.google.faults({"method": "POST", "path": "/alertPolicies$", "status": 429, "times": 1})
        done = self.deploy("--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(len(self.google.state()["alert_policies"]), len(ALERTS))

    def test_an_alert_whose_creation_was_not_answered_is_created_once(self):
        state = self.google.deployed()
        state["alert_policies"] = {}
        self.google.put(state)
        self.google.faults({"method": "POST", "path": "/alertPolicies$", "status": 503, "after": True, "times": 1})
        done = self.deploy("--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(len(self.google.state()["alert_policies"]), len(ALERTS))

    def test_two_deployments_at_once_end_with_one_of_everything(self):
        self.google.put(self.google.prepared())
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            runs = list(pool.map(lambda _: subprocess.run(
                [ROOT / "scripts/create-all-jobs.sh", "test", "--yes"], env=self.google.environment, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False), range(2)))
        for done in runs:
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        state = self.google.state()
        alerts = sorted(a["userLabels"]["alert"] for a in state["alert_policies"].values())
        self.assertEqual(alerts, sorted(set(alerts)))
        self.assertEqual((len(state["dashboards"]), len(state["log_metrics"])), (1, 7))
        self.assertEqual((len(alerts), len(state["run_jobs"]), len(state["scheduler_jobs"])), (len(ALERTS), len(JOBS), len(SCHEDULES)))
        self.assertIn("Nothing to do.", self.deploy().stdout)

    def test_a_start_that_was_not_answered_starts_one_execution(self):
        self.google.put(self.google.deployed())
        self.google.faults({"method": "POST", "path": ":run$", "status": 503, "after": True, "times": 1})
        done = self.google.script("run-job.sh", "test", "stale-cleanup", "--async")
        self.assertEqual(done.returncode, 0, done.stderr)
        executions = [e["metadata"]["name"] for e in self.google.state()["executions"].values()]
        self.assertEqual(len(executions), 1)
        self.assertIn(f"started {executions[0]}\n", done.stdout)

    def test_both_executions_of_a_lost_reply_are_followed(self):
        self.google.put(self.google.deployed())
        # A list without items: the first execution shows only after the second one was started.
        self.google.faults({"method": "POST", "path": ":run$", "status": 503, "after": True, "times": 1},
                           {"method": "GET", "path": "/executions$", "status": 200, "skip": 1, "times": 4})
        done = self.google.script("run-job.sh", "test", "stale-cleanup")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        names = {e["metadata"]["name"] for e in self.google.state()["executions"].values()}
        self.assertEqual(len(names), 2)
        for name in names:
            self.assertIn(f"started {name}\n", done.stdout)
            self.assertIn(f"{name} succeeded", done.stdout)
        self.assertIn("2 executions were started", done.stderr)


@needs_gcloud
class RefusalCaseTests(CaseTests):
    def test_a_missing_right_to_act_as_an_account_is_waited_for_once_and_named(self):
        self.google.put(self.google.prepared())
        self.google.faults({"method": "POST", "host": "run", "path": "/jobs$", "status": 403, "times": 999, "message":
                            "Permission 'iam.serviceaccounts.actAs' denied on service account ca-test-x@p.iam.gserviceaccount.com (or it may not exist)."})
        done = self.google.run("env", "DEPLOYMENT_PATIENCE=8", ROOT / "scripts/create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("waiting, up to 8 s more: Google does not know a new account everywhere yet", done.stderr)
        self.assertIn("Service Account User", done.stdout)
        self.assertIn("--role=roles/iam.serviceAccountUser", done.stdout)
        replaced = [call for call in done.gcloud if call.startswith("run jobs replace")]
        self.assertLessEqual(len(replaced), 6 * len(JOBS), "one deadline for all")

    def test_a_service_that_was_just_enabled_is_waited_for(self):
        self.google.put(self.google.deployed())
        self.google.faults({"host": "cloudscheduler", "path": f"/{REGION}/jobs$", "status": 403, "reason": "SERVICE_DISABLED", "times": 2,
                            "message": "Cloud Scheduler API has not been used in project 1 before or it is disabled."})
        done = self.deploy()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("waiting, up to 60 s more: cloudscheduler was enabled a moment ago", done.stderr)
        self.assertIn("Nothing to do.", done.stdout)

    def test_a_service_that_is_disabled_is_named_with_the_command(self):
        self.google.put(self.google.deployed())
        self.google.faults({"host": "serviceusage", "path": "/services$", "status": 403, "reason": "SERVICE_DISABLED", "times": 9,
                            "message": "Service Usage API has not been used in project 1 before or it is disabled."})
        done = self.deploy()
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"gcloud services enable serviceusage.googleapis.com --project={PROJECT}", done.stderr)
        self.assertNotIn("gcloud auth login", done.stderr)

    def test_a_refusal_of_a_policy_names_service_resource_and_role(self):
        self.google.put(self.google.deployed())
        self.google.faults({"path": f"/projects/{PROJECT}:getIamPolicy$", "status": 403, "times": 9, "message": "The caller does not have permission"})
        done = self.deploy()
        self.assertEqual(done.returncode, 1)
        for text in ("Resource Manager", f"project {PROJECT}", "Project IAM Admin", "gcloud projects add-iam-policy-binding"):
            self.assertIn(text, done.stderr)

    def test_a_token_that_is_refused_twice_asks_to_sign_in(self):
        self.google.put(self.google.deployed())
        self.google.faults({"path": "/alertPolicies$", "status": 401, "times": 99, "message": "Request had invalid authentication credentials."})
        done = self.deploy()
        self.assertEqual(done.returncode, 1)
        self.assertIn("gcloud auth login", done.stderr)


@needs_gcloud
class SurroundingsTests(CaseTests):
    def setUp(self):
        self.google.put(self.google.deployed())

    def test_gcloud_may_print_anything(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "gcloud").write_text(f'#!/bin/sh\necho "Updates are available for some Google Cloud CLI components."\nexec {self.google.folder}/bin/gcloud "$@"\n')
        (folder / "gcloud").chmod(0o755)
        environment = {**self.google.environment, "PATH": f"{folder}:{self.google.environment['PATH']}"}
        for script, arguments in (("create-all-jobs.sh", []), ("list-jobs.sh", ["--json"]), ("run-job.sh", ["stale-cleanup"])):
            with self.subTest(script):
                done = self.google.run(ROOT / "scripts" / script, "test", *arguments, environment=environment)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_gcloud_that_does_not_answer_is_an_error_without_a_traceback(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "gcloud").write_text("#!/bin/sh\necho hello\n")
        (folder / "gcloud").chmod(0o755)
        environment = {**self.google.environment, "PATH": f"{folder}:{self.google.environment['PATH']}"}
        for script, arguments, code in (("create-all-jobs.sh", [], 2), ("list-jobs.sh", [], 1), ("run-job.sh", ["bootstrap"], 1)):
            done = self.google.run(ROOT / "scripts" / script, "test", *arguments, environment=environment)
            self.assertEqual(done.returncode, code, script)
            self.assertIn("gcloud did not print what was asked for: hello", done.stderr)

    def test_a_reader_that_goes_away_does_not_stop_a_deployment(self):
        state = self.google.deployed()
        trigger(state, f"{CLEANUP}-trigger")["schedule"] = "0 3 * * *"
        for command in ("{script} test | true", "{script} test >&-"):
            with self.subTest(command):
                self.google.put(copy.deepcopy(state))
                done = self.google.run("bash", "-c", "set -o pipefail; " + command.format(script=ROOT / "scripts/create-all-jobs.sh"))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(trigger(self.google.state(), f"{CLEANUP}-trigger")["schedule"], "0 1 * * *")

    def test_the_account_of_a_credential_file_is_named(self):
        with tempfile.TemporaryDirectory() as empty:
            environment = {**self.google.environment, "CLOUDSDK_CONFIG": empty,
                           "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(self.google.folder / "key.json")}
            done = self.google.run(ROOT / "scripts/create-all-jobs.sh", "test", "--dry-run", environment=environment)
        self.assertIn(f"test: project {PROJECT}, {REGION}, as deployer@fake-google.iam.gserviceaccount.com\n", done.stdout, done.stderr)

    def test_the_last_success_is_found_behind_many_failures(self):
        self.google.script("run-job.sh", "test", "stale-cleanup")
        state = self.google.state()
        key, success = next(iter(state["executions"].items()))
        for number in range(45):
            failed = copy.deepcopy(success)
            failed["metadata"] |= {"name": f"cloudact-stale-cleanup-f{number}", "creationTimestamp": f"2036-01-01T00:00:{number:02d}.000000Z"}
            failed["status"]["conditions"][0] |= {"status": "False", "reason": "NonZeroExitCode"}
            state["executions"][f"{PROJECT}/{REGION}/{failed['metadata']['name']}"] = failed
            state["execution_runs"][f"{PROJECT}/{REGION}/{failed['metadata']['name']}"] = state["execution_runs"][key]
        self.google.put(state)
        listed = json.loads(self.google.script("list-jobs.sh", "test", "--json").stdout)
        job = next(j for j in listed["jobs"] if j["job"] == "stale-cleanup")
        self.assertEqual(job["status"], "failed")
        self.assertIsNotNone(job["last_success"])

    def test_a_paused_job_is_not_overdue(self):
        state = self.google.deployed()
        trigger(state, "cloudact-stale-cleanup-trigger")["state"] = "PAUSED"
        deployed_job(state, "cloudact-stale-cleanup")["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00.000000Z"
        self.google.put(state)
        listed = json.loads(self.google.script("list-jobs.sh", "test", "--json").stdout)
        self.assertEqual([j["job"] for j in listed["jobs"] if j["overdue"]], [])


if __name__ == "__main__":
    unittest.main()
