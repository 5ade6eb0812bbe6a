"""run-job.sh and list-jobs.sh."""
import json
import pathlib
import re
import tempfile
import unittest

from fake_project import JOBS, PROJECT, REGION, container, deployed_job, fake, mutating, needs_gcloud, trigger


@needs_gcloud
class RunJobTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def test_shows_log_and_summary_and_succeeds(self):
        self.google.put(self.google.deployed())
        done = self.google.script("run-job.sh", "test", "bootstrap", "--wait", "--", "--dry-run", "--only=a,b")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("would run us-central1-docker.pkg.dev", done.stdout)
        self.assertRegex(done.stdout, r'summary: \{"job": "cloudact-bootstrap", "status": "succeeded"')
        self.assertRegex(done.stdout, r"cloudact-bootstrap-\w+ succeeded after ")
        execution = next(iter(self.google.state()["executions"].values()))
        self.assertEqual(execution["spec"]["template"]["spec"]["containers"][0]["args"], ["--dry-run", "--only=a,b"])

    def test_a_failed_execution_is_a_failure(self):
        state = self.google.deployed()
        container(state, "cloudact-stale-cleanup")["env"].append({"name": "FAKE_RESULT", "value": "fail"})
        self.google.put(state)
        done = self.google.script("run-job.sh", "test", "cloudact-stale-cleanup")
        self.assertEqual(done.returncode, 1)
        self.assertIn("failure: demo_10001: simulated failure", done.stdout)

    def test_a_token_that_ran_out_is_renewed_on_the_way(self):
        self.google.put(self.google.deployed())
        self.google.faults({"method": "GET", "path": "/executions/", "status": 401, "times": 1})
        done = self.google.script("run-job.sh", "test", "bootstrap")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sum("--force-auth-refresh" in call for call in done.gcloud), 1, done.gcloud)
        self.assertEqual(done.stdout.count("summary: "), 1)

    def test_a_log_that_may_not_be_read_does_not_fail_the_job(self):
        self.google.put(self.google.deployed())
        self.google.faults({"path": "/entries:list", "status": 403, "message": "no logs for you", "times": 99})
        done = self.google.script("run-job.sh", "test", "bootstrap")
        self.google.faults()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("no logs for you"), 1)
        self.assertRegex(done.stdout, r"cloudact-bootstrap-\w+ succeeded after ")

    def test_async_leaves_at_once(self):
        self.google.put(self.google.deployed())
        done = self.google.script("run-job.sh", "test", "org-sync-all", "--async")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(any("/executions/" in r["path"] for r in done.requests), "nobody looks at the execution")

    def test_suggests_the_nearest_name(self):
        done = self.google.script("run-job.sh", "test", "org-sinc-all")
        self.assertEqual(done.returncode, 64)
        self.assertIn("did you mean org-sync-all?", done.stderr)
        self.assertEqual(done.gcloud, [])

    def test_a_job_that_is_not_deployed_is_said_so(self):
        self.google.put(self.google.prepared())
        done = self.google.script("run-job.sh", "test", "bootstrap")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cloudact-bootstrap is not deployed: scripts/create-all-jobs.sh test", done.stderr)

    def test_a_release_is_the_schema_jobs_in_order_and_the_next_one_skips_what_is_done(self):
        self.google.put(self.google.deployed())
        done = self.google.script("run-job.sh", "test", "release", "--", "--approve", "12345678", "--waves", "1,all", "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        started = re.findall(r"started cloudact-(.*)-\w+ with (.*)", done.stdout)
        self.assertEqual(started, [("bootstrap", "--approve 12345678"), ("bootstrap-sync", "--approve 12345678"),
                                   ("org-sync-all", "--approve 12345678 --waves 1,all --resume")])
        end = done.stdout[done.stdout.index("release of test:"):].splitlines()
        self.assertEqual([line.split()[:2] for line in end[1:]],
                         [["bootstrap", "succeeded:"], ["bootstrap-sync", "succeeded:"], ["org-sync-all", "succeeded:"]])
        again = self.google.script("run-job.sh", "test", "release").stdout
        self.assertEqual(re.findall(r"(?m)^  (\S+) +(succeeded|skipped)", again),
                         [("bootstrap", "skipped"), ("bootstrap-sync", "skipped"), ("org-sync-all", "succeeded")])
        self.assertRegex(again, r"bootstrap +skipped: cloudact-bootstrap-\w+ did it on 20\S+ at \S+ UTC, and the job is the same")

    def test_a_release_stops_at_the_first_failure(self):
        state = self.google.deployed()
        container(state, "cloudact-bootstrap-sync")["env"].append({"name": "FAKE_RESULT", "value": "fail"})
        self.google.put(state)
        done = self.google.script("run-job.sh", "test", "release")
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("started cloudact-org-sync-all", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^  bootstrap-sync  failed: .*failures: demo_10001")
        self.assertRegex(done.stdout, r"(?m)^  org-sync-all    not run$")

    def test_a_release_cannot_be_left(self):
        done = self.google.script("run-job.sh", "test", "release", "--async")
        self.assertEqual((done.returncode, done.gcloud), (64, []))

    def test_prod_asks_first(self):
        done = self.google.script("run-job.sh", "prod", "bootstrap")
        self.assertEqual((done.returncode, done.gcloud), (3, []))


@needs_gcloud
class ListJobsTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def changed(self):
        """A project with a drift, an orphan, a paused trigger, and one execution that succeeded."""
        state = self.google.deployed()
        container(state, "cloudact-bootstrap")["resources"]["limits"]["memory"] = "2Gi"
        trigger(state, "cloudact-quota-cleanup-trigger")["state"] = "PAUSED"
        name = f"projects/{PROJECT}/locations/{REGION}/jobs/cloudact-gone-trigger"
        state["scheduler_jobs"][name] = {**trigger(state, "cloudact-stale-cleanup-trigger"), "name": name}
        self.google.put(state)
        self.google.script("run-job.sh", "test", "stale-cleanup")

    def test_table_json_and_page(self):
        self.changed()
        table = self.google.script("list-jobs.sh", "test")
        self.assertEqual((table.returncode, mutating(table.requests)), (0, []))
        self.assertRegex(table.stdout, r"(?m)^cloudact-stale-cleanup +\*/15 \* \* \* \* .* UTC +succeeded .* ago +none$")
        self.assertRegex(table.stdout, r"(?m)^cloudact-bootstrap +manual .*never run +1$")
        self.assertRegex(table.stdout, r"(?m)^cloudact-quota-cleanup .* paused +never run +1$")
        self.assertIn("memory: 2Gi -> 512Mi", table.stdout)
        self.assertIn("trigger cloudact-gone-trigger", table.stdout)

        listed = json.loads(self.google.script("list-jobs.sh", "test", "--json").stdout)
        jobs = {j["job"]: j for j in listed["jobs"]}
        self.assertEqual(list(jobs), [job["job"] for job in JOBS])
        self.assertEqual(jobs["stale-cleanup"]["last_execution"]["status"], "succeeded")
        self.assertFalse(jobs["stale-cleanup"]["overdue"])
        self.assertIsNone(jobs["bootstrap"]["next_run"])
        self.assertEqual(jobs["bootstrap"]["drift"], ["job cloudact-bootstrap: memory: 2Gi -> 512Mi"])
        self.assertEqual(listed["orphans"], ["trigger cloudact-gone-trigger"])

        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "jobs.html"
            self.assertEqual(self.google.script("list-jobs.sh", "test", "--html", file).returncode, 0)
            page = file.read_text()
        self.assertEqual(page.count("<article "), len(JOBS))
        self.assertEqual(len(re.findall(r'<i class="bar succeeded" style', page)), 1)
        self.assertIn("<td>20 MiB</td><td>1 organizations</td>", page, "the counts of the summary")

    def test_the_page_gives_the_reason_of_a_failed_run(self):
        state = self.google.deployed()
        container(state, "cloudact-stale-cleanup")["env"].append({"name": "FAKE_RESULT", "value": "fail"})
        self.google.put(state)
        self.google.script("run-job.sh", "test", "stale-cleanup")
        file = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "jobs.html"
        done = self.google.script("list-jobs.sh", "test", "--html", file)
        self.assertEqual((done.returncode, mutating(done.requests)), (0, []), done.stderr)
        self.assertIn('<div class="reason bad"><p>demo_10001: simulated failure</p>', file.read_text())
        self.google.faults({"path": "/entries:list", "status": 403, "message": "no logs for you", "times": 9},
                           {"path": "/metrics$", "status": 403, "message": "no metrics for you", "times": 9})
        done = self.google.script("list-jobs.sh", "test", "--html", file)
        self.google.faults()
        self.assertEqual(done.returncode, 0, done.stderr)
        page = file.read_text()
        for text in ('<em class="tag bad"><i aria-hidden="true">×</i> failed</em>', "the log: no logs for you", "log-based metrics: no metrics for you"):
            self.assertIn(text, page)
        self.assertNotIn("simulated failure", page)

    def test_a_job_is_overdue_when_it_had_the_time_to_run(self):
        state = self.google.deployed()
        for name in ("stale-cleanup", "bootstrap"):
            deployed_job(state, f"cloudact-{name}")["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00.000000Z"
        self.google.put(state)
        listed = json.loads(self.google.script("list-jobs.sh", "test", "--json").stdout)
        self.assertEqual([j["job"] for j in listed["jobs"] if j["overdue"]], ["stale-cleanup"])

    def test_who_may_not_read_policies_sees_the_rest(self):
        self.changed()
        self.google.faults({"path": ":getIamPolicy$", "status": 403, "message": "no policies for you", "times": 99})
        done = self.google.script("list-jobs.sh", "test")
        self.google.faults()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Access was not compared: no policies for you", done.stdout)
        self.assertIn("memory: 2Gi -> 512Mi", done.stdout)
        self.assertIn("trigger cloudact-gone-trigger", done.stdout)

    def test_shows_what_is_not_deployed(self):
        self.google.put(self.google.prepared())
        done = self.google.script("list-jobs.sh", "test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("not deployed"), len(JOBS))


if __name__ == "__main__":
    unittest.main()
