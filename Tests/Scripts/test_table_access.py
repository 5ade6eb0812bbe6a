"""The jobs' access to tables: bound once bootstrap has created them, and taken back with --prune."""
import json
import unittest

from fake_project import PROJECT, ROOT, fake, members, mutating, needs_gcloud

IAM = json.loads((ROOT / "deploy/generated/test/iam.json").read_text())
GRANTS = sum(len(b["members"]) for t in IAM["tables"] for b in t["bindings"])
ACCOUNT = "serviceAccount:ca-test-{}@" + PROJECT + ".iam.gserviceaccount.com"
ROLE = f"projects/{PROJECT}/roles/cloudact_"


def with_tables(state, *more):
    """The state after bootstrap: the tables of iam.json and others."""
    for name in [t["name"] for t in IAM["tables"]] + list(more):
        dataset, table = name.split(".")
        reference = {"projectId": PROJECT, "datasetId": dataset, "tableId": table}
        state["tables"][f"projects/{PROJECT}/datasets/{dataset}/tables/{table}"] = {
            "kind": "bigquery#table", "id": f"{PROJECT}:{dataset}.{table}", "type": "TABLE", "tableReference": reference}
    return state


def policy_of(state, name):
    dataset, table = name.split(".")
    return state["policies"].get(f"bigquery:projects/{PROJECT}/datasets/{dataset}/tables/{table}", {})


@needs_gcloud
class TableAccessTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()
        state = with_tables(cls.google.deployed(), "organizations.org_api_keys")
        cls.google.put(state)
        cls.bound = cls.google.script("create-all-jobs.sh", "test", "--yes")
        cls.state = cls.google.state()

    def test_before_bootstrap_the_grants_wait_and_the_way_on_is_named(self):
        self.google.put(self.google.deployed())
        again = self.google.script("create-all-jobs.sh", "test", "--yes")
        listed = self.google.script("list-jobs.sh", "test")
        line = (f"{GRANTS} grants wait for tables that bootstrap creates; run scripts/run-job.sh test bootstrap, "
                "then scripts/create-all-jobs.sh test again")
        for done in (self.google.first_run, again, listed):
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(line, done.stdout)
        self.assertEqual(mutating(again.requests), [])

    def test_once_the_tables_exist_each_gets_its_bindings_and_a_second_run_changes_nothing(self):
        self.assertEqual(self.bound.returncode, 0, self.bound.stdout + self.bound.stderr)
        self.assertEqual(len(mutating(self.bound.requests)), len(IAM["tables"]))
        self.assertNotIn("wait", self.bound.stdout)
        for table in IAM["tables"]:
            have = {(b["role"], m) for b in policy_of(self.state, table["name"])["bindings"] for m in b["members"]}
            self.assertEqual(have, {(b["role"], m) for b in table["bindings"] for m in b["members"]}, table["name"])
        self.assertEqual(policy_of(self.state, "organizations.org_api_keys"), {})
        self.google.put(self.state)
        again = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual((again.returncode, mutating(again.requests)), (0, []))
        self.assertIn("Nothing to do.", again.stdout)

    def test_quota_cleanup_reaches_the_tables_that_it_cleans_and_no_other(self):
        mine = {(t["name"], b["role"]) for t in IAM["tables"] for b in t["bindings"] if ACCOUNT.format("quota-cleanup") in b["members"]}
        writer = ROLE + "row_writer"
        self.assertEqual(mine, {("organizations.org_usage_quotas", writer), ("scheduler_jobs.billing_sync_queue", writer),
                                ("scheduler_jobs.job_leases", writer), ("scheduler_jobs.job_runs", writer)})
        self.assertFalse(any(ACCOUNT.format("quota-cleanup") in b["members"] for d in IAM["datasets"] for b in d["bindings"]))

    def test_wider_roles_of_earlier_versions_are_shown_and_taken_back_with_prune(self):
        state = json.loads(json.dumps(self.state))
        access = state["datasets"][f"projects/{PROJECT}/datasets/organizations"]["access"]
        access.append({"role": "WRITER", "userByEmail": ACCOUNT.format("stale-cleanup").removeprefix("serviceAccount:")})
        state["policies"][f"bigquery:projects/{PROJECT}/datasets/organizations/tables/org_api_keys"] = {"etag": "ACAB", "bindings": [
            {"role": "roles/bigquery.dataViewer", "members": [ACCOUNT.format("bootstrap"), "user:someone@example.com"]}]}
        self.google.put(state)
        listed = self.google.script("list-jobs.sh", "test")
        kept = self.google.script("create-all-jobs.sh", "test", "--yes")
        left = self.google.state()
        pruned = self.google.script("create-all-jobs.sh", "test", "--yes", "--prune")
        after = self.google.state()
        for text in (listed.stdout, kept.stdout):
            self.assertIn("dataset access organizations (- bigquery.dataEditor for ca-test-stale-cleanup)", text)
            self.assertIn("table access organizations.org_api_keys (- bigquery.dataViewer for ca-test-bootstrap)", text)
        self.assertEqual(mutating(kept.requests), [])
        self.assertIn("WRITER", json.dumps(left["datasets"]))
        self.assertEqual(pruned.returncode, 0, pruned.stdout + pruned.stderr)
        self.assertNotIn("WRITER", json.dumps(after["datasets"]))
        self.assertEqual(members(policy_of(after, "organizations.org_api_keys"), "roles/bigquery.dataViewer"), {"user:someone@example.com"})

    def test_a_binding_of_somebody_else_stays_and_a_change_in_between_is_not_lost(self):
        name = "scheduler_jobs.job_runs"
        state = with_tables(self.google.deployed())
        key = f"bigquery:projects/{PROJECT}/datasets/scheduler_jobs/tables/job_runs"
        state["policies"][key] = {"etag": "ACAB", "bindings": [{"role": "roles/bigquery.dataViewer", "members": ["user:someone@example.com"]}]}
        self.google.put(state)
        self.google.faults({"method": "POST", "path": "job_runs:setIamPolicy$", "status": 412, "message": "Precondition Failed"})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.google.faults()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        policy = policy_of(self.google.state(), name)
        self.assertEqual(members(policy, "roles/bigquery.dataViewer"), {"user:someone@example.com"})
        self.assertIn(ACCOUNT.format("stale-cleanup"), members(policy, ROLE + "row_writer"))

    def test_one_job_alone_gets_its_own_bindings_only(self):
        self.google.put(with_tables(self.google.deployed()))
        done = self.google.script("create-all-jobs.sh", "test", "--yes", "--only", "org-sync-all")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        bound = {m for t in IAM["tables"] for b in policy_of(self.google.state(), t["name"]).get("bindings", []) for m in b["members"]}
        self.assertEqual(bound, {ACCOUNT.format("org-sync-all")})


if __name__ == "__main__":
    unittest.main()
