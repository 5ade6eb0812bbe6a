"""The workflows of .github: they can be read, pin what they use, and call scripts that are there."""
import fnmatch
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def steps(workflow):
    for name, job in workflow["jobs"].items():
        for step in job.get("steps", []):
            yield name, step


class WorkflowTests(unittest.TestCase):
    def setUp(self):
        self.workflows = {path.name: yaml.safe_load(path.read_text()) for path in WORKFLOWS}

    def test_the_workflows_are_there(self):
        self.assertEqual(list(self.workflows), ["ci.yml", "deploy-to.yml", "deploy.yml", "image.yml"])
        self.assertIn(".ci/run --without-image", [step.get("run") for _, step in steps(self.workflows["ci.yml"])])

    def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(self):
        for path in WORKFLOWS:
            for line in path.read_text().splitlines():
                if "uses:" in line and "./.github/" not in line:
                    self.assertRegex(line, r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", path.name)

    def test_the_images_are_checked_where_what_decides_about_them_changed(self):
        # YAML 1.1 takes the key "on" for true.
        events, steps_run = self.workflows["image.yml"][True], [step.get("run") for _, step in steps(self.workflows["image.yml"])]
        self.assertIn("sudo scripts/check-image.sh --pull", steps_run)
        for event in ("push", "pull_request"):
            for name in ("Dockerfile", ".dockerignore", "Package.swift", "Sources/CCurl/module.modulemap", "scripts/check-image.sh",
                         "scripts/lib/image-root.sh", "scripts/lib/image-checks.sh"):
                self.assertTrue((ROOT / name).is_file(), name)
                self.assertTrue(any(fnmatch.fnmatch(name, pattern) for pattern in events[event]["paths"]), f"{event}: {name}")

    def test_every_script_that_is_called_is_there(self):
        called = {word for w in self.workflows.values() for _, step in steps(w)
                  for word in re.findall(r"(?:scripts|\.ci)/[\w./-]+", step.get("run", ""))}
        self.assertGreaterEqual(called, {".ci/run", "scripts/create-all-jobs.sh", "scripts/build-images.sh", "scripts/list-jobs.sh"})
        for name in called:
            self.assertTrue(os.access(ROOT / name, os.X_OK), name)

    def test_no_text_of_others_is_put_into_a_shell(self):
        for workflow in self.workflows.values():
            for _, step in steps(workflow):
                self.assertNotIn("${{", step.get("run", ""), step)

    def test_a_pull_request_only_shows_the_plan_and_prod_waits_for_an_approval(self):
        deploy = self.workflows["deploy.yml"]
        self.assertIn("github.event_name == 'pull_request'", deploy["jobs"]["plan"]["if"])
        self.assertTrue(all("--dry-run" in step["run"] for name, step in steps(deploy) if name == "plan" and "create-all" in step.get("run", "")))
        self.assertIn("github.event_name == 'push'", deploy["jobs"]["test"]["if"])
        self.assertEqual(deploy["jobs"]["prod"]["needs"], "test")
        self.assertEqual(self.workflows["deploy-to.yml"]["jobs"]["deploy"]["environment"], "${{ inputs.target }}")

    def test_the_summary_has_the_output_and_the_outcome(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        page = pathlib.Path(folder, "page.md")
        done = subprocess.run([ROOT / "scripts/lib/summarize.sh", "Plan", "bash", "-c", "echo out; echo err >&2; exit 3"], capture_output=True,
                              text=True, check=False, env={**os.environ, "GITHUB_STEP_SUMMARY": str(page)})
        self.assertEqual((done.returncode, done.stdout), (3, "out\nerr\n"))
        self.assertEqual(page.read_text(), "### Plan (exit code 3)\n\n```text\nout\nerr\n\n```\n")


if __name__ == "__main__":
    unittest.main()
