"""Runs the built jobs against recorded answers of BigQuery: one test for each case of corpus/.

Each test also checks every request of its job against BigQuery's discovery document.
"""
import concurrent.futures
import functools
import json
import os
import re
import subprocess
import time
import unittest
from pathlib import Path

from discovery import Discovery
from scripted_bigquery import PROJECT, ROOT, Stripe, World

CORPUS = Path(__file__).resolve().parent / "corpus"
CASES = {case["name"]: case for file in sorted(CORPUS.glob("*.json")) for case in json.loads(file.read_text())}
# The cases wait more than they compute.
AT_ONCE = 8
started = {}


@functools.cache
def binaries():
    done = subprocess.run(["swift", "build", "--show-bin-path"], cwd=ROOT, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


@functools.cache
def least_bytes_billed(job):
    """The least MAX_BYTES_BILLED that the job accepts."""
    done = subprocess.run([binaries() / job, "--describe"], capture_output=True, text=True, check=True)
    return next(v["minimum"] for v in json.loads(done.stdout)["variables"] if v["name"] == "MAX_BYTES_BILLED")


@functools.cache
def discovery():
    return Discovery()


class Run:
    """What a job did in the world of its case."""

    def __init__(self, case):
        world, stripe = World(case), Stripe(case)
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GCP_PROJECT_ID": PROJECT, "ENVIRONMENT": "prod",
            "BIGQUERY_LOCATION": "US", "BIGQUERY_EMULATOR_HOST": world.server.url, "LOG_FORMAT": "json", "NO_PROXY": "127.0.0.1",
            "MAX_BYTES_BILLED": str(least_bytes_billed(case["job"]))}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        if case["job"].startswith("Billing"):
            environment.update({"STRIPE_API_BASE": stripe.server.url, "STRIPE_SECRET_KEY": "rk_live_scripted"})
        command = [binaries() / case["job"], *case.get("args", [])]
        begin = time.monotonic()
        done = subprocess.run(command, env={**environment, **case.get("env", {})}, capture_output=True, text=True, timeout=90)
        self.seconds = time.monotonic() - begin
        self.code, self.output = done.returncode, done.stdout + done.stderr
        self.requests = world.requests
        lines = done.stdout.strip().splitlines()
        self.summary = json.loads(lines[-1]) if lines else {}
        world.server.stop()
        stripe.server.stop()

    def problems(self, case):
        """What the job did otherwise than its case expects."""
        expected = case["expect"]
        codes = expected.get("exit", self.code)
        if self.code not in (codes if isinstance(codes, list) else [codes]):
            yield f"exit code {self.code}, not {codes}"
        for text in expected.get("says", []):
            if not re.search(text, self.output, re.S | re.I):
                yield f"nowhere says /{text}/"
        for text in expected.get("not_says", []):
            if re.search(text, self.output, re.S | re.I):
                yield f"says /{text}/"
        failures = self.summary.get("failures", [])
        for text in expected.get("failures", []):
            if not re.search(text, json.dumps(failures), re.I):
                yield f"the failures lack /{text}/"
        if len(failures) != expected.get("failure_count", len(failures)):
            yield f"{len(failures)} failures, not {expected['failure_count']}"
        for name, number in expected.get("counts", {}).items():
            actual = self.summary.get("counts", {}).get(name)
            if actual != number:
                yield f"{name} is {actual}, not {number}"
        for rule in expected.get("requests", []):
            yield from self.problems_of_requests(rule)
        for request in self.requests:
            for problem in discovery().problems(request):
                if problem not in case.get("sends", []):
                    yield f"{request['line'][:80]}: {problem}"
            if request["line"].startswith("POST /queries"):
                yield from billing_problems(json.loads(request["body"]))

    def problems_of_requests(self, rule):
        hits = [request for request in self.requests if re.search(rule["match"], request["line"])
                and re.search(rule.get("body", ""), request["body"], re.S)]
        name = f"{rule['match']} {rule.get('body', '')[:30]}"
        least, most = rule.get("min", 0), rule.get("max", len(hits))
        if not least <= len(hits) <= most:
            yield f"{len(hits)} requests {name}, not {least} to {most}"
        ids = [json.loads(request["body"]).get("requestId") for request in hits] if "ids" in rule else []
        if rule.get("ids") == "same" and len(set(ids)) > 1:
            yield f"another requestId: {name}"
        if rule.get("ids") == "new" and len(set(ids)) < len(ids):
            yield f"the same requestId: {name}"
        if "gap" in rule and len(hits) > 1 and hits[1]["at"] - hits[0]["at"] < rule["gap"]:
            yield f"{name} came again after {hits[1]['at'] - hits[0]['at']:.1f} s, not {rule['gap']}"
        if "has" in rule and not all(re.search(rule["has"], request["body"], re.S) for request in hits):
            yield f"a body of {name} does not match /{rule['has'][:60]}/"


def billing_problems(body):
    """BigQuery bills at least 10 MB for each table and view that a statement reads or changes. DDL bills nothing."""
    sql, most = body["query"], int(body["maximumBytesBilled"])
    tables = set(re.findall(r"`[\w-]+`\.INFORMATION_SCHEMA\.\w+|`\w+\.\w+`", sql))
    if len(tables) * 10_485_760 > most and not sql.startswith("CREATE TABLE"):
        yield f"a statement with {len(tables)} tables may bill {most} bytes: {sorted(tables)}"


class Answers(unittest.TestCase):
    maxDiff = None


def test_of(case):
    def test(self):
        run = started[case["name"]].result() if case["name"] in started else Run(case)
        problems = list(run.problems(case))
        if problems:
            requests = "\n".join(request["line"][:160] for request in run.requests)
            self.fail("\n".join([run.output[-3000:], requests, f"{case['kind']} ({case['source']})", "; ".join(problems)]))

    return test


def method(name):
    return "test_" + name.replace("-", "_")


for each in CASES.values():
    setattr(Answers, method(each["name"]), test_of(each))


def start_early(tests):
    """Starts the jobs of the chosen tests, several at once; the tests wait for them in their order."""
    names = {test.id().rpartition(".")[2] for test in tests}
    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    # The cases that wait longest come first, so that nothing waits for them alone.
    for case in sorted(CASES.values(), key=lambda case: not case.get("slow", False)):
        if method(case["name"]) in names:
            started[case["name"]] = pool.submit(Run, case)


class CorpusTests(unittest.TestCase):
    def test_has_every_case_once(self):
        names = [case["name"] for file in CORPUS.glob("*.json") for case in json.loads(file.read_text())]
        self.assertEqual(sorted(names), sorted(set(names)))
        self.assertGreaterEqual(len(names), 112)

    def test_every_case_names_its_source(self):
        self.assertEqual([name for name, case in CASES.items() if not case.get("source")], [])


if __name__ == "__main__":
    unittest.main()
