#!/usr/bin/env python3
"""The cost model: its parts by hand, the command line, the page, and the budgets of jobs.yaml."""
import json
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "Tests/Costs")]
from costs.model import DIVIDED, Model, read, reaches, times_a_year      # noqa: E402
from costs.sizes import Sizes      # noqa: E402
import pages      # noqa: E402

MINIMUM = 10_485_760


def cost(*arguments):
    done = subprocess.run([ROOT / "scripts/cost.sh", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class CronTests(unittest.TestCase):
    def test_times_a_year(self):
        for cron, times in (("0 0 * * *", 365.25), ("*/15 * * * *", 96 * 365.25), ("*/5 * * * *", 288 * 365.25), ("5 0 1 * *", 12),
                            ("0 1,13 * * *", 730.5), ("0 8-10 1 1 *", 3), ("0 0 * * 1-5", 365.25 * 5 / 7), ("0 0 29 2 *", 0.25),
                            ("0 0 31 * *", 7), ("10/20 0 1 1 *", 3)):
            with self.subTest(cron):
                self.assertAlmostEqual(times_a_year(cron), times)


class SizeTests(unittest.TestCase):
    def setUp(self):
        parameters = {name: p["value"] for name, p in read("parameters.json").items()}
        self.sizes = Sizes(2_000_000, parameters, read("facts.json"), history_rows_per_day=100)

    def billed(self, **footprint):
        return self.sizes.statement({"kind": "QUERY", **footprint})[0]

    def test_a_query_bills_the_columns_that_it_names(self):
        scan = {"table": "organizations.org_profiles", "columns": ["created_at", "org_slug"]}
        self.assertEqual(self.billed(scans=[scan]), 2_000_000 * (8 + 2 + 12))

    def test_a_small_table_bills_ten_mebibytes_and_each_table_does(self):
        lease = {"table": "scheduler_jobs.job_leases", "columns": ["job"]}
        runs = {"table": "scheduler_jobs.job_runs", "columns": ["job"], "from": 0}
        self.assertEqual(self.billed(scans=[lease]), MINIMUM)
        self.assertEqual(self.billed(scans=[lease, lease, runs]), 2 * MINIMUM)

    def test_bounds_leave_the_partitions_between_them(self):
        def days(**bounds):
            return self.billed(scans=[{"table": "organizations.org_usage_quotas", "columns": ["usage_date"], **bounds}]) / 16e6
        self.assertEqual([days(), days(**{"from": 0}), days(**{"from": -2, "to": 0}), days(**{"from": -15, "before": 1}), days(before=-7)],
                         [91, 1, 3, 16, 83])

    def test_rows_that_have_just_become_too_old_are_one_day(self):
        scan = {"table": "organizations.org_usage_quotas", "columns": ["usage_date"], "before": -90}
        self.assertEqual(self.billed(scans=[scan]), 16_000_000)

    def test_a_change_also_bills_all_columns_of_the_partitions_that_it_changes(self):
        scan = {"table": "organizations.org_usage_quotas", "columns": ["usage_date"], "from": 0, "to": 0, "target": True}
        whole = self.sizes.scan(scan, self.sizes.columns(scan["table"])).bytes
        change = {"scans": [scan], "changes": scan["table"], "rewrites": True}
        self.assertGreater(whole, 100e6)
        self.assertEqual(self.billed(kind="UPDATE", **change), 16_000_000 + whole)

    def test_an_insert_bills_what_it_reads_and_its_target_at_least(self):
        insert = {"kind": "INSERT", "changes": "organizations.org_subscriptions", "rewrites": False}
        self.assertEqual(self.billed(scans=[], **insert), MINIMUM)
        scan = {"table": "organizations.org_profiles", "columns": ["org_slug"]}
        self.assertEqual(self.billed(scans=[scan], **insert), 28_000_000 + MINIMUM)

    def test_a_view_of_a_dataset_has_the_rows_of_that_dataset_alone(self):
        own, region = ({"table": f"{place}.TABLES", "columns": ["table_name"]} for place in ("organizations", "region"))
        self.assertEqual(self.sizes.scan(own).rows, 21)
        self.assertEqual(self.sizes.scan(region).rows, 27 + 19 * 2_000_000)


class ModelTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.small, cls.large = Model("prod", 1000), Model("prod", 100_000)

    def job(self, name, model=None):
        return next(job for job in (model or self.small).jobs if job.name == name)

    def test_every_deployed_job_is_in_the_list_of_requests(self):
        deployed = json.loads((ROOT / "deploy/generated/prod/deployment.json").read_text(encoding="utf-8"))["jobs"]
        self.assertEqual({job["job"] for job in deployed}, read("requests.json").keys())

    def test_the_comparison_of_all_datasets_bills_what_operations_md_says(self):
        for model, gigabytes in ((self.small, 0.26), (self.large, 26)):
            largest = max(run.largest_statement for run in self.job("org-sync-all", model).run.values())
            self.assertAlmostEqual(largest / 1e9 / gigabytes, 1, delta=0.15)

    def test_a_run_bills_a_minute_at_least(self):
        job = self.job("billing-sync-retry")
        self.assertAlmostEqual(job.seconds, job.deployed.runs * 60)

    def test_stripe_is_read_in_pages_of_a_hundred(self):
        self.assertEqual(self.job("billing-sync-reconcile", self.large).largest.stripe, 1001)

    def test_dollars_are_the_sum_of_their_parts(self):
        job = self.job("stale-cleanup")
        self.assertAlmostEqual(job.dollars, 6.25 * job.bytes / 2 ** 40 + 0.000018 * job.vcpu_seconds + 0.000002 * job.gib_seconds
                               + 0.5 * job.log_bytes / 2 ** 30 + 0.1)
        self.assertAlmostEqual(self.small.total()[0], sum(j.dollars for j in self.small.jobs))
        self.assertLess(self.small.total()[1], self.small.total()[0])

    def test_more_organizations_never_need_less(self):
        for small, large in zip(self.small.jobs, self.large.jobs):
            with self.subTest(small.name):
                self.assertLessEqual((small.requests, small.bytes, small.seconds), (large.requests, large.bytes, large.seconds))

    def test_the_first_limit_is_reached_where_the_model_says(self):
        number, limit = reaches("prod", "stale-cleanup", {})
        self.assertIn("MAX_BYTES_BILLED", limit)
        self.assertGreaterEqual(self.job("stale-cleanup", Model("prod", number)).binding()[0], 1)
        self.assertLess(self.job("stale-cleanup", Model("prod", int(number * 0.97))).binding()[0], 1)

    def test_only_the_job_that_divides_its_work_gets_more_tasks(self):
        model = Model("prod", 1_000_000, {"new_per_organization_and_day": 1})
        tasks = {job.name: job.tasks() for job in model.jobs}
        self.assertGreater(tasks.pop(DIVIDED), 10)
        self.assertEqual(set(tasks.values()), {1})

    def test_every_job_stays_within_its_budget_with_as_many_organizations_as_jobs_yaml_says(self):
        for job in Model("prod", 5000).jobs:
            budget, run = job.deployed.budget, job.largest
            with self.subTest(job.name):
                self.assertLessEqual(run.requests, budget["requests"])
                self.assertLessEqual(run.bytes, budget["bytes"])

    def test_every_number_has_its_source(self):
        facts = read("facts.json")
        for name, fact in (facts["prices"] | facts["limits"]).items():
            self.assertRegex(fact["source"], r"^https://", name)
            self.assertRegex(fact["read"], r"^\d{4}-\d\d-\d\d$", name)
            self.assertIsInstance(fact["verified"], bool, name)


class CommandTests(unittest.TestCase):
    def test_a_table_fits_into_a_hundred_columns(self):
        code, output, _ = cost("--organizations", "100000")
        self.assertEqual(code, 0)
        rows = output.partition("\n\n")[0].splitlines()
        self.assertEqual(len(rows), 11)
        self.assertLessEqual(max(map(len, rows)), 100)

    def test_json_has_every_job_and_no_invented_slot_time(self):
        _, output, _ = cost("--organizations", "1000", "--json")
        size = json.loads(output)[0]
        self.assertEqual(len(size["jobs"]), 9)
        self.assertEqual({job["slot_seconds"] for job in size["jobs"]}, {None})

    def test_a_formula_shows_statements_limits_and_tasks(self):
        code, output, _ = cost("--organizations", "1000", "--job", "stale-cleanup")
        self.assertEqual(code, 0)
        for words in ("8 days x 25,000 rows x 33 bytes", "UPDATE scheduler_jobs.job_leases", "MAX_BYTES_BILLED (10 GiB)",
                      "Tasks to use: 1.", "Slot time: not measured"):
            self.assertIn(words, output)

    def test_a_parameter_changes_the_result(self):
        def bytes_of(*settings):
            return json.loads(cost("--organizations", "1000", "--job", "stale-cleanup", "--json", *settings)[1])[0]["jobs"][0]["bytes_billed"]
        self.assertLess(bytes_of("--set", "log_days=30"), bytes_of() / 2)

    def test_wrong_usage_ends_with_64_and_a_suggestion(self):
        for arguments, words in ((["--job", "stale-cleanp"], "did you mean stale-cleanup?"), (["--set", "log_day=3"], "did you mean log_days?"),
                                 (["--set", "log_days=x"], "must be a number"), (["--organizations", "0"], "from 1 to"),
                                 (["--environment", "dev"], "there is no environment dev"), (["--set", "at_once=0"], "more than 0")):
            with self.subTest(arguments):
                code, output, error = cost(*arguments)
                self.assertEqual((code, output), (64, ""))
                self.assertIn(words, error)

    def test_help_names_the_options(self):
        code, output, _ = cost("--help")
        self.assertEqual(code, 0)
        for option in ("--organizations", "--job", "--set", "--parameters", "--json", "--markdown", "--environment"):
            self.assertIn(option, output)


class PageTests(unittest.TestCase):
    def test_the_page_is_what_the_program_computes(self):
        text = pages.PAGE.read_text(encoding="utf-8")
        self.assertEqual(pages.filled(text), text, "docs/costs.md is out of date: run Tests/Costs/pages.py with the project's Python")
        self.assertIn("| stale-cleanup |", text)


if __name__ == "__main__":
    unittest.main()
