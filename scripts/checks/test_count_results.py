"""The last lines of a run."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).with_name("count_results.py")


def test(name):
    return {"kind": "test", "payload": {"kind": "function", "id": name}}


def event(kind, name, **more):
    return {"kind": "event", "payload": {"kind": kind, "testID": name, **more}}


def whole(name):
    return [test(name), event("testStarted", name), event("testEnded", name)]


class CountTests(unittest.TestCase):
    def run_with(self, records, exit_code=0, python=(), options=()):
        with tempfile.TemporaryDirectory() as folder:
            events = Path(folder, "swift.jsonl")
            if records is not None:
                events.write_text("\n".join(json.dumps(r) for r in records) + '\n{"kind": "ev')
            for number, result in enumerate(python):
                Path(folder, f"{number}.json").write_text(json.dumps({"skipped": {}, **result}))
            run = subprocess.run([sys.executable, SCRIPT, "--swift", str(exit_code), events, "--python", folder, *options],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        *self.named, last = run.stdout.splitlines()
        return last, run.returncode

    def test_adds_swift_and_python(self):
        self.assertEqual(self.run_with(whole("a") + whole("b"), python=[{"passed": 3, "failed": {}}]), ("5 passed, 0 failed", 0))

    def test_issue_is_a_failure_once(self):
        issue = event("issueRecorded", "a", issue={"isKnown": False, "isFailure": True}, messages=[{"text": "1 == 2"}])
        self.assertEqual(self.run_with(whole("a") + [issue, issue] + whole("b"), 1), ("1 passed, 1 failed", 1))
        self.assertEqual(self.named, ["failed: a: 1 == 2"])

    def test_known_issues_and_warnings_are_none(self):
        known = event("issueRecorded", "a", issue={"isKnown": True, "isFailure": False, "severity": "error"})
        warning = event("issueRecorded", "a", issue={"isKnown": False, "isFailure": False, "severity": "warning"})
        self.assertEqual(self.run_with(whole("a") + [known, warning]), ("1 passed, 0 failed", 0))

    def test_crash_fails_what_had_not_ended(self):
        self.assertEqual(self.run_with(whole("a") + [test("b"), event("testStarted", "b")], 1), ("1 passed, 1 failed", 1))
        self.assertEqual(self.named, ["failed: b: did not end"])

    def test_failure_that_no_test_names_counts(self):
        self.assertEqual(self.run_with(whole("a"), 1), ("1 passed, 1 failed", 1))

    def test_nothing_ran(self):
        self.assertEqual(self.run_with([], python=[{"passed": 3, "failed": {}}]), ("3 passed, 1 failed", 1))
        self.assertEqual(self.run_with(None, 1), ("0 passed, 1 failed", 1))

    def test_filter_may_choose_python_tests_only(self):
        chosen = {"options": ["--filter", "c"]}
        self.assertEqual(self.run_with([], python=[{"passed": 3, "failed": {}}], **chosen), ("3 passed, 0 failed", 0))
        self.assertEqual(self.run_with([], python=[{"passed": 0, "failed": {}}], **chosen), ("0 passed, 1 failed", 1))
        self.assertEqual(self.named, ["failed: filter: no test matches c"])

    def test_skipped_tests_are_one_line_for_each_reason(self):
        skip = event("testSkipped", "b", messages=[{"text": 'Test b() skipped: "no network"'}])
        python = [{"passed": 1, "failed": {}, "skipped": {name: "no tool" for name in ("c", "d", "e", "f")}}]
        lines = ["skipped: 1 test (b): no network", "skipped: 4 tests (c, d, e, ...): no tool"]
        self.assertEqual(self.run_with(whole("a") + [test("b"), skip], python=python), ("2 passed, 0 failed", 0))
        self.assertEqual(self.named, lines)
        self.assertEqual(self.run_with(whole("a") + [test("b"), skip], python=python, options=["--no-skip"]), ("2 passed, 5 failed", 1))
        self.assertEqual(self.named, [line + "; counted as failed (--no-skip)" for line in lines])

    def test_only_skipped_tests_are_no_success(self):
        self.assertEqual(self.run_with(whole("a")[:0], python=[{"passed": 0, "failed": {}, "skipped": {"c": "no tool"}}],
                                       options=["--filter", "c"]), ("0 passed, 0 failed", 1))

    def test_python_failure_fails_the_run(self):
        self.assertEqual(self.run_with(whole("a"), python=[{"passed": 0, "failed": {"c": "1 != 2", "d": "no"}}]), ("1 passed, 2 failed", 1))
        self.assertEqual(self.named, ["failed: c: 1 != 2", "failed: d: no"])


if __name__ == "__main__":
    unittest.main()
