"""Jobs are deployed by the digest of their image, and with the version of a secret that jobs.yaml names."""
import json
import pathlib
import shutil
import tempfile
import unittest

from fake_project import JOBS, PROJECT, ROOT, container, fake, mutating, needs_gcloud, versions_of
from deployment.images import Images

NAME = "cloudact-quota-cleanup"
IMAGE = next(job["image"] for job in JOBS if job["name"] == NAME)
REPOSITORY, _, VERSION = IMAGE.rpartition(":")
OTHER = f"{REPOSITORY}@sha256:{'0123456789abcdef' * 4}"


def moved(state):
    """Somebody pushed something else under the tag of an image that is deployed. The digest that is deployed."""
    before = container(state, NAME)["image"]
    state["docker_images"][before]["tags"] = []
    state["docker_images"][OTHER] = {"tags": [VERSION]}
    return before


@needs_gcloud
class DeployedByDigestTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def setUp(self):
        self.state = self.google.deployed()
        self.addCleanup(self.google.faults)

    def test_a_deployed_job_has_the_digest_of_its_tag(self):
        for job in JOBS:
            self.assertRegex(container(self.state, job["name"])["image"], r"@sha256:[0-9a-f]{64}$")
            self.assertEqual(versions_of(self.state, job["name"]), [VERSION])
        self.google.put(self.state)
        again = self.google.script("create-all-jobs.sh", "test")
        self.assertEqual((again.returncode, mutating(again.requests)), (0, []), again.stdout)
        self.assertIn("Nothing to do.", again.stdout)

    def test_a_tag_that_moved_is_drift_and_shows_version_and_digest(self):
        before = moved(self.state)
        self.google.put(self.state)
        line = f"image: {REPOSITORY} ({before.partition('@')[2][:19]}, without a tag) -> {IMAGE} (sha256:0123456789ab)"
        listed = json.loads(self.google.script("list-jobs.sh", "test", "--json").stdout)
        self.assertEqual([d for job in listed["jobs"] for d in job["drift"]], [f"job {NAME}: {line}"])
        done = self.google.script("create-all-jobs.sh", "test")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(line, done.stdout)
        self.assertEqual(container(self.google.state(), NAME)["image"], OTHER)

    def test_a_job_that_was_deployed_by_tag_gets_the_digest_once(self):
        digest = container(self.state, NAME)["image"]
        container(self.state, NAME)["image"] = IMAGE
        self.google.put(self.state)
        done = self.google.script("create-all-jobs.sh", "test")
        self.assertIn(f"image: {IMAGE} -> {IMAGE} ({digest.partition('@')[2][:19]})", done.stdout)
        self.assertEqual(container(self.google.state(), NAME)["image"], digest)

    def test_where_images_cannot_be_listed_a_job_keeps_its_digest(self):
        before = moved(self.state)
        container(self.state, NAME)["resources"]["limits"]["memory"] = "1Gi"
        self.google.put(self.state)
        self.google.faults({"path": "/dockerImages$", "status": 403, "message": "no", "times": 9})
        done = self.google.script("create-all-jobs.sh", "test")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("A job that has its image by digest keeps it.", done.stdout)
        self.assertNotIn("image: ", done.stdout)
        self.assertEqual(container(self.google.state(), NAME)["image"], before)
        self.google.faults({"path": "/dockerImages$", "status": 403, "message": "no", "times": 9})
        self.assertIn("Not searched: images: no (Artifact Registry", self.google.script("list-jobs.sh", "test").stdout)


@needs_gcloud
class PinnedSecretTests(unittest.TestCase):
    def test_the_version_must_be_there_and_is_deployed(self):
        google, secret = fake(), f"projects/{PROJECT}/secrets/stripe-secret-key-test"
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for folder in ("scripts", "deploy"):
            shutil.copytree(ROOT / folder, root / folder)
        file = root / "deploy/generated/test/jobs/cloudact-billing-sync-retry.yaml"
        text = file.read_text()
        self.assertIn("name: stripe-secret-key-test\n                  key: latest", text)
        file.write_text(text.replace("name: stripe-secret-key-test\n                  key: latest", 'name: stripe-secret-key-test\n                  key: "2"'))
        google.put(google.deployed())
        done = google.run(root / "scripts/create-all-jobs.sh", "test")
        self.assertEqual((done.returncode, mutating(done.requests)), (2, []), done.stdout)
        self.assertIn("secret stripe-secret-key-test has no enabled version 2, which jobs.yaml names; enabled: 1", done.stderr)
        self.assertIn(f"gcloud secrets versions list stripe-secret-key-test --project={PROJECT}", done.stderr)
        added = google.run("bash", "-c", f"printf y | gcloud secrets versions add {secret.split('/')[-1]} --data-file=- --project={PROJECT} --quiet")
        self.assertEqual(added.returncode, 0, added.stderr)
        done = google.run(root / "scripts/create-all-jobs.sh", "test")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("secrets STRIPE_SECRET_KEY: stripe-secret-key-test:latest -> stripe-secret-key-test:2", done.stdout)


class ImageTests(unittest.TestCase):
    images = Images({"r/a:1": "r/a@sha256:" + "1" * 64, "r/a:1-rc": "r/a@sha256:" + "1" * 64})

    def test_a_version_is_shown_with_its_digest(self):
        self.assertEqual(self.images.spoken(f"image: r/a@sha256:{'2' * 64} -> r/a@sha256:{'1' * 64}"),
                         "image: r/a (sha256:222222222222, without a tag) -> r/a:1,1-rc (sha256:111111111111)")
        self.assertEqual(self.images.spoken("memory: 1Gi -> 2Gi"), "memory: 1Gi -> 2Gi")

    def test_an_image_that_is_not_there_keeps_its_tag(self):
        job = {"spec": {"template": {"spec": {"template": {"spec": {"containers": [{"image": "r/b:1"}]}}}}}}
        self.assertEqual(self.images.pinned(job), job)
        self.assertEqual(self.images.absent([{"image": "r/a:1"}, {"image": "r/b:1"}]), ["r/b:1"])


if __name__ == "__main__":
    unittest.main()
