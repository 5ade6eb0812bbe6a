"""update-pins.sh: with real skopeo and git, which talk to a registry on the loopback interface and to repositories in a folder."""
import hashlib
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'
DIGEST = "sha256:" + hashlib.sha256(LIST).hexdigest()
# What pip reports for everything that the named packages need; its other options do not matter here.
PYTHON = """#!/bin/sh
echo "$*" >>pip-calls
echo '{"install": [{"metadata": {"name": "h2", "version": "4.4.1"}}, {"metadata": {"name": "hpack", "version": "9.9.9"}}]}'
"""


class Registry(http.server.BaseHTTPRequestHandler):
    """Serves one list of manifests under every name and tag, except those of `absent`."""
    absent = ""

    def do_GET(self):
        found = re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path)
        known = self.path == "/v2/" or found and not (self.absent and self.absent in self.path)
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/vnd.oci.image.index.v1+json" if found else "application/json")
        self.end_headers()
        self.wfile.write(LIST if known and found else b"{}")

    def log_message(self, *_):
        pass


@unittest.skipUnless(shutil.which("skopeo") or os.geteuid() == 0, "skopeo is not installed, and only root can install it")
class UpdatePinsTests(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Registry,), {}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.registry, self.host = server.RequestHandlerClass, f"127.0.0.1:{server.server_port}"
        for name in ("scripts/update-pins.sh", "scripts/lib/setup.sh", "scripts/lib/update_pins.py"):
            self.write(name, (ROOT / name).read_text(), mode=0o755)
        self.write("Dockerfile", f"ARG SWIFT_IMAGE={self.host}/swift:6.3\nARG OTHER=1\nFROM ${{SWIFT_IMAGE}} AS build\n")
        self.write("cloudbuild.yaml", f"steps:\n  - id: build\n    name: {self.host}/builders/docker\n")
        self.write(".github/workflows/ci.yml", f"jobs:\n  a:\n    container: {self.host}/swift:6.3\n    steps:\n"
                   f"      - uses: o/plain@{'1' * 40} # v1.0.0\n      - uses: o/annotated/part@{'2' * 40} # v2.1.0\n")
        (self.root / "deploy").mkdir()
        self.write("Tests/requirements.txt", "# HTTP/2\nh2==4.4.1\n\n# What those need, pinned so that every run has the same\nhpack==1.0\n")
        self.write(".venv/bin/python", PYTHON, mode=0o755)
        self.write(".config/containers/registries.conf", f'[[registry]]\nlocation = "{self.host}"\ninsecure = true\n')
        self.write("gitconfig", f'[url "{self.root}/o/"]\n    insteadOf = https://github.com/o/\n'
                   "[user]\n    name = test\n    email = test@example.com\n")
        self.environment = {**os.environ, "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1",
                            "GIT_CONFIG_GLOBAL": str(self.root / "gitconfig")}
        self.commits = {name: self.repository(name, *tag) for name, *tag in (
            ("plain", "tag", "v1.0.0"), ("annotated", "tag", "--annotate", "--message", "x", "v2.1.0"))}

    def write(self, name, text, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def read(self, name):
        return (self.root / name).read_text()

    def repository(self, name, *tag):
        """A repository with one tag. The commit that the tag means."""
        folder = self.root / "o" / name
        folder.mkdir(parents=True)

        def git(*arguments):
            return subprocess.run(["git", *arguments], cwd=folder, env=self.environment, capture_output=True, text=True, check=True).stdout.strip()
        git("init", "--quiet")
        git("commit", "--quiet", "--no-gpg-sign", "--allow-empty", "--message", name)
        git(*tag)
        return git("rev-parse", "HEAD")

    def run_script(self, *arguments):
        return subprocess.run([self.root / "scripts/update-pins.sh", *arguments], env=self.environment, capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL)

    def test_every_pin_is_looked_up_and_written(self):
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.read("Dockerfile"), f"ARG SWIFT_IMAGE={self.host}/swift:6.3@{DIGEST}\nARG OTHER=1\nFROM ${{SWIFT_IMAGE}} AS build\n")
        self.assertIn(f"name: {self.host}/builders/docker@{DIGEST}\n", self.read("cloudbuild.yaml"))
        workflow = self.read(".github/workflows/ci.yml")
        self.assertIn(f"container: {self.host}/swift:6.3@{DIGEST}\n", workflow)
        self.assertIn(f"uses: o/plain@{self.commits['plain']} # v1.0.0\n", workflow)
        self.assertIn(f"uses: o/annotated/part@{self.commits['annotated']} # v2.1.0\n", workflow, "the commit behind the tag")
        self.assertTrue(self.read("Tests/requirements.txt").endswith("h2==4.4.1\n\n# What those need, pinned so that every run has the same\nhpack==9.9.9\n"))
        self.assertTrue(self.read("pip-calls").endswith("--report - h2==4.4.1\n"))
        again, before = self.run_script(), workflow
        self.assertEqual((again.returncode, self.read(".github/workflows/ci.yml")), (0, before))
        checked = self.run_script("--check")
        self.assertEqual((checked.returncode, "UNVERIFIED" in checked.stdout, "NOT PINNED" in checked.stdout), (0, False, False), checked.stdout)

    def test_a_pin_that_nobody_looked_up_is_unverified(self):
        shown = self.run_script("--check")
        self.assertEqual(shown.returncode, 1)
        self.assertRegex(shown.stdout, r"images +\S+/swift:6.3 +- +NOT PINNED")
        self.assertRegex(shown.stdout, r"actions +o/plain@v1.0.0 +1{19} +UNVERIFIED")
        self.assertRegex(shown.stdout, r"packages +Tests/requirements.txt +sha256:\w{12} +UNVERIFIED")
        self.assertFalse((self.root / "deploy/pins.txt").exists())
        self.run_script()
        self.write("Dockerfile", self.read("Dockerfile").replace(DIGEST, "sha256:" + "0" * 64))
        edited = self.run_script("--check", "images")
        self.assertEqual(edited.returncode, 1)
        self.assertRegex(edited.stdout, r"swift:6.3 +sha256:0{12} +UNVERIFIED")
        self.assertNotIn("actions", edited.stdout)

    def test_a_failed_look_up_keeps_its_pin_and_does_the_rest(self):
        self.registry.absent = "builders"
        (self.root / "o/plain").rename(self.root / "o/gone")
        done = self.run_script()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"images: {self.host}/builders/docker could not be looked up and stays as it is: skopeo failed", done.stderr)
        self.assertIn("actions: o/plain@v1.0.0 could not be looked up", done.stderr)
        self.assertIn(DIGEST, self.read("Dockerfile"))
        self.assertIn(f"o/plain@{'1' * 40} # v1.0.0", self.read(".github/workflows/ci.yml"))
        self.assertIn(self.commits["annotated"], self.read(".github/workflows/ci.yml"))
        unverified = [line for line in self.run_script("--check").stdout.splitlines() if line.endswith(("UNVERIFIED", "NOT PINNED"))]
        self.assertEqual([line.split()[1] for line in unverified], [f"{self.host}/builders/docker", "o/plain@v1.0.0"])

    def test_a_version_that_is_not_there_is_no_pin(self):
        self.write(".github/workflows/ci.yml", self.read(".github/workflows/ci.yml").replace("# v1.0.0", "# v1.0.1"))
        done = self.run_script("actions")
        self.assertEqual(done.returncode, 1)
        self.assertIn("o/plain@v1.0.1 could not be looked up and stays as it is: o/plain has no tag v1.0.1", done.stderr)


class PinnedFilesTests(unittest.TestCase):
    def test_every_pin_of_the_repository_is_listed(self):
        shown = subprocess.run([ROOT / "scripts/update-pins.sh", "--check"], capture_output=True, text=True, check=False).stdout
        actions = {f"{a}@{v}" for path in (ROOT / ".github/workflows").glob("*.yml")
                   for a, v in re.findall(r"uses: ([\w-]+/[\w-]+)@\w+ # (v\S+)", path.read_text())}
        self.assertGreater(len(actions), 3)
        for name in {"swift:6.3-bookworm", "debian:bookworm-slim", "Tests/requirements.txt"} | actions:
            self.assertRegex(shown, rf"(?m)^\w+ +{re.escape(name)} ")


if __name__ == "__main__":
    unittest.main()
