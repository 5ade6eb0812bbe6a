"""create-all-jobs.sh when something fails on the way."""
import os
import pathlib
import pty
import signal
import subprocess
import tempfile
import time
import unittest

from fake_project import JOBS, PROJECT, REGION, ROOT, SCHEDULES, fake, mutating, needs_gcloud

LOST = ("cloudact-bootstrap", "cloudact-stale-cleanup", "cloudact-quota-cleanup")
POLICY = {"method": "POST", "path": ":setIamPolicy$"}


@needs_gcloud
class FailureTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def without(self, names):
        """Deployed, but without these jobs and what hangs on them."""
        state = self.google.deployed()
        for name in names:
            state["run_jobs"].pop(f"{PROJECT}/{REGION}/{name}")
            state["scheduler_jobs"].pop(f"projects/{PROJECT}/locations/{REGION}/jobs/{name}-trigger", None)
            state["policies"].pop(f"run:projects/{PROJECT}/locations/{REGION}/jobs/{name}", None)
        self.google.put(state)

    def tearDown(self):
        self.google.faults()

    def test_the_next_run_completes_what_a_failure_left(self):
        self.without(LOST)
        self.google.faults({"method": "POST", "host": "run", "path": "/jobs$", "status": 403, "message": "denied", "times": 1})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("denied", done.stdout)
        self.assertIn("Run the same command again", done.stdout)
        self.assertEqual(len(self.google.state()["run_jobs"]), len(JOBS) - 1, "the other jobs are deployed nevertheless")
        again = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(again.returncode, 0, again.stdout)
        state = self.google.state()
        self.assertEqual((len(state["run_jobs"]), len(state["scheduler_jobs"])), (len(JOBS), len(SCHEDULES)))

    def test_a_creation_whose_answer_was_lost_counts_as_done(self):
        self.without(["cloudact-stale-cleanup"])
        self.google.faults({"method": "POST", "host": "cloudscheduler", "path": "/jobs$", "status": 503, "after": True, "times": 1})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(len(self.google.state()["scheduler_jobs"]), len(SCHEDULES))

    def test_a_policy_that_somebody_else_changed_is_read_again(self):
        self.without(["cloudact-stale-cleanup"])
        self.google.faults({**POLICY, "status": 409, "reason": "ABORTED", "times": 1,
                            "message": "There were concurrent policy changes. Please retry the whole read-modify-write."})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        reads = [r for r in done.requests if r["path"].endswith("cloudact-stale-cleanup:getIamPolicy")]
        self.assertGreaterEqual(len(reads), 2)

    def test_an_account_that_is_not_known_everywhere_yet_is_waited_for(self):
        self.without(["cloudact-stale-cleanup"])
        self.google.faults({**POLICY, "status": 400, "times": 1,
                            "message": "Service account ca-test-trigger@cloudact-testing-1.iam.gserviceaccount.com does not exist."})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_passing_failure_of_a_reading_is_repeated(self):
        self.google.put(self.google.deployed())
        self.google.faults({"method": "GET", "host": "monitoring", "path": "/alertPolicies", "status": 503, "times": 2},
                           {"method": "GET", "host": "cloudscheduler", "path": "/jobs$", "drop": True, "times": 1})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Nothing to do.", done.stdout)

    def test_missing_images_are_a_failure_until_they_are_there(self):
        state, images = self.google.deployed(), self.google.deployed()["docker_images"]
        state["docker_images"] = {uri: image for uri, image in images.items() if "/stale-cleanup@" not in uri and "/stale-cleanup:" not in uri}
        state["run_jobs"].pop(f"{PROJECT}/{REGION}/cloudact-stale-cleanup")
        self.google.put(state)
        self.google.control("POST", "config", {"check_images": True})
        try:
            done = self.google.script("create-all-jobs.sh", "test", "--yes")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(f"1 of {len(JOBS)} images missing", done.stderr)
            self.assertIn("scheduler-jobs/stale-cleanup:", done.stderr)
            self.assertIn(f"{PROJECT}/{REGION}/cloudact-stale-cleanup", self.google.state()["run_jobs"], "the job is deployed nevertheless")
            again = self.google.script("create-all-jobs.sh", "test", "--dry-run")
            self.assertIn(f"1 of {len(JOBS)} images missing", again.stderr)
            self.assertIn("not ready: Image ", again.stdout)
            self.google.control("POST", "state", {"docker_images": images})
            mended = self.google.script("create-all-jobs.sh", "test", "--yes")
            self.assertEqual(mended.returncode, 0, mended.stdout + mended.stderr)
            self.assertIn("updated job cloudact-stale-cleanup", mended.stdout)
        finally:
            self.google.control("POST", "config", {"check_images": False})

    def test_without_credentials_it_says_how_to_sign_in(self):
        empty = {**self.google.environment, "CLOUDSDK_CONFIG": str(self.google.folder / "nobody")}
        done = subprocess.run([ROOT / "scripts/create-all-jobs.sh", "test"], env=empty, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("gcloud auth login", done.stderr)

    def test_an_interruption_names_the_running_changes(self):
        self.without(["cloudact-stale-cleanup"])
        with tempfile.TemporaryDirectory() as folder:
            mark = pathlib.Path(folder) / "begun"
            gcloud = pathlib.Path(folder) / "gcloud"
            real = self.google.folder / "bin/gcloud"
            gcloud.write_text(f'#!/bin/sh\ncase "$*" in "run jobs replace"*) : >"{mark}"; sleep 2 ;; esac\nexec {real} "$@"\n')
            gcloud.chmod(0o755)
            # In the background of a shell SIGINT is ignored, and children inherit that.
            process = subprocess.Popen(
                [ROOT / "scripts/create-all-jobs.sh", "test", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                env={**self.google.environment, "PATH": f"{folder}:{self.google.environment['PATH']}"})
            while not mark.exists() and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, out + err)
        self.assertIn("stopped; run the same command again", err)
        self.assertIn("create job cloudact-stale-cleanup", err)
        self.assertNotIn("Traceback", err)
        self.assertNotIn("created trigger", out, "nothing more is begun")

    def test_prod_asks_first(self):
        state = self.google.prepared()
        for key in ("services", "projects"):
            state[key]["cloudact-prod"] = state[key][PROJECT]
        state["projects"]["cloudact-prod"] = {**state["projects"][PROJECT], "projectId": "cloudact-prod", "projectNumber": "123"}
        state["policies"]["cloudresourcemanager:projects/cloudact-prod"] = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]
        for name, secret in list(state["secrets"].items()):
            state["secrets"][name.replace(PROJECT, "cloudact-prod").replace("-test", "-prod")] = secret
        self.google.put(state)
        done = self.google.script("create-all-jobs.sh", "prod")
        self.assertEqual((done.returncode, mutating(done.requests)), (3, []))
        self.assertIn("prod asks before it changes", done.stderr)
        self.assertEqual(self.answer("yes\n"), 3, "only the environment's name is an answer")
        self.assertEqual(self.answer("\x04"), 3, "the end of the input is none")
        self.assertEqual(self.google.state()["run_jobs"], {})

    def answer(self, text):
        """Runs create-all-jobs.sh prod on a terminal and types."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([ROOT / "scripts/create-all-jobs.sh", "prod"], env=self.google.environment, stdin=theirs,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.write(ours, text.encode())
        code = process.wait(timeout=60)
        os.close(ours)
        os.close(theirs)
        return code


if __name__ == "__main__":
    unittest.main()
