"""The list of facts, its checks, the comments that name facts, and the documents that are generated from it."""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "Tests/Assumptions")]

from assumptions import bounds, checking, documents, facts, record  # noqa: E402
from assumptions.facts import NotCheckable  # noqa: E402
from deployment.desired import Desired  # noqa: E402
from deviations import PLANTED  # noqa: E402

KNOWN = facts.read()
NAMED = re.compile(r"\(facts? ((?:[A-Z]+-\d+)(?:(?:, | and )[A-Z]+-\d+)*)\)")
ID = re.compile(r"\b(?:BQ|IAM|SEC|RUN|SCH|LOG|MON|ST)-\d\d\b")


def code_files():
    """The files that may name facts; the program itself has the ids of its checks."""
    own = {ROOT / "scripts/assumptions" / name for name in ("stripe.py", "program.py")}
    found = [*ROOT.glob("Sources/**/*.swift"), *ROOT.glob("scripts/deployment/*.py"), *own]
    return {str(path.relative_to(ROOT)): path.read_text() for path in found}


class ListTests(unittest.TestCase):
    def test_every_fact_is_complete(self):
        jobs = {job["job"] for job in Desired("test").jobs} | {"all"}
        for fact in KNOWN.values():
            with self.subTest(fact.id):
                self.assertRegex(fact.id, f"^{ID.pattern}$")
                self.assertRegex(fact.source, r"^https://")
                self.assertTrue(fact.statement.endswith(".") and fact.workaround and fact.code)
                self.assertLessEqual(set(fact.jobs), jobs)
                for name in fact.code:
                    self.assertTrue((ROOT / name).is_file(), name)

    def test_every_fact_has_a_check_or_the_reason_why_there_is_none(self):
        self.assertEqual(len(KNOWN), len(documents.read_report()))
        self.assertEqual(set(facts.CHECKS), {fact.id for fact in KNOWN.values() if not fact.not_checkable})

    def test_every_id_in_the_code_is_a_fact_that_names_this_file(self):
        for path, text in code_files().items():
            for found in NAMED.findall(text):
                for name in ID.findall(found):
                    with self.subTest(path=path, fact=name):
                        self.assertIn(name, KNOWN)
                        self.assertIn(path, KNOWN[name].code)

    def test_every_file_that_relies_on_a_fact_names_it(self):
        files = code_files()
        for fact in KNOWN.values():
            for path in fact.code:
                with self.subTest(path=path, fact=fact.id):
                    names = {name for found in NAMED.findall(files[path]) for name in ID.findall(found)}
                    self.assertIn(fact.id, names)

    def test_no_id_in_the_code_is_in_another_form(self):
        for path, text in code_files().items():
            if path.startswith("Sources/"):
                with self.subTest(path):
                    self.assertEqual(len(ID.findall(text)), sum(len(ID.findall(found)) for found in NAMED.findall(text)))


class DocumentTests(unittest.TestCase):
    def test_the_generated_documents_are_current(self):
        for path, text in documents.pages(KNOWN, documents.read_report()).items():
            with self.subTest(path):
                self.assertEqual((ROOT / path).read_text(), text, "run scripts/assumptions.sh --write-readmes")

    def test_the_report_has_the_present_statements(self):
        for item in documents.read_report():
            fact = KNOWN[item["id"]]
            self.assertEqual((item["statement"], item["source"], item["workaround"]), (fact.statement, fact.source, fact.workaround))

    def test_the_kept_result_has_every_planted_deviation_as_found(self):
        lines = (ROOT / "Tests/Assumptions/deviations.txt").read_text().splitlines()
        wanted = {f"found: {d.service}: {d.name} ({', '.join(sorted(d.facts))})" for d in PLANTED}
        self.assertGreaterEqual(len(PLANTED), 20)
        self.assertEqual(set(lines[1:-1]), wanted)
        self.assertTrue(lines[0].startswith("the same"), lines[0])


class BoundTests(unittest.TestCase):
    def test_a_run_costs_less_than_its_bound(self):
        self.assertLess(bounds.most_dollars(), bounds.DOLLARS)

    def test_no_statement_is_sent_that_could_exceed_the_bytes_of_a_run(self):
        spent = bounds.Bounds()
        count = 0
        with self.assertRaises(NotCheckable):
            while True:
                spent.reserve()
                spent.bill(bounds.STATEMENT_BYTES)
                count += 1
        self.assertLessEqual(spent.billed, bounds.BYTES)
        self.assertEqual(count, bounds.BYTES // bounds.STATEMENT_BYTES)

    def test_the_time_of_a_run_leaves_some_for_the_deletions(self):
        now = [0.0]
        spent = bounds.Bounds(clock=lambda: now[0])
        now[0] = bounds.SECONDS - bounds.CLEANING_SECONDS
        self.assertRaises(bounds.Stopped, spent.check_time)

    def test_a_distribution_names_what_never_was_so(self):
        found = bounds.Samples([4, 1, 3, 2, 10, 5, 6, 7, 8, 9], 2)
        self.assertEqual(str(found), "n=12: p50 5.00 s, p90 9.00 s, max 10.00 s; 2 never")
        self.assertFalse(found.is_complete)
        self.assertEqual(str(bounds.Samples([], 3)), "n=3: never")


class Thing:
    """A kind of resource in a dictionary: its name, and whether it bears the mark."""

    def __init__(self, things):
        self.things = things

    def read(self, name):
        return (self.things[name],) if name in self.things else None

    def is_marked(self, found):
        return found[0]

    def delete(self, name):
        del self.things[name]


class RecordTests(unittest.TestCase):
    def test_only_what_bears_the_mark_is_deleted(self):
        things = {"ours": True, "theirs": False}
        left = record.delete({"thing": Thing(things)}, [("thing", "ours"), ("thing", "theirs"), ("thing", "nothing"), ("other", "x")])
        self.assertEqual(things, {"theirs": False})
        self.assertEqual(len(left), 2)
        self.assertIn("thing theirs does not bear the mark", left[0])
        self.assertIn("cannot be reached", left[1])

    def test_a_name_is_old_half_an_hour_after_its_run(self):
        run = record.Run()
        self.assertFalse(record.is_old(run.dashed("x")))
        self.assertTrue(record.is_old("assumptions_20261101t0000_1a2b3c_tables"))
        self.assertFalse(record.is_old("assumptions_of_somebody"))
        self.assertFalse(record.is_old("organizations"))

    def test_the_names_of_a_run_are_within_the_limits(self):
        run = record.Run()
        self.assertRegex(run.account, r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
        self.assertRegex(run.dashed("failing"), r"^[a-z]([-a-z0-9]{0,47}[a-z0-9])?$")
        self.assertTrue(all(re.match(r"^[a-z0-9-]{1,63}$", text) for text in [*run.labels, *run.labels.values()]))


class ResultTests(unittest.TestCase):
    def test_an_answer_of_another_form_is_a_failed_check_and_no_verdict(self):
        class Trial:
            is_stand_in = False

        fact = KNOWN["BQ-03"]
        found = checking.result(Trial(), fact)
        self.assertEqual((found.verdict, found.is_broken), (facts.UNCHECKED, True))


if __name__ == "__main__":
    unittest.main()
