"""The shell scripts: a toolchain that does not start, arguments, and the tests that test.sh runs and counts."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "error while loading shared libraries: libxml2.so.2: cannot open shared object file"

# A toolchain with the two tests A.ATests/one() and A.ATests/two(). Its `swift test --filter` takes plain names.
SWIFT = r"""#!/usr/bin/env bash
case "$1" in
    --version) echo "Swift version 6.3.1 (swift-6.3.1-RELEASE)" ;;
    test)
        filters=""
        while (($# > 0)); do
            case "$1" in
                --filter) filters+=" $2"; shift ;;
                --event-stream-output-path) events="$2"; shift ;;
            esac
            shift
        done
        for name in one two; do
            [[ -z "$filters" || "$filters " == *" $name "* ]] || continue
            id="A.ATests/$name()"
            echo "{\"kind\": \"test\", \"payload\": {\"kind\": \"function\", \"id\": \"$id\"}}"
            for kind in testStarted testEnded; do
                echo "{\"kind\": \"event\", \"payload\": {\"kind\": \"$kind\", \"testID\": \"$id\"}}"
            done
        done >"$events"
        ;;
esac
"""
PYTHON = """import unittest
class DriftTests(unittest.TestCase):
    def test_drift(self): pass
    @unittest.skip("a tool is not installed")
    def test_with_the_tool(self): pass
"""


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.bin = self.folder / "bin"
        self.bin.mkdir()

    def tool(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run_script(self, name, *arguments, root=ROOT, path=None):
        return subprocess.run([root / "scripts" / name, *arguments], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, env={**os.environ, "PATH": path or f"{self.bin}:{os.environ['PATH']}"})

    def plain_tools(self):
        """A PATH with the shell and Debian's basic programs, and nothing that anybody has to install."""
        for name in ("bash", "cat", "dirname", "find", "paste", "sed", "sort"):
            (self.bin / name).symlink_to(shutil.which(name))
        return str(self.bin)


class ToolchainTests(Scripts):
    def refused(self, *texts, path=None):
        for name in ("quickstart.sh", "test.sh", "lint.sh"):
            with self.subTest(name):
                done = self.run_script(name, path=path)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                for text in texts:
                    self.assertIn(text, done.stderr)

    def test_a_swift_that_cannot_start_is_reported_with_its_first_line(self):
        self.tool("swift", f"#!/bin/sh\necho 'swift: {LIBRARY}' >&2\necho more >&2\nexit 127\n")
        self.refused("exit code 127", LIBRARY, f"{self.bin}/swift", "swift.org/install")

    def test_a_swift_build_that_cannot_start_is_reported_with_its_first_line(self):
        self.tool("swift", "#!/bin/sh\n[ \"$1\" = build ] || { echo 'Swift version 6.3.1'; exit 0; }\n"
                           f"echo 'swift-build: {LIBRARY}' >&2\nexit 127\n")
        self.refused('"swift build --version" failed with exit code 127', LIBRARY)

    def test_an_old_swift_is_reported(self):
        self.tool("swift", "#!/bin/sh\necho 'Swift version 5.10.1 (swift-5.10.1-RELEASE)'\n")
        self.refused("Swift 5.10 is too old", "6.2 or newer")

    def test_a_swift_without_a_version_is_reported_with_its_first_line(self):
        self.tool("swift", "#!/bin/sh\necho 'OpenStack Object Storage'\n")
        self.refused("shows no version", "OpenStack Object Storage")

    def test_a_missing_swift_is_reported(self):
        self.refused("swift is not in PATH", path=self.plain_tools())


class ArgumentTests(Scripts):
    def test_help_needs_no_tool(self):
        path = self.plain_tools()
        for script in sorted((ROOT / "scripts").glob("*.sh")):
            with self.subTest(script.name):
                done = self.run_script(script.name, "--help", path=path)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertTrue(done.stdout.startswith(f"usage: scripts/{script.name}"), done.stdout)
                self.assertIn("64", done.stdout, "the exit codes")

    def test_wrong_usage_is_reported_without_any_tool(self):
        path = self.plain_tools()
        for name, arguments, text in (
                ("quickstart.sh", ["now"], "takes no arguments"), ("lint.sh", ["now"], "takes no arguments"),
                ("test.sh", ["--nothing"], "unknown argument --nothing"), ("test.sh", ["--filter"], "--filter needs the name"),
                ("build-images.sh", [], "usage: "), ("build-images.sh", ["--push"], "the environment is missing"),
                ("build-images.sh", ["test", "stage"], "takes one environment"), ("build-images.sh", ["test", "--pusch"], "--pusch"),
                ("build-images.sh", ["staging"], "prod, stage, test"), ("build-images.sh", ["test", "--only"], "--only needs"),
                ("build-images.sh", ["test", "--only", "nothing"], "jobs.yaml has no job nothing"),
                ("build-images.sh", ["test", "--only", "bootstrap", "--cloud"], "--only cannot be used with --cloud"),
                ("build-images.sh", ["test", "--push", "--deploy"], "--deploy needs --cloud"),
                ("rollback.sh", [], "usage: "), ("assumptions.sh", [], "usage: "), ("compare-with-original.sh", [], "usage: "), ("generate-jobs.sh", ["test"], "--check only"),
                ("check-image.sh", ["--nothing"], "unknown argument --nothing"),
                ("simulate.sh", ["--html"], "--html needs a value"), ("simulate.sh", ["--html", "a", "--days", "32"], "31 days at most"),
                ("simulate.sh", ["--html", "a", "--years", "2"], "--html shows one world"),
                ("create-all-jobs.sh", [], "usage: "), ("list-jobs.sh", [], "usage: "), ("run-job.sh", [], "usage: ")):
            with self.subTest(name=name, arguments=arguments):
                done = self.run_script(name, *arguments, path=path)
                self.assertEqual((done.returncode, done.stdout), (64, ""))
                self.assertIn(text, done.stderr)

    def test_help_after_the_separator_is_for_the_job(self):
        done = self.run_script("run-job.sh", "staging", "bootstrap", "--", "--help")
        self.assertEqual((done.returncode, done.stdout), (64, ""))
        self.assertIn("staging", done.stderr)


class TestRunTests(Scripts):
    """test.sh in a copy of its folder, with the toolchain above and one small file of Python tests in each place."""

    def setUp(self):
        super().setUp()
        self.root = self.folder / "repository"
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("test_*.py", "__pycache__"))
        for subject, file in (("Drift", "Tests/Scripts/test_drift.py"), ("Rows", "Tests/Emulator/test_emulator.py"),
                              ("Names", "Tests/Analyzer/test_analyze.py"), ("Answers", "Tests/BigQueryAnswers/test_answers.py"),
                              ("Costs", "Tests/Costs/test_costs.py"), ("Style", "scripts/checks/test_style.py")):
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            (self.root / file).write_text(PYTHON.replace("Drift", subject).replace("drift", subject.lower()))
        shutil.copy(ROOT / "Tests/requirements.txt", self.root / "Tests")
        (self.root / ".venv").symlink_to(ROOT / ".venv")
        self.tool("swift", SWIFT)
        self.tool("dpkg-query", "#!/bin/sh\nprintf installed\n")

    def tests(self, *arguments):
        done = self.run_script("test.sh", *arguments, root=self.root)
        *self.lines, last = done.stdout.splitlines()
        return last, done.returncode

    def test_runs_everything_and_names_what_was_skipped(self):
        self.assertEqual(self.tests(), ("8 passed, 0 failed", 0))
        self.assertRegex(self.lines[-1], r"^skipped: 6 tests \(.*test_answers\.AnswersTests\.test_with_the_tool.*\): a tool is not installed$")

    def test_a_skipped_test_fails_the_run_that_asks_for_it(self):
        last, code = self.tests("--no-skip", "--filter", "DriftTests")
        self.assertEqual((last, code), ("1 passed, 1 failed", 1))
        self.assertIn("a tool is not installed", self.lines[-1])

    def test_a_filter_chooses_swift_and_python_tests_by_name(self):
        for filters, expected in ((["one"], "1 passed, 0 failed"), (["test_drift$"], "1 passed, 0 failed"),
                                  (["Tests/Analyzer"], "1 passed, 0 failed"),
                                  (["two", "(Rows|Names).*_(rows|names)"], "3 passed, 0 failed")):
            with self.subTest(filters):
                arguments = [part for name in filters for part in ("--filter", name)]
                self.assertEqual(self.tests(*arguments), (expected, 0))

    def test_a_filter_without_a_match_fails_the_run(self):
        self.assertEqual(self.tests("--filter", "nothing", "--filter", "no_such"), ("0 passed, 1 failed", 1))
        self.assertEqual(self.lines[-1], "failed: filter: no test matches nothing or no_such")

    def test_a_file_that_cannot_be_imported_fails_whatever_the_filter(self):
        (self.root / "Tests/Scripts/test_drift.py").write_text("import no_such_module\n")
        self.assertEqual(self.tests("--filter", "one"), ("1 passed, 1 failed", 1))


if __name__ == "__main__":
    unittest.main()
