"""Runs of assumptions.sh: refusals, and whole runs against the stand-ins, with deviations, interruptions and kills."""
import base64
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "Tests/Assumptions")]

from assumptions import documents, exchange, program, report  # noqa: E402
from assumptions.local import PROJECT  # noqa: E402
from deviations import PLANTED  # noqa: E402
from planting import Field, found  # noqa: E402
from sent_requests import SentRequests  # noqa: E402

SCRIPT = ROOT / "scripts/assumptions.sh"
# The other deviations take minutes: Tests/Assumptions/planting.py.
PLANTED_HERE = ("If-Match is ignored", "events come oldest first", "a refused trigger leaves no entry")


class RefusalTests(unittest.TestCase):
    def run_script(self, *arguments, **environment):
        clean = {k: v for k, v in os.environ.items() if k not in ("BIGQUERY_EMULATOR_HOST", "STRIPE_API_BASE", "FAKE_GOOGLE_URL")}
        # No gcloud may be started: what is refused here is refused before anything is asked.
        folder = self.enterContext(tempfile.TemporaryDirectory())
        fake = pathlib.Path(folder, "gcloud")
        fake.write_text("#!/bin/sh\necho 'gcloud was started' >&2\nexit 9\n")
        fake.chmod(0o755)
        return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                              env={**clean, "PATH": f"{folder}:{os.environ['PATH']}", **environment})

    def test_refuses_before_anything_is_asked(self):
        for arguments, environment, code, words in (
                ([], {}, 64, "usage: scripts/assumptions.sh"), (["nowhere"], {}, 64, "there is no environment nowhere"),
                (["test", "--only", "BQ-99"], {}, 64, "there is no fact BQ-99"), (["test", "--all"], {}, 64, "--all"),
                (["prod"], {}, 78, "prod is production (project cloudact-prod)"),
                (["test"], {"STRIPE_API_BASE": "http://127.0.0.1:1"}, 78, "STRIPE_API_BASE leads to a stand-in"),
                (["test"], {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1"}, 78, "BIGQUERY_EMULATOR_HOST leads to a stand-in"),
                (["local"], {"STRIPE_API_BASE": "https://api.stripe.com", "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1"}, 78, "a port of this machine")):
            with self.subTest(arguments=arguments, environment=environment):
                done = self.run_script(*arguments, **environment)
                self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
                self.assertIn(words, done.stderr)
                self.assertNotIn("gcloud was started", done.stderr)

    def test_an_environment_with_the_project_of_prod_is_production(self):
        class Desired:
            environment, project, index = "mirror", "cloudact-prod", {}

        with self.assertRaisesRegex(program.Refusal, "mirror is production"):
            program.refuse_prod(Desired())

    def test_only_keys_of_test_mode_are_accepted_and_none_is_shown(self):
        for key in ("sk_live_abcdefghij", "rk_live_abcdefghij", "pk_test_abcdefghij", "sk_org_live_abcdefghij", "abcdefghij", "sk_test_"):
            with self.subTest(key[:8]):
                with self.assertRaises(program.Refusal) as caught:
                    program.test_key(key)
                self.assertNotIn("abcdefghij", str(caught.exception))
        for key in ("sk_test_abc1", "rk_test_abc1"):
            self.assertEqual(program.test_key(key), key)


class RunTests(SentRequests, unittest.TestCase):
    """All runs share the three stand-ins; each leaves them empty."""

    @classmethod
    def setUpClass(cls):
        cls.field = Field()
        cls.addClassCleanup(cls.field.stop)
        cls.environment = {**os.environ, "BIGQUERY_EMULATOR_HOST": cls.field.direct["bigquery"], "STRIPE_API_BASE": cls.field.direct["stripe"],
                           "FAKE_GOOGLE_URL": cls.field.direct["google"]}
        # The sentences of the report name what was seen, so the verdicts are compared and not the sentences.
        cls.baseline = cls.recorded(lambda: cls.field.run(by_proxy=False))

    def tearDown(self):
        self.assertEqual(self.leftovers(), [])

    def bigquery(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.field.direct['bigquery']}/bigquery/v2/projects/{PROJECT}{path}"
        return exchange.send(method, url, data, {"Content-Type": "application/json"}, loopback=True)

    def leftovers(self):
        """Everything in the stand-ins that a run may create."""
        names = [d["datasetReference"]["datasetId"] for d in self.bigquery("GET", "/datasets").json.get("datasets", [])]
        state = exchange.send("GET", f"{self.field.direct['google']}/__state", loopback=True).json
        for table in ("run_jobs", "scheduler_jobs", "service_accounts"):
            names += state[table]
        for path in ("customers", "plans", "products"):
            url = f"{self.field.direct['stripe']}/v1/{path}?limit=100"
            names += [item["id"] for item in exchange.send("GET", url, headers={"Authorization": "Bearer sk_test_12345"}, loopback=True).json["data"]]
        return names

    def start(self, *arguments):
        return subprocess.Popen([SCRIPT, "local", *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                stdin=subprocess.DEVNULL)

    def until_it_created(self, process, kind):
        """Until the run has created something of each service, or of the kind that is named."""
        end = time.monotonic() + 600
        while not any(kind in name for name in self.leftovers()):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_the_kept_report_is_what_a_run_finds(self):
        kept = {item["id"]: (item["verdict"], item["check_failed"]) for item in documents.read_report()}
        self.assertEqual({r.fact.id: (r.verdict, r.is_broken) for r in self.baseline}, kept,
                         "run .venv/bin/python Tests/Assumptions/planting.py --write")

    def test_planted_deviations_are_found_and_nothing_else(self):
        planted = [d for d in PLANTED if d.name in PLANTED_HERE]
        self.assertEqual(len(planted), len(PLANTED_HERE))
        for deviation in planted:
            with self.subTest(deviation.name):
                self.assertEqual(set(found(self.baseline, self.field.run(deviation))), set(deviation.facts))

    def test_an_interrupted_run_deletes_what_it_created(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name):
                process = self.start()
                self.until_it_created(process, "cus_")
                process.send_signal(number)
                # A second one does not stop the deletions.
                process.send_signal(number)
                output, errors = process.communicate(timeout=600)
                self.assertEqual(process.returncode, 75, errors)
                self.assertIn("the run was stopped before this check", output)
                self.assertEqual(self.leftovers(), [])

    def test_the_run_after_a_kill_deletes_what_was_left_and_nothing_of_others(self):
        process = self.start()
        self.until_it_created(process, "cus_")
        process.kill()
        process.communicate()
        left = self.leftovers()
        self.assertTrue(any(name.startswith("assumptions_") for name in left) and any(name.startswith("cus_") for name in left), left)
        # Others' datasets: one with a name like ours, one with our label.
        theirs = {"assumptions_20260101t0000_1a2b3c_theirs": {}, "someone": {"created-by": "assumptions"}}
        for name, labels in theirs.items():
            self.bigquery("POST", "/datasets", {"datasetReference": {"datasetId": name}, "labels": labels, "location": "US"}).needed("create")
        done = self.start("--only", "BQ-03", "--json")
        output, errors = done.communicate(timeout=600)
        self.assertEqual((done.returncode, [json.loads(line)["verdict"] for line in output.splitlines()]), (0, ["holds"]), errors)
        self.assertIn("deleted what a former run left: dataset assumptions_", errors)
        self.assertEqual(sorted(self.leftovers()), sorted(theirs))
        for name in theirs:
            self.bigquery("DELETE", f"/datasets/{name}").needed("delete")

    def call(self, method, service, path, body=None, **query):
        return self.field.google.call(method, service, path, body, query=query)

    def test_an_environment_is_checked_on_its_own_project_with_the_key_of_its_jobs(self):
        clean = {k: v for k, v in self.environment.items() if k not in ("BIGQUERY_EMULATOR_HOST", "STRIPE_API_BASE", "FAKE_GOOGLE_URL")}
        project, secret = "v1/projects/cloudact-testing-1", "stripe-secret-key-test"
        services = [f"{name}.googleapis.com" for name in ("iam", "run", "cloudscheduler", "secretmanager")]
        self.call("POST", "serviceusage", f"{project}/services:batchEnable", {"serviceIds": services}).needed("enable the services")

        def run():
            return subprocess.run([SCRIPT, "test", "--only", "RUN-09", "--only", "ST-15", "--json"], capture_output=True, text=True, check=False,
                                  env=clean, stdin=subprocess.DEVNULL)

        done = run()
        results = {item["id"]: item for item in map(json.loads, done.stdout.splitlines())}
        self.assertEqual((done.returncode, done.stderr, results["RUN-09"]["verdict"]), (0, "", "holds"))
        self.assertIn("the secret stripe-secret-key-test could not be read", results["ST-15"]["observed"])
        # A key of live mode in the secret: nothing is sent to Stripe, and nothing is created.
        self.call("POST", "secretmanager", f"{project}/secrets", {"replication": {"automatic": {}}}, secretId=secret).needed("create the secret")
        key = base64.b64encode(b"sk_live_abcdefghij").decode()
        self.call("POST", "secretmanager", f"{project}/secrets/{secret}:addVersion", {"payload": {"data": key}}).needed("set the key")
        done = run()
        self.assertEqual((done.returncode, done.stdout), (78, ""))
        self.assertIn("not one of test mode", done.stderr)
        self.assertNotIn("abcdefghij", done.stderr)

    def test_a_terminal_shows_the_progress_on_one_line(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        out = Terminal()
        progress = report.Progress(2, out)
        progress.show("BQ-01 A statement")
        progress.step()
        progress.show("BQ-02 An answer")
        progress.end()
        self.assertEqual(out.getvalue(), "\r\033[K0/2 BQ-01 A statement\r\033[K1/2 BQ-02 An answer\r\033[K")

    def test_the_page_shows_first_what_does_not_hold_and_ends_with_1(self):
        process = self.start("--only", "BQ-08", "--only", "BQ-03")
        output, errors = process.communicate(timeout=600)
        self.assertEqual((process.returncode, errors), (1, ""))
        self.assertIn("1 fact holds, 1 does not hold, 0 are not checkable here.", output)
        self.assertLess(output.index("DOES NOT HOLD"), output.index("yes BQ-03"))
        self.assertIn("workaround: Raise MAX_BYTES_BILLED", output)
        self.assertNotIn("sk_test_", output)


if __name__ == "__main__":
    unittest.main()
