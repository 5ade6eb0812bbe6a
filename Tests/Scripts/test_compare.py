"""compare-with-original.sh with the built jobs on a warehouse as the Python jobs left it."""
import functools
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest

from fake_project import ROOT
from original_warehouse import NOW, OriginalWarehouse
from deployment import compare_with_original

COLUMNS = {"QUOTA_DAILY_COLUMN": "pipelines_run_today", "QUOTA_MONTHLY_COLUMN": "pipelines_run_month"}


@functools.cache
def binaries():
    done = subprocess.run(["swift", "build", "--show-bin-path"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class EmptyStripe(http.server.BaseHTTPRequestHandler):
    """A Stripe account without anything in it."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        body = json.dumps({"object": "list", "data": [], "has_more": False, "url": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class CompareTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyStripe)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        cls.stripe = {"STRIPE_SECRET_KEY": "rk_test_nobody", "STRIPE_API_BASE": f"http://127.0.0.1:{server.server_port}"}

    def setUp(self):
        self.warehouse = OriginalWarehouse(self.id().rsplit(".", 1)[1].replace("_", "-")[:30].strip("-"))

    def compare(self, *arguments, **variables):
        environment = {**os.environ, **self.warehouse.environment(), **COLUMNS, **self.stripe, "NO_COLOR": "1", **variables}
        return subprocess.run([ROOT / "scripts/compare-with-original.sh", "test", "--bin", binaries(), "--now", NOW, *arguments],
                              env={k: v for k, v in environment.items() if v is not None}, capture_output=True, text=True, check=False)

    def verdicts(self, *arguments, **variables):
        page = json.loads(self.compare("--json", *arguments, **variables).stdout)
        self.jobs = {job["job"]: job for job in page["jobs"]}
        return {name: job["verdict"] for name, job in self.jobs.items()}

    def contents(self):
        """Every row of the tables that the jobs write, and the tables there are."""
        tables = ("org_profiles", "org_subscriptions", "org_usage_quotas", "org_meta_pipeline_runs", "org_audit_logs")
        rows = {t: sorted(map(str, self.warehouse.query(f"SELECT * FROM organizations.{t}"))) for t in tables}
        listed = self.warehouse.call("GET", f"/projects/{self.warehouse.project}/datasets")
        return rows, sorted(d["datasetReference"]["datasetId"] for d in listed["datasets"])

    def test_what_the_python_jobs_leave_is_known_and_nothing_is_written(self):
        before = self.contents()
        done = self.compare()
        self.assertEqual(self.contents(), before)
        self.assertEqual(done.returncode, 0, done.stdout)
        known = done.stdout.partition("Different for a known reason:")[2]
        for text in ("  org-sync-all\n", " x partitioning is none, the catalog says ... (", " x clustering is none, the catalog says ... (",
                     "  bootstrap\n", "  bootstrap-sync\n", "  quota-cleanup\n", "  billing-sync-retry\n",
                     "  billing-sync-reconcile\n", "bootstrap creates it.", "bootstrap-sync adds them; then compare again."):
            self.assertIn(text, known)
        self.assertIn("  stale-cleanup\n", done.stdout.partition("\nEqual:")[2])
        self.assertLess(len(done.stdout.splitlines()), 60, "one page")

    def test_a_wrong_counter_is_a_difference_for_an_unknown_reason(self):
        self.warehouse.query("UPDATE organizations.org_usage_quotas SET concurrent_pipelines_running = 2 WHERE org_slug = 'acme_inc'")
        self.assertEqual(self.verdicts("--only", "stale-cleanup"), {"stale-cleanup": "unknown"})
        self.assertEqual(self.jobs["stale-cleanup"]["differences"], [
            {"text": "acme_inc 2026-03-10: concurrent_pipelines_running would change 2 -> 0", "reason": None}])
        done = self.compare("--only", "stale-cleanup")
        self.assertEqual(done.returncode, 1)
        self.assertIn("0 equal, 0 different for a known reason, 1 for an unknown reason, 0 not compared", done.stdout)

    def test_a_counter_that_the_python_job_never_repaired_is_known(self):
        self.warehouse.query("UPDATE organizations.org_usage_quotas SET pipelines_failed_today = 0 WHERE org_slug = 'globex_corp'")
        self.assertEqual(self.verdicts("--only", "stale-cleanup"), {"stale-cleanup": "known"})

    def test_a_missing_row_of_today_is_unknown(self):
        self.warehouse.query("DELETE FROM organizations.org_usage_quotas WHERE org_slug = 'initech_llc'")
        self.assertEqual(self.verdicts("--only", "quota-reset-daily"), {"quota-reset-daily": "unknown"})
        self.assertIn({"text": "rows_created: 1", "reason": None}, self.jobs["quota-reset-daily"]["differences"])

    def test_a_tenant_without_its_dataset_is_unknown(self):
        self.warehouse.insert("org_profiles", org_slug="umbrella_inc", status="ACTIVE", org_dataset_id="umbrella_inc_test")
        self.assertEqual(self.verdicts("--only", "org-sync-all"), {"org-sync-all": "unknown"})
        unknown = [d["text"] for d in self.jobs["org-sync-all"]["differences"] if not d["reason"]]
        self.assertTrue(unknown and all("umbrella_inc" in text for text in unknown), unknown)

    def test_a_job_that_cannot_start_is_not_compared(self):
        self.assertEqual(self.verdicts("--only", "billing-sync-reconcile", STRIPE_SECRET_KEY=None), {"billing-sync-reconcile": "not compared"})
        self.assertIn("gcloud secrets versions access latest --secret=stripe-secret-key-test", self.jobs["billing-sync-reconcile"]["problem"])
        self.assertEqual(self.verdicts("--only", "quota-cleanup", DAYS_TO_KEEP="none"), {"quota-cleanup": "not compared"})
        self.assertIn("DAYS_TO_KEEP", self.jobs["quota-cleanup"]["problem"])


class UsageTests(unittest.TestCase):
    def test_a_missing_binary_and_wrong_usage_are_told_apart(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        for arguments, code, text in ((["test", "--bin", folder], 2, "lacks BootstrapJob"), (["staging"], 64, "no environment staging"),
                                      (["test", "--only", "bootstrp"], 64, "did you mean bootstrap?")):
            with self.subTest(arguments):
                done = subprocess.run([ROOT / "scripts/compare-with-original.sh", *arguments], capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stdout), (code, ""))
                self.assertIn(text, done.stderr)

    def test_differences_of_schemas_are_known_by_their_kind(self):
        def item(kind, actual="none", tolerated=False):
            return {"kind": kind, "table": "costs", "path": "", "expected": "x", "actual": actual, "datasets": 5, "examples": ["a", "b", "c"],
                    "tolerated": tolerated}
        found = compare_with_original.schema_differences({"differences": [
            item("clustering"), item("clustering", "y"), item("type", "STRING"), item("type", "STRING", True), item("descriptions", "y")]})
        texts, reasons = zip(*found)
        self.assertEqual(texts[0], "costs: clustering is none, the catalog says x, in 5 datasets (a, b, c ...)")
        self.assertEqual([bool(reason) for reason in reasons], [True, False, False, True, True])
        summary = {"details": {"differences": [item("type", "STRING")]}, "counts": {"conflicts": 5, "organizations": 5, "notices": 1}, "warnings": [
            {"subject": "descriptions", "reason": "12 differences in 3 tables, in up to 5 datasets (a, b, c ...)"}], "failures": [
            {"subject": "costs", "reason": "type is STRING, the catalog says x, in 5 datasets (a, b, c ...); they were left as they are"},
            {"subject": "d", "reason": "the dataset is in EU"}]}
        self.assertEqual(compare_with_original.differences(summary, []), [
            ("costs: type is STRING, the catalog says x, in 5 datasets (a, b, c ...)", None), ("d: the dataset is in EU", None)])

    def test_texts_of_one_kind_are_one_line(self):
        texts = [f"t{n}: clustering is none, the catalog says column{n}" for n in range(5)] + ["rows_created: 2"]
        self.assertEqual(list(compare_with_original.brief(texts)), [
            "5 x clustering is none, the catalog says ... (t0, t1, t2 and 2 more)", "rows_created: 2"])


if __name__ == "__main__":
    unittest.main()
