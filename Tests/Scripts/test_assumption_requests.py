"""The checks that no stand-in can answer: with the answers that the real services are expected to give, with each of them changed, and
their requests against Google's discovery documents."""
import importlib.util
import json
import pathlib
import re
import sys
import tempfile
import unittest
import unittest.mock
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "Tests/Assumptions"), str(ROOT / "Tests/BigQueryAnswers")]

from assumptions import bounds, check_access, check_run, check_scripts, check_statements, check_tables, checking, containers  # noqa: E402
from assumptions import facts  # noqa: E402
from assumptions.facts import FAILS, HOLDS, UNCHECKED  # noqa: E402
from assumptions.trial import Trial  # noqa: E402
from discovery import Discovery  # noqa: E402
from real_answers import PROJECT, REGION, Clock, RealGoogle  # noqa: E402

KNOWN = facts.read()
# The checks that only the real services can answer.
REAL = [fact for fact in KNOWN.values() if fact.stand_in] + [KNOWN[name] for name in (
    "RUN-04", "RUN-05", "RUN-06", "RUN-07", "RUN-08", "RUN-09", "SCH-01", "SCH-02", "LOG-01")]
DOCUMENTS = {"run": ("run.v1", "run.v2"), "cloudscheduler": ("cloudscheduler.v1",), "iam": ("iam.v1",), "iamcredentials": ("iamcredentials.v1",),
             "logging": ("logging.v2",), "monitoring": ("monitoring.v1", "monitoring.v3"), "secretmanager": ("secretmanager.v1",)}


class Published(Discovery):
    """The methods of another service, whose paths have patterns."""

    def __init__(self, name):
        folder = pathlib.Path(importlib.util.find_spec("googleapiclient").origin).parent
        self.document = json.loads((folder / f"discovery_cache/documents/{name}.json").read_text())
        self.methods = [(method["httpMethod"], self.with_patterns(method), method) for method in self.all_methods(self.document)]

    @staticmethod
    def with_patterns(method):
        def place(found):
            pattern = method["parameters"][found[1]].get("pattern", "^[^/]+$")
            return f"(?P<{found[1]}>{pattern.strip('^$')})"
        return re.compile("^" + re.sub(r"\{\+?(\w+)\}", place, method["path"]) + "$")


def problems(request, published={}):  # noqa: B006 -- each document is read once
    """What is wrong with a request to Google."""
    parts = urllib.parse.urlsplit(request["url"])
    service = re.fullmatch(r"(?:us-central1-)?([a-z]+)\.googleapis\.com", parts.hostname)[1]
    names = DOCUMENTS.get(service, ("bigquery",))
    found = []
    for name in names:
        if name not in published:
            published[name] = Discovery() if name == "bigquery" else Published(name)
        path = urllib.parse.unquote(parts.path) if name != "bigquery" else parts.path
        # The documents of Cloud Run's first version also have the labels of other documents; a body is checked by the one that has the path.
        wrong = published[name].problems({"method": request["method"], "path": f"{path}?{parts.query}", "headers": request["headers"],
                                          "body": request["body"]})
        if not wrong:
            return []
        found += wrong
    return found


class RealCase(unittest.TestCase):
    def trial(self, **changed):
        clock = Clock()
        for module in (bounds, check_access, check_run, check_scripts, check_statements, check_tables, containers):
            if hasattr(module, "time"):
                self.enterContext(unittest.mock.patch.object(module, "time", clock))
        self.google = RealGoogle(clock, **changed)
        trial = Trial(PROJECT, REGION, "US", pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())), self.google)
        trial.bounds._clock, trial.bounds._began = clock.monotonic, clock.now
        return trial

    def results(self, names=None, **changed):
        trial = self.trial(**changed)
        wanted = [fact for fact in REAL if names is None or fact.id in names]
        found, stopped = checking.results(trial, wanted)
        self.assertIsNone(stopped)
        left = trial.record.sweep()[1] + trial.record.clean()
        self.assertEqual((left, self.google.resources), ([], {}), "everything is deleted")
        return {result.fact.id: result for result in found}


class RealAnswerTests(RealCase):
    def test_everything_holds_with_the_answers_that_are_expected(self):
        found = self.results()
        self.assertEqual({name: result.observed for name, result in found.items() if result.verdict != HOLDS}, {})
        self.assertGreater(len(found), 18)

    def test_each_changed_answer_is_found(self):
        for name, verdict, changed in (
                ("RUN-01", FAILS, {"index": ""}), ("RUN-02", FAILS, {"second attempt after": 3}), ("RUN-03", FAILS, {"grace": 3}),
                ("RUN-04", FAILS, {"retried": 0}), ("RUN-05", FAILS, {"suffix": "-x-abcd"}), ("RUN-06", FAILS, {"start takes": 45}),
                ("RUN-09", FAILS, {"takes reserved": True}), ("LOG-01", FAILS, {"log takes": 90}), ("MON-01", FAILS, {"failures": "0"}),
                ("MON-02", FAILS, {"promql": False}), ("SCH-01", FAILS, {"role takes": 10_000}), ("SCH-02", FAILS, {"logs refusals": False}),
                ("IAM-01", FAILS, {"grant takes": 10_000}), ("IAM-02", FAILS, {"denied": "forbidden"}), ("IAM-02", FAILS, {"denied words": "No."}),
                ("IAM-03", FAILS, {"reader may write": True}), ("IAM-03", UNCHECKED, {"grant takes": 10_000}),
                ("IAM-05", FAILS, {"expireTime": "1796099198"}), ("BQ-16", FAILS, {"lost": "Aborted"}), ("BQ-23", FAILS, {"timeout takes": 120}),
                ("BQ-23", FAILS, {"timeout reason": "invalid"}), ("BQ-32", FAILS, {"quota reason": "forbidden"})):
            with self.subTest(name, changed=changed):
                result = self.results([name], **changed)[name]
                self.assertEqual((result.verdict, result.is_broken), (verdict, False), result.observed)

    def test_every_request_exists_in_the_discovery_documents(self):
        self.results()
        hosts = {urllib.parse.urlsplit(r["url"]).hostname for r in self.google.requests}
        self.assertEqual(hosts, {f"{s}.googleapis.com" for s in ("bigquery", "iam", "iamcredentials", "run", "us-central1-run", "cloudscheduler",
                                                               "logging", "monitoring")})
        for request in self.google.requests:
            with self.subTest(f"{request['method']} {request['url']}"):
                self.assertEqual(problems(request), [])

    def test_a_wrong_request_is_found(self):
        run = {"method": "POST", "url": f"https://run.googleapis.com/v2/projects/p/locations/{REGION}/jobs/j:run", "body": "{}",
               "headers": {"Content-Type": "application/json"}}
        self.assertEqual(problems(run), [])
        for change in ({"url": run["url"].replace(":run", ":start")}, {"body": '{"override": {}}'}, {"url": run["url"] + "?dry=true"}):
            self.assertNotEqual(problems({**run, **change}), [], change)


if __name__ == "__main__":
    unittest.main()
