"""build-images.sh: with a docker that only notes what it is asked for, and with Cloud Build."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from fake_project import PROJECT, ROOT, fake, needs_gcloud

DOCKER = """#!/bin/sh
echo "$*" >>"$DOCKER_CALLS"
case "$1 $2" in
    "manifest inspect") echo "$3" | grep -q "${THERE:-nothing is there}" ;;
    "image inspect") echo "${BUILT_FROM:-abc}" ;;
    "build "*) ! echo "$*" | grep -q "JOB=${BROKEN:-nothing is broken}" ;;
esac
"""
INDEX = json.loads((ROOT / "deploy/generated/test/deployment.json").read_text())
IMAGES, TAG = INDEX["images"], INDEX["image_tag"]


class BuildImagesTests(unittest.TestCase):
    def build(self, *arguments, **environment):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "docker").write_text(DOCKER)
            (folder / "docker").chmod(0o755)
            calls = folder / "calls"
            calls.touch()
            done = subprocess.run([ROOT / "scripts/build-images.sh", *arguments], capture_output=True, text=True, check=False, env={
                **os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "DOCKER_CALLS": str(calls), "REVISION": "abc", **environment})
            done.calls = calls.read_text().splitlines()
            return done

    def test_builds_one_image_for_each_job(self):
        done = self.build("test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.calls), 9)
        self.assertEqual(done.calls[2], f"build --build-arg JOB=OrgSyncAllJob --build-arg VERSION={TAG} --build-arg REVISION=abc "
                                        f"--tag {IMAGES}/org-sync-all:{TAG} .")

    def test_pushes_what_is_not_there_yet(self):
        done = self.build("test", "--push", THERE="quota")
        pushed = [call.rpartition("/")[2] for call in done.calls if call.startswith("push ")]
        self.assertEqual(pushed, [f"{n}:{TAG}" for n in (
            "bootstrap", "bootstrap-sync", "org-sync-all", "stale-cleanup", "billing-sync-retry", "billing-sync-reconcile")])

    def test_a_tag_is_not_used_for_other_sources(self):
        done = self.build("test", "--push", THERE="quota", BUILT_FROM="def")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"quota-reset-daily:{TAG} is there, built from def and not from abc: raise image_tag", done.stderr)

    def test_the_revision_is_that_of_what_is_in_the_image(self):
        done = self.build("test", "--only", "bootstrap", REVISION="")
        log = subprocess.run(["git", "log", "-1", "--format=%H", "--", "Dockerfile", "Package.swift", "Sources"], cwd=ROOT,
                             capture_output=True, text=True, check=False).stdout.strip()
        self.assertRegex(done.calls[0], f"REVISION={log or 'unknown'}(-changed)? ")

    def test_stops_at_an_image_that_cannot_be_built(self):
        done = self.build("test", "--push", BROKEN="BootstrapSyncJob")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"bootstrap-sync:{TAG} could not be built", done.stderr)
        self.assertFalse(any("push" in call and "bootstrap-sync" in call for call in done.calls))

    def test_only_takes_a_job_that_exists(self):
        self.assertEqual(len(self.build("test", "--only", "bootstrap").calls), 1)
        unknown = self.build("test", "--only", "nothing")
        self.assertEqual((unknown.returncode, unknown.calls), (64, []))

    @needs_gcloud
    def test_cloud_build_takes_its_file(self):
        google = fake()
        google.put(google.prepared())
        google.run("gcloud", "services", "enable", "cloudbuild.googleapis.com", "storage.googleapis.com", f"--project={PROJECT}", "--quiet")
        done = google.script("build-images.sh", "test", "--cloud")
        self.assertEqual(done.returncode, 0, done.stderr)
        build = next(iter(google.state()["builds"].values()))
        self.assertEqual((build["status"], build["steps"][0]["args"]), ("SUCCESS", ["scripts/build-images.sh", "test", "--push"]))


class DockerfileTests(unittest.TestCase):
    def test_the_repository_has_what_it_copies(self):
        text = (ROOT / "Dockerfile").read_text()
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        self.assertEqual(ignored, ["*", "!Package.swift", "!Package.resolved", "!Sources"])
        self.assertIn("COPY Sources Sources", text)

    def test_the_image_runs_as_nobody_in_particular(self):
        last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
        self.assertIn("\nUSER 65532:65532\n", last)
        self.assertNotIn("swift", last.lower())


if __name__ == "__main__":
    unittest.main()
