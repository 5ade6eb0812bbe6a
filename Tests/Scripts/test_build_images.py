"""build-images.sh: with a docker that only notes what it is asked for, and with Cloud Build."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from fake_project import INDEX, JOBS, PROJECT, ROOT, fake, needs_gcloud

DOCKER = """#!/bin/sh
echo "$*" >>"$DOCKER_CALLS"
case "$1 $2" in
    "manifest inspect") echo "$3" | grep -q "${THERE:-nothing is there}" ;;
    "image inspect")
        case "$4" in
            *revision*) echo "${BUILT_FROM:-abc}" ;;
            *) printf 'other.example/x@sha256:0\n%s@sha256:%s\n' "${5%:*}" "$(basename "$5" | cksum | cut -d' ' -f1)" | grep "${DIGESTS:-.}" ;;
        esac
        ;;
    "build "*) ! echo "$*" | grep -q "JOB=${BROKEN:-nothing is broken}" ;;
esac
"""
TAG = INDEX["image_tag"]


def git(root, *arguments):
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    return subprocess.run(["git", *who, *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def commit(file, text):
    """Writes the file and commits it alone. The commit."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    git(file.parent, "add", file.name)
    git(file.parent, "commit", "--quiet", "--no-gpg-sign", "--message", "x", "--", file.name)
    return git(file.parent, "rev-parse", "HEAD")


class BuildImagesTests(unittest.TestCase):
    def setUp(self):
        """A copy of the script without git, because it writes beside itself."""
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("scripts/build-images.sh", "scripts/lib/setup.sh", *(f"deploy/generated/{e}/deployment.json" for e in ("test", "stage", "prod"))):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)

    def build(self, *arguments, **environment):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "docker").write_text(DOCKER)
            (folder / "docker").chmod(0o755)
            calls = folder / "calls"
            calls.touch()
            done = subprocess.run([self.root / "scripts/build-images.sh", *arguments], capture_output=True, text=True, check=False, env={
                **os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "DOCKER_CALLS": str(calls), "REVISION": "abc", **environment})
            done.calls = calls.read_text().splitlines()
            return done

    def test_builds_one_image_for_each_job(self):
        done = self.build("test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.calls, [
            f"build --build-arg JOB={job['executable']} --build-arg VERSION={TAG} --build-arg REVISION=abc --tag {job['image']} ."
            for job in JOBS])

    def test_pushes_what_is_not_there_yet(self):
        done = self.build("test", "--push", THERE="quota")
        pushed = [call.rpartition("/")[2] for call in done.calls if call.startswith("push ")]
        self.assertEqual(pushed, [f"{job['job']}:{TAG}" for job in JOBS if "quota" not in job["job"]])

    def test_the_digest_of_each_image_is_printed_and_recorded(self):
        done = self.build("test", "--push", THERE="quota")
        self.assertEqual(done.returncode, 0, done.stderr)
        record = dict(line.split() for line in (self.root / ".pushed-images/test.txt").read_text().splitlines())
        self.assertEqual(list(record), [job["image"] for job in JOBS])
        for job in JOBS:
            what = "already exists" if "quota" in job["job"] else "pushed"
            self.assertIn(f"{job['image']} {what}: {record[job['image']]}\n", done.stdout)
        self.assertEqual(len(set(record.values())), len(JOBS))
        self.assertTrue(all(digest.startswith("sha256:") for digest in record.values()))

    def test_a_pushed_image_without_a_digest_is_a_failure(self):
        done = self.build("test", "--push", DIGESTS="other.example")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"bootstrap:{TAG}: docker does not say which digest the registry gave it", done.stderr)

    def test_a_tag_is_not_used_for_other_sources(self):
        done = self.build("test", "--push", THERE="quota", BUILT_FROM="def")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"quota-reset-daily:{TAG} exists and was built from def, not from abc: raise image_tag", done.stderr)

    def test_a_tag_is_not_used_where_the_sources_cannot_be_told(self):
        for revision in ("unknown", "unknown-changed", "abc-changed"):
            done = self.build("test", "--push", THERE="quota", REVISION=revision, BUILT_FROM=revision)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"quota-reset-daily:{TAG} exists, and its sources cannot be compared with these ({revision})", done.stderr)

    def test_the_revision_is_that_of_what_is_in_the_image(self):
        root = self.root
        self.assertEqual(self.revision(), "unknown")
        git(root, "init", "--quiet")
        inside, outside = root / "Sources/Jobs/a.swift", root / "Sources/Tools/b.swift"
        first = commit(inside, "1")
        commit(outside, "1")
        commit(root / "Sources/DeploymentKit/c.swift", "1")
        commit(root / "Sources/EmbeddedWarehouse/d.swift", "1")
        outside.write_text("2")
        self.assertEqual(self.revision(), first)
        inside.write_text("2")
        self.assertEqual(self.revision(), first + "-changed")
        second = commit(inside, "3")
        self.assertEqual(self.revision(), second)

    def revision(self):
        done = self.build("test", "--only", "bootstrap", REVISION="")
        return done.calls[0].partition("REVISION=")[2].partition(" ")[0]

    def test_stops_at_an_image_that_cannot_be_built(self):
        done = self.build("test", "--push", BROKEN="BootstrapSyncJob")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"bootstrap-sync:{TAG} could not be built", done.stderr)
        before, broken = (next(job["image"] for job in JOBS if job["job"] == name) for name in ("bootstrap", "bootstrap-sync"))
        calls = [call for call in done.calls if not call.startswith("image ")]
        self.assertEqual([call.split()[0] + " " + call.removesuffix(" .").split()[-1] for call in calls], [
            f"manifest {before}", f"build {before}", f"push {before}", f"manifest {broken}", f"build {broken}"])

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
        self.assertEqual(ignored, ["*", "!Package.swift", "!Package.resolved", "!Sources", "!scripts/lib/image-root.sh"])
        self.assertIn("COPY Sources Sources", text)
        self.assertIn("COPY scripts/lib/image-root.sh ", text)

    def test_base_images_are_named_once_with_or_without_a_digest(self):
        text = (ROOT / "Dockerfile").read_text()
        for name in ("swift:6.3-bookworm", "debian:bookworm-slim"):
            self.assertRegex(text, rf"(?m)^ARG \w+_IMAGE={name}(@sha256:[0-9a-f]{{64}})?$")
        self.assertEqual(re.findall(r"(?m)^FROM (\S+)", text), ["${SWIFT_IMAGE}", "${DEBIAN_IMAGE}", "${DEBIAN_IMAGE}", "scratch"])

    def test_every_test_target_gets_a_folder(self):
        """The manifest in the image names tests that the image does not have."""
        command = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if "mkdir -p" in line and "Package.swift" in line)
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copy(ROOT / "Package.swift", folder)
        subprocess.run(["bash", "-euc", command.rstrip("\\")], cwd=folder, check=True)
        wanted = {path.name for path in (ROOT / "Tests").iterdir() if path.name.endswith("Tests") or path.name == "TestSupport"}
        self.assertEqual({path.name for path in (folder / "Tests").iterdir()}, wanted)

    def test_the_image_runs_as_nobody_in_particular(self):
        last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
        self.assertIn("\nUSER 65532:65532\n", last)
        self.assertNotIn("swift", last.lower())


if __name__ == "__main__":
    unittest.main()
