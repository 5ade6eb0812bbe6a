"""How run-job.sh follows an execution, with a clock and services of its own."""
import contextlib
import io
import os
import pathlib
import tempfile
import types
import unittest
import unittest.mock

from fake_project import PROJECT
from deployment import executions, run_job
from deployment.google import Google, GoogleError

BEGIN = "2026-01-31T10:00:00.000000Z"


def execution(status="Unknown", retried=0):
    return {"metadata": {"name": "demo-x", "creationTimestamp": BEGIN}, "spec": {"taskCount": 1}, "status": {
        "conditions": [{"type": "Completed", "status": status}], "retriedCount": retried,
        "completionTime": "2026-01-31T10:00:30Z" if status != "Unknown" else None}}


def entry(number, seconds, **payload):
    return {"insertId": str(number), "timestamp": f"2026-01-31T10:{seconds // 60:02d}:{seconds % 60:02d}.5Z", **payload}


def ended(number, seconds, status="succeeded", attempt=0):
    return entry(number, seconds, jsonPayload={
        "job": "demo", "status": status, "counts": {}, "duration_ms": 1, "task_index": 0, "attempt": attempt, "message": status})


EXIT = {"textPayload": "Container called exit(0)."}


class Services:
    """Answers the questions of one following; `log` are pairs of the second from which an entry can be read, and the entry."""

    def __init__(self, states, log=()):
        self.states, self.log, self.now, self.filters, self.read_at = list(states), log, 0.0, [], []
        self.log_errors = []

    def sleep(self, seconds):
        self.now += seconds

    def get(self, service, path, region):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, GoogleError):
            raise state
        return state

    def request(self, method, service, path, body, repeatable):
        self.filters.append(body["filter"])
        self.read_at.append(self.now)
        if self.log_errors:
            raise self.log_errors.pop(0)
        return {"entries": [e for second, e in self.log if second <= self.now]}


class FollowTests(unittest.TestCase):
    def follow(self, services):
        desired = types.SimpleNamespace(project=PROJECT, region="us-central1", environment="test")
        self.out, self.err = io.StringIO(), io.StringIO()
        with unittest.mock.patch("time.monotonic", lambda: services.now), contextlib.redirect_stdout(self.out), \
                contextlib.redirect_stderr(self.err):
            return run_job.follow(services, desired, {"name": "demo"}, executions.Execution(execution()))

    def test_a_summary_after_the_exit_is_waited_for(self):
        services = Services([execution("True")], [(0, entry(1, 30, **EXIT)), (9, ended(2, 29))])
        self.assertEqual(self.follow(services), 0)
        self.assertIn("summary: ", self.out.getvalue())

    def test_once_bootstrap_has_created_tables_the_way_to_the_access_is_named(self):
        for counts, times in (({"tables_created": 24}, 1), ({"tables_created": 0}, 0)):
            summary = ended(2, 29)
            summary["jsonPayload"] |= {"job": "bootstrap", "counts": counts}
            self.assertEqual(self.follow(Services([execution("True")], [(0, entry(1, 30, **EXIT)), (0, summary)])), 0)
            self.assertEqual(self.out.getvalue().count("scripts/create-all-jobs.sh test gives the jobs their access"), times)

    def test_a_summary_that_never_comes_is_not_waited_for_long(self):
        services = Services([execution("False")], [(0, entry(1, 30, **EXIT))])
        self.assertEqual(self.follow(services), 1)
        self.assertIn("its summary did not arrive", self.out.getvalue())
        self.assertLessEqual(services.now, 20)

    def test_too_many_readings_of_the_log_are_a_warning(self):
        services = Services([execution()] * 8 + [execution("True")], [(12, ended(1, 12))])
        services.log_errors = [GoogleError("quota exceeded", 429)] * 2
        self.assertEqual(self.follow(services), 0)
        self.assertEqual(self.err.getvalue().count("quota exceeded"), 1)
        self.assertIn("summary: ", self.out.getvalue())

    def test_a_refusal_of_the_log_that_is_over_is_forgotten(self):
        services = Services([execution()] * 8 + [execution("True")], [(25, ended(1, 12))])
        services.log_errors = [GoogleError("denied", 403)]
        self.assertEqual(self.follow(services), 0)
        self.assertIn("summary: ", self.out.getvalue())

    def test_an_execution_that_cannot_be_read_for_a_while_is_read_again(self):
        services = Services([GoogleError("unavailable", 503), execution(), execution("True")], [(0, ended(1, 5))])
        self.assertEqual(self.follow(services), 0)
        self.assertIn("cannot be read, trying again: unavailable", self.err.getvalue())

    def test_an_execution_that_may_not_be_read_continues_by_itself(self):
        with self.assertRaisesRegex(GoogleError, "demo-x continues"):
            self.follow(Services([GoogleError("denied", 403)]))

    def test_the_log_is_read_seldom_and_from_where_it_was(self):
        services = Services([execution()] * 60 + [execution("True")], [(1, entry(1, 90)), (50, ended(2, 100))])
        self.follow(services)
        self.assertTrue(all(b - a >= 5 for a, b in zip(services.read_at, services.read_at[1:-1])), services.read_at)
        self.assertIn('timestamp>="2026-01-31T10:00:00.000000Z"', services.filters[0])
        self.assertIn('timestamp>="2026-01-31T10:01:10.500000Z"', services.filters[-1], "half a minute before the last entry")
        self.assertEqual(self.out.getvalue().count("summary: "), 1)

    def test_the_last_attempt_says_whether_it_was_stopped(self):
        for statuses, code in ((("stopped", "failed"), 1), (("failed", "stopped"), 75)):
            log = [(0, ended(n, 10 + n, status, attempt=n)) for n, status in enumerate(statuses)]
            self.assertEqual(self.follow(Services([execution("False", retried=1)], log)), code)


# Signs in once, and never again.
GCLOUD = """#!/bin/sh
case "$*" in
    *--force-auth-refresh*) echo "ERROR: sign in again" >&2; exit 1 ;;
    *) echo '{"configuration": {"properties": {}}, "credential": {"access_token": "old"}}' ;;
esac
"""


class SignInTests(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        gcloud = pathlib.Path(folder, "gcloud")
        gcloud.write_text(GCLOUD)
        gcloud.chmod(0o755)
        self.enterContext(unittest.mock.patch.dict(os.environ, {"PATH": f"{folder}:{os.environ['PATH']}"}))
        self.google = Google(PROJECT)
        self.google.sleep = unittest.mock.Mock(side_effect=[None] * 9 + [AssertionError("it would go on forever")])

    def test_a_gcloud_that_cannot_sign_in_again_ends_the_following(self):
        desired = types.SimpleNamespace(project=PROJECT, region="us-central1")
        with unittest.mock.patch.object(self.google, "_send", side_effect=GoogleError("token expired", 401)), \
                self.assertRaisesRegex(GoogleError, "can no longer be read: sign in again\ndemo-x continues"):
            run_job.follow(self.google, desired, {"name": "demo"}, executions.Execution(execution()))

    def test_only_a_service_that_does_not_answer_may_answer_later(self):
        with unittest.mock.patch.object(self.google._opener, "open", side_effect=OSError("unreachable")), \
                self.assertRaises(GoogleError) as raised:
            self.google.get("run", "v1/x")
        self.assertTrue(raised.exception.is_passing)
        self.assertEqual(self.google.calls["requests"], 5)
        self.assertFalse(GoogleError("gcloud is not installed").is_passing)


if __name__ == "__main__":
    unittest.main()
