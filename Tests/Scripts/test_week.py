"""The page of simulate.sh --html, made from a story."""
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import week_example
from fake_project import ROOT
from test_page import EVIL, Page
from deployment.command import UsageError
from simulation import story as stories, timeline, week

JOBS = json.loads((ROOT / "deploy/generated/test/deployment.json").read_text())["jobs"]


class WeekTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.lines = week_example.lines()
        cls.story = cls.read(cls.lines)
        cls.text = week.html(cls.story, JOBS)
        cls.page = Page(cls.text)

    @classmethod
    def read(cls, lines):
        return stories.read(week_example.write(pathlib.Path(cls.folder.name) / "story.jsonl", lines))

    def article(self, name, text=None):
        return re.search(rf'<article id="{name}">.*?</article>', text or self.text, re.S)[0]

    def test_is_whole_and_loads_nothing(self):
        self.assertEqual((self.page.errors, self.page.open), ([], []))
        self.assertNotRegex(self.text, r"(?i)\bsrc=|url\(|@import|<script|<link|<iframe|https?://|\bon[a-z]+=")
        for link in self.page.all("a"):
            self.assertRegex(link["href"], r"^#[a-z-]+$")

    def test_every_link_leads_to_a_part_of_the_page(self):
        ids = {a["id"] for _, a in self.page.elements if "id" in a}
        self.assertLessEqual({a["href"][1:] for a in self.page.all("a")}, ids)

    def test_every_job_has_a_lane_and_every_run_is_in_its_list(self):
        self.assertEqual([a["id"] for a in self.page.all("article") if "id" in a], [job["job"] for job in JOBS])
        for job in JOBS:
            wanted = collections.Counter(f"{r['at']:%Y-%m-%dT%H:%M:%SZ}" for r in self.story.runs if r["job"] == job["job"])
            shown = collections.Counter(re.findall(r'<time datetime="(.*?)">', self.article(job["job"])))
            self.assertEqual(shown, wanted, job["job"])

    def test_a_frequent_job_is_a_strip_of_hours_and_a_rare_one_has_a_mark_for_each_run(self):
        frequent, rare = self.article("billing-sync-retry"), self.article("quota-cleanup")
        self.assertEqual(frequent.count('class="bin"'), 7 * 24)
        self.assertEqual(len(re.findall(r'<i class="m (?:idle|did|skipped|failed|killed)"', frequent)), 0)
        self.assertEqual(len(re.findall(r'<i class="m (?:idle|did|skipped|failed|killed)"', rare)), 7)

    def test_each_hour_of_a_strip_counts_its_runs(self):
        found = re.findall(r'class="bin".*?title="[A-Z][a-z]+ (\d+) Mar, (\d\d):00 to [^"]*?: ([^"]*)"', self.article("stale-cleanup"))
        counts = {(int(day), int(hour)): sum(int(n) for n in re.findall(r"(?:^|, )(\d+) (?=succ|skip|stop|fail|kill)", words))
                  for day, hour, words in found}
        self.assertEqual(counts, collections.Counter((r["at"].day, r["at"].hour) for r in self.story.runs if r["job"] == "stale-cleanup"))

    def test_faults_kills_and_repairs_stand_on_the_lane_of_their_run(self):
        for kind in ("fault", "kill", "repair"):
            for job in JOBS:
                wanted = sum(self.story.job_of(line) == job["job"] for line in self.story.of(kind))
                self.assertEqual(self.article(job["job"]).count(f'<i class="m {kind}"'), wanted, (kind, job["job"]))
        self.assertIn("stale-cleanup was not started at 03:15", self.text)

    def test_each_fault_kill_failed_run_and_repair_has_a_row_with_the_outcome_of_its_run(self):
        section = re.search(r'<section class="events">.*?</section>', self.text, re.S)[0]
        killed = {line["execution"] for line in self.story.of("kill")}
        bad = [r for r in self.story.runs if r["outcome"] == "failed" or r["outcome"] == "killed" and r["execution"] not in killed]
        wanted = len(self.story.of("fault", "kill", "repair", "release", "operator")) + len(bad)
        self.assertEqual(section.count("<tr title="), wanted)
        self.assertEqual(section.count("succeeded on attempt 1"), len(killed))

    def test_a_long_headline_is_cut_among_the_events_and_whole_in_the_list_of_runs(self):
        lines = [dict(line, headline="word " * 100 + "end") if line.get("outcome") == "failed" else line for line in self.lines]
        text = week.html(self.read(lines), JOBS)
        events = re.search(r'<section class="events">.*?</section>', text, re.S)[0]
        self.assertRegex(events, r'<span title="(word )+end">(word )+…</span>')
        self.assertIn(f"<td>{'word ' * 100}end</td>", self.article("billing-sync-retry", text))

    def test_the_customer_with_the_most_events_is_followed_through_all_days(self):
        section = re.search(r'<section class="customer">.*?</section>', self.text, re.S)[0]
        self.assertIn("One customer: acme_inc", section)
        self.assertEqual(section.count("<tr><td>"), 7)
        self.assertIn("15:00</time> moved from STARTER to SCALE", section)
        self.assertIn("<b>219</b> of 3,000", section)
        self.assertNotIn("globex", section)

    def test_a_counter_above_its_limit_is_marked(self):
        self.assertIn('class="meter bad"', week.meter(7, 6))
        self.assertIn('class="meter warn"', week.meter(6, 6))
        self.assertEqual(week.meter(6, None), "<b>6</b>")

    def test_each_night_and_invariant_has_a_cell_with_its_text(self):
        section = re.search(r'<section class="nights">.*?</section>', self.text, re.S)[0]
        self.assertEqual(section.count("<td "), 7 * len(week_example.INVARIANTS))
        self.assertEqual(section.count("✓"), 7 * len(week_example.INVARIANTS))
        for words in week_example.INVARIANTS.values():
            self.assertEqual(section.count(f'title="{words}"'), 7)
        self.assertIn("After each of the 7 nights, all 4 invariants held.", self.text)

    def test_a_broken_invariant_is_in_the_first_sentence(self):
        text = week.html(self.read(week_example.lines(broken_night=2)), JOBS)
        self.assertIn("some ended with a broken invariant: queue on Thursday.", text)
        self.assertEqual(text.count("✗"), 1)
        self.assertIn('<td class="bad" title="item 17 is in neither the queue nor the audit">', text)

    def test_texts_are_escaped(self):
        changed = [{**line, **{key: EVIL for key in ("text", "headline", "organization", "plan", "trigger", "service") if key in line}} for line in self.lines]
        for line in changed:
            if line["kind"] == "night":
                line["invariants"] = [{**i, "text": EVIL, "name": EVIL} for i in line["invariants"]]
        page = Page(text := week.html(self.read(changed), JOBS))
        self.assertEqual((page.errors, page.open), ([], []))
        self.assertFalse(page.all("script") + page.all("img"))
        self.assertIn("&lt;script&gt;", text)

    def test_the_eve_of_the_first_day_stands_before_it(self):
        eve = {**self.lines[0], "kind": "run", "at": "2026-03-01T22:00:00Z", "ended": "2026-03-01T22:00:05Z", "job": "bootstrap", "execution": "e",
               "attempt": 0, "outcome": "succeeded", "headline": "the world is set up", "trigger": "manual"}
        text = week.html(story := self.read([eve] + self.lines), JOBS)
        self.assertEqual(story.days, 7)
        self.assertIn("2 March to 8 March 2026", text)
        self.assertRegex(self.article("bootstrap", text), r'(?s)left:0.000%" title="Sun 1 Mar, 22:00:00.*<h4>Sunday, 1 March</h4>')

    def test_an_outcome_that_the_page_does_not_know_counts_as_failed(self):
        self.assertEqual(timeline.look({"outcome": "exploded"}), "failed")

    def test_a_job_that_jobs_yaml_does_not_have_gets_a_lane(self):
        lines = self.lines + [{**self.lines[0], "kind": "run", "at": "2026-03-08T23:59:59Z", "ended": "2026-03-08T23:59:59Z", "job": "later",
                               "execution": "v", "attempt": 0, "outcome": "succeeded", "headline": "", "trigger": "scheduled"}]
        self.assertIn(f"{week.spoken(len(JOBS) + 1)} small jobs", text := week.html(self.read(lines), JOBS))
        self.assertIn("1 run<", self.article("later", text))

    def test_the_story_of_a_real_simulation_becomes_a_page_with_every_run(self):
        story = stories.read(ROOT / "Tests/Scripts/data/week.jsonl")
        page = Page(text := week.html(story, JOBS))
        self.assertEqual((page.errors, page.open, story.days), ([], [], 7))
        lists = re.findall(r"<details>.*?</details>", text.split('class="timeline"')[1].split('class="world"')[0], re.S)
        self.assertEqual(sum(part.count("<time ") for part in lists), len(story.runs))
        self.assertEqual(text.count("<td "), sum(len(night["invariants"]) for night in story.of("night")))
        self.assertEqual({r["outcome"] for r in story.runs} - {"succeeded", "failed", *timeline.OUTCOMES}, set(), "an outcome without a look of its own")

    def test_each_broken_line_is_one_error_that_names_the_line(self):
        run = next(line for line in self.lines if line["kind"] == "run")
        night = next(line for line in self.lines if line["kind"] == "night")
        cases = [("{", "the line is no JSON"), ("[]", "no JSON object"), ({**run, "kind": "party"}, '"kind" is "party"'),
                 ({**run, "at": "yesterday"}, '"at" must be a time'), ({**run, "at": "2026-03-09T00:00:00"}, "no time zone"),
                 ({k: v for k, v in run.items() if k != "headline"}, '"headline" must be a text, not null'),
                 ({**run, "attempt": "0"}, '"attempt" must be a whole number'), ({**night, "invariants": [{"name": "a", "holds": 1, "text": ""}]}, '"holds" must be'),
                 ({**run, "at": "2020-01-01T00:00:00Z"}, "earlier than in the line before")]
        for line, words in cases:
            with self.subTest(words):
                path = week_example.write(pathlib.Path(self.folder.name) / "broken.jsonl", self.lines[:3])
                with path.open("a") as file:
                    file.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
                with self.assertRaises(UsageError) as caught:
                    stories.read(path)
                self.assertIn(f"{path}, line 4: ", str(caught.exception))
                self.assertIn(words, str(caught.exception))

    def test_an_empty_story_and_one_that_is_too_long_are_errors(self):
        with self.assertRaisesRegex(UsageError, "is empty"):
            self.read([])
        with self.assertRaisesRegex(UsageError, "a page shows 31 at most"):
            self.read([self.lines[0], {**self.lines[0], "at": "2026-05-01T00:00:00Z"}])

    def test_the_program_writes_the_page_or_says_what_is_wrong(self):
        story, page = pathlib.Path(self.folder.name) / "s.jsonl", pathlib.Path(self.folder.name) / "week.html"
        week_example.write(story, self.lines)
        command = [sys.executable, "-m", "simulation.week", str(story), str(page)]
        done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(page.read_text(), self.text)
        story.write_text("{}\n")
        done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (64, 1))
        self.assertIn("line 1", done.stderr)
