"""rollback.sh."""
import unittest

from fake_project import JOBS, PROJECT, REGION, container, fake, mutating, needs_gcloud, versions_of
from deployment import rollback

VERSION = JOBS[0]["image"].rpartition(":")[2]


@needs_gcloud
class RollbackTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def setUp(self):
        """A deployed project with images of two earlier versions, one of them not complete."""
        state = self.google.deployed()
        for job in JOBS:
            name = job["image"].rpartition(":")[0]
            state["docker_images"][f"{name}:0.0.9"] = {}
            if job["job"] != "bootstrap":
                state["docker_images"][f"{name}:0.0.10"] = {}
        self.google.put(state)
        self.addCleanup(self.google.faults)

    def test_the_version_before_is_deployed_with_everything_else_as_it_is(self):
        state = self.google.state()
        container(state, "cloudact-quota-cleanup")["env"].append({"name": "EXTRA", "value": "1"})
        self.google.control("POST", "state", {"run_jobs": state["run_jobs"]})
        shown = self.google.script("rollback.sh", "test", "--dry-run")
        self.assertEqual((shown.returncode, mutating(shown.requests)), (0, []), shown.stderr)
        self.assertIn(f"Dry run: {len(JOBS)} jobs would get version 0.0.9.", shown.stdout)
        done = self.google.script("rollback.sh", "test")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        after = self.google.state()
        for job in JOBS:
            self.assertEqual(versions_of(after, job["name"]), ["0.0.9"])
            self.assertIn(f"/{job['job']}@sha256:", container(after, job["name"])["image"])
        self.assertIn({"name": "EXTRA", "value": "1"}, container(after, "cloudact-quota-cleanup")["env"])
        self.assertEqual(after["scheduler_jobs"], state["scheduler_jobs"])
        self.assertEqual(after["policies"], state["policies"])
        again = self.google.script("rollback.sh", "test", "0.0.9")
        self.assertEqual((again.returncode, mutating(again.requests)), (0, []))
        self.assertIn("Nothing to do", again.stdout)
        forward = self.google.script("create-all-jobs.sh", "test")
        self.assertRegex(forward.stdout, r":0.0.9 \(sha256:\w{12}\) -> "
                         rf"us-central1-docker.pkg.dev/{PROJECT}/scheduler-jobs/quota-cleanup:{VERSION} \(sha256:\w{{12}}\)")

    def test_a_version_that_is_not_complete_changes_nothing(self):
        for version, text in (("0.0.10", "scheduler-jobs/bootstrap:0.0.10"), ("9.9.9", f"Complete are: 0.0.9, {VERSION}")):
            done = self.google.script("rollback.sh", "test", version)
            self.assertEqual((done.returncode, mutating(done.requests)), (2, []))
            self.assertIn(text, done.stderr)

    def test_jobs_of_others_are_left_alone(self):
        state = self.google.state()
        key = f"{PROJECT}/{REGION}/cloudact-bootstrap"
        state["run_jobs"][key]["metadata"]["labels"].pop("managed-by")
        self.google.put(state)
        done = self.google.script("rollback.sh", "test", "0.0.9")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left alone: cloudact-bootstrap", done.stdout)
        self.assertEqual(versions_of(self.google.state(), "cloudact-bootstrap"), [VERSION])

    def test_prod_asks_first(self):
        state = self.google.prepared()
        project = "cloudact-prod"
        state["projects"][project] = {**state["projects"][PROJECT], "projectId": project, "projectNumber": "123"}
        state["services"][project] = state["services"][PROJECT]
        for name, repository in list(state["repositories"].items()):
            state["repositories"][name.replace(PROJECT, project)] = repository
        job = self.google.deployed()["run_jobs"][f"{PROJECT}/{REGION}/cloudact-bootstrap"]
        job["metadata"]["labels"]["environment"] = "prod"
        state["run_jobs"][f"{project}/{REGION}/cloudact-bootstrap"] = job
        state["docker_images"] = {f"{j['image'].rpartition(':')[0].replace(PROJECT, project)}:0.0.9": {} for j in JOBS}
        self.google.put(state)
        done = self.google.script("rollback.sh", "prod", "0.0.9")
        self.assertEqual((done.returncode, mutating(done.requests)), (3, []), done.stderr)
        self.assertIn("prod asks before it changes", done.stderr)

    def test_a_failed_job_is_named_and_the_rest_is_done(self):
        self.google.faults({"method": "PUT", "path": "/jobs/cloudact-stale-cleanup$", "status": 403, "message": "denied", "times": 9})
        done = self.google.script("rollback.sh", "test")
        self.assertEqual(done.returncode, 1)
        self.assertIn("failed: cloudact-stale-cleanup: ", done.stdout)
        self.assertIn("Cloud Run Admin", done.stdout)
        state = self.google.state()
        updated = [j for j in JOBS if versions_of(state, j["name"]) == ["0.0.9"]]
        self.assertEqual(len(updated), len(JOBS) - 1)


class VersionTests(unittest.TestCase):
    def test_versions_are_ordered_by_number(self):
        found = ["0.10.0", "0.9.1", "0.2.0", "1.0.0-rc1", "1.0.0"]
        self.assertEqual(sorted(found, key=rollback.order), ["0.2.0", "0.9.1", "0.10.0", "1.0.0-rc1", "1.0.0"])
        self.assertEqual(rollback.previous(["0.2.0", "0.9.1", "0.10.0"], "0.10.0"), "0.9.1")
        self.assertIsNone(rollback.previous(["0.10.0"], "0.10.0"))


if __name__ == "__main__":
    unittest.main()
