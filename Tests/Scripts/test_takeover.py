"""create-all-jobs.sh and list-jobs.sh where the Python jobs are still deployed."""
import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import tempfile
import unittest

from fake_project import (JOBS, OLD_ACCOUNT, OLD_IMAGE, PROJECT, REGION, ROOT, SCHEDULES, container, deployed_job, fake, members,
                          mutating, needs_gcloud, trigger, versions_of)

LEFT = (
    f"trigger nightly-quota in {REGION} also starts cloudact-quota-cleanup: 30 1 * * *, as {OLD_ACCOUNT}",
    f"gcloud scheduler jobs delete nightly-quota --location={REGION} --project={PROJECT}",
    "trigger cloudact-stale-cleanup-trigger in europe-west1 also starts cloudact-stale-cleanup",
    f"gcloud scheduler jobs delete cloudact-stale-cleanup-trigger --location=europe-west1 --project={PROJECT}",
    f"account {OLD_ACCOUNT} has bigquery.admin, run.invoker, secretmanager.secretAccessor; no job of jobs.yaml uses it",
    f"gcloud projects remove-iam-policy-binding {PROJECT} --condition=None --member=serviceAccount:{OLD_ACCOUNT} "
    f"--role=roles/bigquery.admin --project={PROJECT}",
)


@needs_gcloud
class TakeoverTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def setUp(self):
        """A copy of the scripts, because they keep what they replace beside themselves."""
        self.google.put(self.google.original())
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for folder in ("scripts", "deploy"):
            shutil.copytree(ROOT / folder, self.root / folder)
        self.kept = self.root / ".taken-over/test"

    def script(self, name, *arguments):
        return self.google.run(self.root / "scripts" / name, *arguments)

    def assertLeftNamed(self, text):
        for part in LEFT:
            with self.subTest(part):
                self.assertIn(part, text)

    def test_a_dry_run_says_what_would_be_taken_over_and_what_is_left(self):
        done = self.script("create-all-jobs.sh", "test", "--dry-run")
        self.assertEqual((done.returncode, mutating(done.requests)), (0, []), done.stderr)
        for job in JOBS:
            self.assertIn(f"! take over job {job['name']}\n", done.stdout)
        self.assertIn("! take over trigger cloudact-stale-cleanup-trigger\n", done.stdout)
        self.assertIn(f"image: {OLD_IMAGE} -> us-central1-docker.pkg.dev", done.stdout)
        self.assertLeftNamed(done.stdout)
        self.assertIn("secret slack-webhook-test was mounted by cloudact-bootstrap, ", done.stdout)
        self.assertIn(f"gcloud secrets delete slack-webhook-test --project={PROJECT}", done.stdout)
        self.assertIn("still used by trigger cloudact-report-trigger", done.stdout)

    def test_without_a_terminal_it_refuses(self):
        for options in ([], ["--yes"], ["--prune", "--yes"], ["--only", "stale-cleanup", "--yes"]):
            with self.subTest(options):
                done = self.script("create-all-jobs.sh", "test", *options)
                self.assertEqual((done.returncode, mutating(done.requests)), (3, []), done.stdout)
                self.assertIn("--take-over", done.stderr)
        self.assertFalse(self.kept.exists())

    def test_it_asks_once_on_a_terminal(self):
        for text, code, image in (("no\n", 3, OLD_IMAGE), ("yes\n", 0, "scheduler-jobs/stale-cleanup")):
            with self.subTest(text):
                shown, ended = self.on_terminal(text, "create-all-jobs.sh", "test", "--only", "stale-cleanup")
                self.assertEqual(ended, code, shown)
                self.assertEqual(len(re.findall(r"Type \w+ to continue", shown)), 1)
                self.assertIn("taking over 1 job and 1 trigger,", shown)
                self.assertIn(image, container(self.google.state(), "cloudact-stale-cleanup")["image"])

    def on_terminal(self, text, script, *arguments):
        """What a script shows on a terminal on which somebody types, and its exit code."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([self.root / "scripts" / script, *arguments], env=self.google.environment, stdin=theirs,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        os.write(ours, text.encode())
        shown, _ = process.communicate(timeout=120)
        os.close(ours)
        os.close(theirs)
        return shown, process.returncode

    def test_a_takeover_replaces_everything_and_keeps_what_was_there(self):
        before = self.google.state()
        done = self.script("create-all-jobs.sh", "test", "--take-over")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^cloudact-stale-cleanup .*taken over$")
        self.assertLeftNamed(done.stdout)
        state = self.google.state()
        for job in JOBS:
            self.assertEqual(container(state, job["name"])["image"].partition("@")[0], job["image"].rpartition(":")[0])
            self.assertEqual(versions_of(state, job["name"]), [job["image"].rpartition(":")[2]])
            self.assertNotIn("command", container(state, job["name"]))
        for name in SCHEDULES:
            self.assertIn("/v2/projects/", trigger(state, f"cloudact-{name}-trigger")["httpTarget"]["uri"])
        self.assertIn("nightly-quota", str(state["scheduler_jobs"].keys()), "a command is shown, not run")
        project = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]
        self.assertIn(f"serviceAccount:{OLD_ACCOUNT}", members(project, "roles/bigquery.admin"))

        again = self.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual((again.returncode, mutating(again.requests)), (0, []), again.stdout)
        self.assertIn("Nothing to do.", again.stdout)
        self.assertLeftNamed(again.stdout)

        self.assertEqual(self.kept.stat().st_mode & 0o077, 0)
        restored = self.google.run("bash", self.kept / "restore.sh")
        self.assertEqual(restored.returncode, 0, restored.stderr)
        after = self.google.state()
        for job in JOBS:
            self.assertEqual(deployed_job(after, job["name"])["spec"], deployed_job(before, job["name"])["spec"])
            self.assertNotIn("managed-by", deployed_job(after, job["name"])["metadata"]["labels"])
        for name in SCHEDULES:
            for key in ("schedule", "timeZone", "httpTarget", "retryConfig", "state", "attemptDeadline"):
                self.assertEqual(trigger(after, f"cloudact-{name}-trigger").get(key), trigger(before, f"cloudact-{name}-trigger").get(key), key)

    def test_the_printed_commands_remove_what_is_left(self):
        self.script("create-all-jobs.sh", "test", "--take-over")
        listed = json.loads(self.script("list-jobs.sh", "test", "--json").stdout)
        commands = [command for item in listed["leftovers"] for command in item["commands"]]
        self.assertGreaterEqual(len(commands), 5)
        done = self.google.run("bash", "-euc", "\n".join(f"{command} --quiet" for command in commands))
        self.assertEqual(done.returncode, 0, done.stderr)
        again = self.script("create-all-jobs.sh", "test")
        self.assertNotIn("left by a former deployment", again.stdout)

    def test_a_working_job_is_not_replaced_by_one_without_an_image(self):
        images = self.google.prepared()["docker_images"]
        without = {uri: image for uri, image in images.items() if "/stale-cleanup" not in uri}
        self.google.put({**self.google.original(), "docker_images": without})
        done = self.script("create-all-jobs.sh", "test", "--take-over")
        self.assertEqual((done.returncode, mutating(done.requests)), (2, []), done.stdout)
        self.assertIn("Nothing was changed", done.stderr)
        self.assertIn("cloudact-stale-cleanup: us-central1-docker.pkg.dev", done.stderr)
        self.assertNotIn("cloudact-bootstrap:", done.stderr)

    def test_the_list_works_before_secrets_exist(self):
        state = self.google.original()
        state["secrets"] = {name: secret for name, secret in state["secrets"].items() if "slack" in name}
        self.google.put(state)
        done = self.script("list-jobs.sh", "test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("secret stripe-secret-key-test does not exist: gcloud secrets create stripe-secret-key-test", done.stdout)
        self.assertRegex(done.stdout, r"(?s)Not ours yet:.*job cloudact-stale-cleanup\n")
        self.assertLeftNamed(done.stdout)


@needs_gcloud
class MigrationTests(unittest.TestCase):
    """docs/migrating.md, followed literally."""

    def test_every_command_of_the_page_ends_well(self):
        google = fake()
        google.put(google.original())
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for folder in ("scripts", "deploy"):
            shutil.copytree(ROOT / folder, root / folder)
        page = (ROOT / "docs/migrating.md").read_text()
        lines = [line.strip() for block in re.findall(r"```bash\n(.*?)```", page, re.S) for line in block.splitlines()]
        commands = [line for line in lines if line.startswith("./scripts/") and "compare-with-original" not in line]
        self.assertGreaterEqual(len(commands), 12, commands)
        shown = []
        for command in commands:
            with self.subTest(command):
                ours, theirs = pty.openpty()
                os.write(ours, b"yes\n")
                done = subprocess.run(["bash", "-c", command], cwd=root, env=google.environment, stdin=theirs, capture_output=True, text=True, check=False)
                os.close(ours)
                os.close(theirs)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                shown.append(done.stdout)
        self.assertEqual(sum(f"taking over {len(JOBS)} jobs and {len(SCHEDULES)} triggers" in text for text in shown), 1)
        self.assertNotIn("Not ours yet", shown[-1])
        for part in LEFT:
            self.assertIn(part, shown[-1])
        self.assertTrue((root / ".taken-over/test/restore.sh").is_file(), "the way back")


if __name__ == "__main__":
    unittest.main()
