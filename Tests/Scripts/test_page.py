"""The page of list-jobs.sh --html."""
import html
import html.parser
import json
import pathlib
import re
import tempfile
import types
import unittest
import urllib.parse

import page_example
from fake_project import ROOT
from deployment import article, grants, page, state, summaries
from deployment.desired import Desired
from deployment.executions import Execution

CSS = (ROOT / "scripts/deployment/page.css").read_text()
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>&amp;'


class Page(html.parser.HTMLParser):
    """The elements of a page with their attributes, and its text; an element that is closed in a wrong order is an error."""

    EMPTY = ("meta", "input", "br", "img", "link")

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text, self.errors = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"{tag} at {self.getpos()}")

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


class PageTests(unittest.TestCase):
    def setUp(self):
        self.view = page_example.overview()
        self.text = page.html(self.view)
        self.page = Page(self.text)

    def article(self, name):
        return re.search(rf'<article [^>]*id="{name}">.*?</article>', self.text, re.S)[0]

    def test_is_whole_and_loads_nothing(self):
        self.assertEqual((self.page.errors, self.page.open), ([], []))
        self.assertNotRegex(self.text, r"(?i)\bsrc=|url\(|@import|<script|<link|<iframe|\bon[a-z]+=")
        links = [a["href"] for a in self.page.all("a")]
        self.assertTrue(links)
        for link in links:
            self.assertRegex(link, r"^(#[a-z-]+|https://console\.cloud\.google\.com/\S+)$")

    def test_what_needs_a_person_comes_first(self):
        order = [a["id"] for a in self.page.all("article")]
        self.assertEqual(order[:4], ["org-sync-all", "bootstrap-sync", "quota-reset-daily", "quota-cleanup"])
        self.assertEqual(sorted(order), sorted(j["job"] for j in self.view.desired.jobs))
        verdict = re.search(r'<p class="verdict">(.*?)</p>', self.text)[1]
        self.assertEqual(re.sub("<.*?>", "", verdict), "4 of 9 jobs need a person: org-sync-all failed, bootstrap-sync is not deployed, "
                                                       "quota-reset-daily is overdue, quota-cleanup was canceled.")

    def test_without_anything_to_do_it_says_so(self):
        fine = [s for s in self.view.jobs if s.state == "succeeded"]
        self.assertEqual(page.verdict(fine), "No job needs anybody.")
        self.assertEqual(len(fine), 1)

    def test_each_job_has_one_state_and_the_cards_add_up(self):
        self.assertEqual([s.state for s in self.view.jobs], [
            "never run", "not deployed", "failed", "overdue", "paused", "succeeded", "canceled", "skipped", "running"])
        for name in (j["job"] for j in self.view.desired.jobs):
            self.assertEqual(self.article(name).count('class="tag '), 1, name)
        counts = {words: count for _, count, words, _ in page.filters(self.view)}
        self.assertEqual(sum(count for words, count in counts.items() if words in state.STATES), counts["jobs"])
        self.assertEqual(counts["differ from jobs.yaml"], 2)

    def test_a_card_shows_only_the_jobs_of_its_state_without_a_script(self):
        keys = [key for key, *_ in page.filters(self.view)]
        self.assertEqual([a["id"] for a in self.page.all("input")], [f"show-{key}" for key in keys])
        self.assertEqual([a["for"] for a in self.page.all("label")], [f"show-{key}" for key in keys])
        self.assertEqual([a["id"] for a in self.page.all("input") if "checked" in a], ["show-all"])
        classes = " ".join(a["class"] for a in self.page.all("article")).split()
        for key in keys[1:]:
            self.assertIn(f"#show-{key}:checked ~ .jobs article:not(.is-{key})", self.text)
            self.assertIn(f"is-{key}", classes)
        self.assertNotIn("#show-all:checked ~ .jobs", self.text)

    def test_a_failed_run_shows_its_reason_and_leads_on(self):
        found = self.article("org-sync-all")
        self.assertIn("acme_10001: the dataset is in EU, not in US", found)
        self.assertIn("scripts/run-job.sh test org-sync-all", found)
        links = [html.unescape(link) for link in re.findall(r'href="(https[^"]+)"', found)]
        log = next(urllib.parse.unquote(link) for link in links if "/logs/query;" in link)
        self.assertIn('labels."run.googleapis.com/execution_name"="cloudact-org-sync-all-00000"', log)
        self.assertIn("timeRange=2026-11-30T02:35:20Z/", log)
        self.assertIn("https://console.cloud.google.com/run/jobs/executions/details/us-central1/cloudact-org-sync-all-00000/tasks?project=cloudact-testing-1",
                      links)

    def test_without_a_summary_cloud_runs_own_message_is_the_reason(self):
        failed = next(s for s in self.view.jobs if s.state == "failed")
        failed.summaries = {}
        self.assertEqual(article.why(failed), ["Task cloudact-x failed with message: The container exited with an error."])
        failed.last.message = ""
        self.assertEqual(article.why(failed), ["Cloud Run gives no reason, and the log has no summary of the run."])

    def test_every_text_is_escaped(self):
        view = page_example.overview([{"subject": EVIL, "reason": EVIL}])
        view.differences, view.orphans, view.foreign, view.log_refusal = [EVIL], [EVIL], [EVIL], EVIL
        job = view.jobs[2]
        job.job = {**job.job, "purpose": EVIL, "schedule": EVIL, "schedule_words": EVIL, "account": EVIL}
        job.drift, job.grants, job.uses, job.last.message = [f"env A: {EVIL} -> {EVIL}"], [(EVIL, [EVIL])], [{"on": EVIL, "does": EVIL}], EVIL
        next(iter(job.summaries.values())).counts[EVIL] = 1
        found = Page(page.html(view))
        self.assertEqual((found.errors, found.open), ([], []))
        self.assertEqual([tag for tag, _ in found.elements if tag in ("script", "img")], [])
        self.assertGreaterEqual("".join(found.text).count(EVIL), 10, "the texts themselves are there")

    def test_drift_says_which_side_is_live(self):
        found = self.article("stale-cleanup")
        self.assertIn("memory: live 2Gi, jobs.yaml 512Mi", found)
        self.assertIn("env DAYS: live none, jobs.yaml 3", found)
        self.assertIn("job cloudact-bootstrap-sync: missing", self.article("bootstrap-sync"))
        self.assertIn("update alert job-failed: enabled: live no, jobs.yaml yes", self.text)
        self.assertNotRegex(self.text, r"-(>|&gt;) ")
        for line, expected in (
                ("account x: disabled -> enabled", "account x: live disabled, jobs.yaml enabled"),
                ("job x: env A: a: b -> c", "job x: env A: live a: b, jobs.yaml c"), ("job x: missing", "job x: missing"),
                ("dataset x is in EU, not in US", "dataset x is in EU, not in US"), ("trigger x: body: e30= -> none; state: PAUSED -> ENABLED",
                 "trigger x: body: live e30=, jobs.yaml none; state: live PAUSED, jobs.yaml ENABLED")):
            self.assertEqual(article.live_and_wanted(line), expected)

    def test_a_schedule_is_in_words_with_its_zone(self):
        self.assertIn("every day at 00:00 UTC <code>0 0 * * *</code>", self.article("quota-reset-daily"))
        self.assertIn("by hand", self.article("bootstrap"))

    def test_counts_and_access_are_one_click_away(self):
        found = re.search(r"<details>.*</details>", self.article("org-sync-all"), re.S)[0]
        self.assertIn("<td>20 MiB</td><td>118 organizations</td>", found)
        self.assertIn("table organizations.org_profiles: cloudact_row_reader", found)
        self.assertIn("secret stripe-secret-key-test: secretmanager.secretAccessor", self.article("billing-sync-retry"))

    def test_the_list_of_what_a_job_does_is_read_if_it_is_there(self):
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        desired = types.SimpleNamespace(folder=root / "deploy/generated/test")
        self.assertEqual(Desired.uses(desired, "a"), [])
        desired.folder.mkdir(parents=True)
        use = {"on": "organizations.org_usage_quotas", "does": "reads rows, deletes rows", "permissions": ["x"]}
        (root / "deploy/access.json").write_text(json.dumps({"a": [use, "another form"]}))
        self.assertEqual((Desired.uses(desired, "a"), Desired.uses(desired, "b")), ([use], []))
        job = self.view.jobs[0]
        job.uses = [use]
        self.assertIn("<li>organizations.org_usage_quotas: reads rows, deletes rows</li>", article.access(job))

    def test_grants_are_found_wherever_they_are(self):
        member = ["serviceAccount:me@x"]
        tree = {"accounts": [{"email": "me@x"}], "project": [{"role": "roles/a", "members": member}, {"role": "roles/b", "members": ["user:x"]}],
                "datasets": [{"name": "d", "resource": {"access": [{"role": "OWNER", "members": member}]}, "bindings": [{"role": "roles/c", "members": member}]}],
                "tables": [{"name": "d.t", "bindings": [{"role": "roles/e", "members": member}, {"role": "roles/f", "members": member}]}]}
        self.assertEqual(grants.of_account(tree, "me@x"), [("project", ["a"]), ("dataset d", ["c"]), ("table d.t", ["e", "f"])])

    def test_bars_have_a_time_axis_a_scale_and_a_second_sign(self):
        found = self.article("billing-sync-reconcile")
        self.assertIn("<figcaption><span style=\"margin-left:0.0%\">01 Nov 02:00</span><span>30 Nov 02:00 UTC</span></figcaption>", found)
        self.assertEqual(re.findall(r"<b>(1 h|1 min|10 min)</b>", found), ["1 min", "10 min", "1 h"])
        marks = re.findall(r'<b>(\S)</b><i class="bar (\w+)"', found)
        self.assertEqual(marks, [("×", "failed"), ("×", "failed"), ("▸", "running")])
        heights = [float(h) for h in re.findall(r'class="bar \w+" style="height:([\d.]+)%', self.text)]
        self.assertTrue(all(0 < h <= 100 for h in heights))
        one = [execution for execution in self.view.jobs[4].history][:1]
        self.assertRegex(article.axis(one), r"^<span></span><span>\d\d \w{3} \d\d:\d\d UTC</span>$")

    def test_ids_are_unique_and_the_page_has_a_title_and_a_language(self):
        ids = [a["id"] for _, a in self.page.elements if "id" in a]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(self.page.all("html")[0]["lang"], "en")
        self.assertIn("<title>Scheduler jobs · test</title>", self.text)

    def test_every_class_of_the_page_is_in_the_style_sheet(self):
        used = {name for _, a in self.page.elements for name in a.get("class", "").split()}
        styled = set(re.findall(r"\.([a-z][\w-]*)", CSS)) | {key for s in state.STATES.values() for key in (f"is-{s.key}", s.key)}
        self.assertEqual(used - styled - {"is-different"}, set())


class ContrastTests(unittest.TestCase):
    """WCAG 2.2, 1.4.3 and 1.4.11, computed from the variables of the style sheet."""

    def variables(self):
        light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.S))
        self.assertEqual(light.keys(), dark.keys())
        return {"light": light, "dark": dark}

    @staticmethod
    def rules():
        """Pairs of a selector and its declarations, without the variables themselves."""
        body = re.sub(r":root \{.*?\}", "", CSS, flags=re.S)
        for selector, text in re.findall(r"([^{}]+)\{([^{}]*)\}", body):
            yield selector.strip(), dict(re.findall(r"(?:^|;)\s*([\w-]+): ([^;]+)", text))

    @staticmethod
    def contrast(one, other):
        def luminance(color):
            parts = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
            linear = [p / 12.92 if p <= .04045 else ((p + .055) / 1.055) ** 2.4 for p in parts]
            return .2126 * linear[0] + .7152 * linear[1] + .0722 * linear[2]
        bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
        return (bright + .05) / (dim + .05)

    def test_every_color_is_a_variable(self):
        body = re.sub(r":root \{.*?\}", "", CSS, flags=re.S)
        self.assertEqual(re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(|color-mix|currentColor|opacity: \.", body), [])

    def test_text_has_a_contrast_of_4_5_in_both_modes(self):
        checked = 0
        fills = {"good-fill", "bad-fill", "warn-fill", "busy-fill", "none-fill"}
        for mode, colors in self.variables().items():
            for selector, rule in self.rules():
                ink = re.fullmatch(r"var\(--([\w-]+)\)", rule.get("color", ""))
                if not ink:
                    continue
                own = re.fullmatch(r"var\(--([\w-]+)\)", rule.get("background", ""))
                # Text without a background of its own may stand on the page or on a card, that of links in a reason on its fill.
                behind = [own[1]] if own else sorted(fills & {"bad-fill", "warn-fill"}) if ".reason" in selector else ["page", "card"]
                for name in behind:
                    with self.subTest(f"{mode}: {selector}, {ink[1]} on {name}"):
                        self.assertGreaterEqual(self.contrast(colors[ink[1]], colors[name]), 4.5)
                        checked += 1
        self.assertGreater(checked, 60)

    def test_bars_and_edges_have_a_contrast_of_3_in_both_modes(self):
        for mode, colors in self.variables().items():
            for name in ("good", "bad", "warn", "busy", "edge"):
                for behind in ("card", "page"):
                    with self.subTest(f"{mode}: {name} on {behind}"):
                        self.assertGreaterEqual(self.contrast(colors[name], colors[behind]), 3)

    def test_the_sheet_knows_focus_motion_and_paper(self):
        for part in (":focus-visible", "prefers-reduced-motion", "@media print", "prefers-color-scheme: dark"):
            self.assertIn(part, CSS)


class SummaryTests(unittest.TestCase):
    def payload(self, **more):
        return {"status": "succeeded", "counts": {}, "failures": [], "failures_omitted": 0, "duration_ms": 1, **more}

    def test_the_last_attempt_of_each_task_counts(self):
        found = summaries.Summary([
            self.payload(task_index=0, attempt=1, counts={"organizations": 5}), self.payload(task_index=1, counts={"organizations": 3}),
            self.payload(task_index=0, attempt=0, status="failed", failures=[{"subject": "a", "reason": "b"}], counts={"organizations": 9})])
        self.assertEqual((found.counts, found.reasons, found.is_skipped), ({"organizations": 8}, [], False))

    def test_many_failures_are_a_few_lines(self):
        failures = [{"subject": f"org-{i}", "reason": "no"} for i in range(100)]
        found = summaries.Summary([self.payload(status="failed", failures=failures, failures_omitted=50)])
        self.assertEqual(found.reasons, ["org-0: no", "org-1: no", "org-2: no", "and 147 more"])

    def test_a_run_is_skipped_if_all_of_its_tasks_are(self):
        skipped = self.payload(status="skipped", reason="the lease of x")
        self.assertTrue(summaries.Summary([skipped, {**skipped, "task_index": 1}]).is_skipped)
        self.assertFalse(summaries.Summary([skipped, self.payload(task_index=1)]).is_skipped)
        self.assertEqual(summaries.Summary([skipped]).reasons, ["skipped: the lease of x"])

    def test_a_missing_summary_of_a_failed_run_is_asked_for_and_an_empty_page_is_not_the_end(self):
        def entry(name):
            return {"labels": {"run.googleapis.com/execution_name": name}, "jsonPayload": self.payload()}
        answers = [{"entries": [], "nextPageToken": "2"}, {"entries": [entry("a"), entry("a")]}, {"entries": [entry("b")]}]
        asked = []

        class Logging:
            def request(self, *_, body, **__):
                asked.append(body)
                return answers.pop(0)
        now = summaries.dt.datetime.now(summaries.dt.timezone.utc)
        desired = types.SimpleNamespace(jobs=[{"name": "x"}], region="r", project="p")
        runs = [types.SimpleNamespace(name=name, created=now - summaries.dt.timedelta(days=age)) for name, age in (("a", 1), ("b", 2), ("old", 60))]
        found, refusal = summaries.read(Logging(), desired, runs)
        self.assertEqual((sorted(found), refusal, answers), (["a", "b"], "", []))
        self.assertEqual(asked[1]["pageToken"], "2")
        self.assertIn('execution_name"="b"', asked[2]["filter"])

    def test_a_payload_without_its_members_is_no_error(self):
        found = summaries.Summary([{"status": "failed", "counts": None, "failures": None}])
        self.assertEqual((found.counts, found.reasons), ({}, []))


class StateTests(unittest.TestCase):
    def execution(self, condition, reason=""):
        return Execution({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"},
                          "status": {"conditions": [{"type": "Completed", "status": condition, "reason": reason}]}})

    def test_a_skipped_run_succeeds_for_cloud_run(self):
        skipped = summaries.Summary([{"status": "skipped", "reason": "x"}])
        for condition, reason, summary, expected in (
                ("True", "", None, "succeeded"), ("True", "", skipped, "skipped"), ("False", "NonZeroExitCode", skipped, "failed"),
                ("False", "Cancelled", None, "canceled"), ("Unknown", "", None, "running")):
            with self.subTest(expected):
                self.assertEqual(state.of_execution(self.execution(condition, reason), summary), expected)


if __name__ == "__main__":
    unittest.main()
