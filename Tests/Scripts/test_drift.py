"""create-all-jobs.sh where the project is no longer what jobs.yaml says."""
import unittest

from fake_project import PROJECT, REGION, container, fake, job, mutating, needs_gcloud, trigger

ACCOUNT = "ca-test-{}@" + PROJECT + ".iam.gserviceaccount.com"
JOB_POLICY = f"run:projects/{PROJECT}/locations/{REGION}/jobs/cloudact-"


def drift(state):
    """One difference of each kind, and what the script must say about it."""
    trigger(state, "cloudact-quota-cleanup-trigger")["schedule"] = "0 3 * * *"
    container(state, "cloudact-bootstrap")["image"] = "us-docker.pkg.dev/other/repo/bootstrap:9"
    container(state, "cloudact-org-sync-all")["resources"]["limits"]["memory"] = "512Mi"
    variables = container(state, "cloudact-quota-cleanup")["env"]
    next(v for v in variables if v["name"] == "DAYS_TO_KEEP")["value"] = "7"
    variables.append({"name": "EXTRA", "value": "1"})
    job(state, "cloudact-bootstrap-sync")["spec"]["template"]["spec"]["template"]["spec"]["timeoutSeconds"] = "60"
    trigger(state, "cloudact-stale-cleanup-trigger")["state"] = "PAUSED"
    del state["policies"][JOB_POLICY + "billing-sync-retry"]
    project = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]
    viewers = next(b for b in project["bindings"] if b["role"] == "roles/bigquery.metadataViewer")
    viewers["members"].remove("serviceAccount:" + ACCOUNT.format("org-sync-all"))
    secret = state["policies"][f"secretmanager:projects/{PROJECT}/secrets/stripe-secret-key-test"]
    secret["bindings"][0]["members"].remove("serviceAccount:" + ACCOUNT.format("billing-sync-reconcile"))
    dataset = state["datasets"][f"projects/{PROJECT}/datasets/organizations"]
    dataset["access"] = [e for e in dataset["access"] if e.get("userByEmail") != ACCOUNT.format("quota-reset-daily")]
    alert = next(a for a in state["alert_policies"].values() if a["userLabels"]["alert"] == "job-failed")
    alert["enabled"] = False
    role = state["roles"][f"projects/{PROJECT}/roles/cloudact_organization_schema"]
    role["includedPermissions"].append("bigquery.tables.delete")
    state["service_accounts"][ACCOUNT.format("bootstrap")]["displayName"] = "renamed"
    del state["scheduler_jobs"][f"projects/{PROJECT}/locations/{REGION}/jobs/cloudact-billing-sync-reconcile-trigger"]
    return [
        "schedule: 0 3 * * * -> 0 1 * * *",
        "image: us-docker.pkg.dev/other/repo/bootstrap:9 -> us-central1-docker.pkg.dev/cloudact-testing-1/scheduler-jobs/bootstrap:",
        "memory: 512Mi -> 1Gi", "env DAYS_TO_KEEP: 7 -> 90", "env EXTRA: 1 -> none", "timeout: 60 -> 1800",
        "state: PAUSED -> ENABLED", "+ run.invoker for ca-test-trigger", "+ bigquery.metadataViewer for ca-test-org-sync-all",
        "+ secretmanager.secretAccessor for ca-test-billing-sync-reconcile", "+ bigquery.dataEditor for ca-test-quota-reset-daily",
        "~ update alert job-failed", "- bigquery.tables.delete", "display name: renamed -> cloudact-bootstrap (test)",
        "+ create trigger cloudact-billing-sync-reconcile-trigger", "= unchanged: cloudact-quota-reset-monthly\n",
    ]


@needs_gcloud
class DriftTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def test_every_kind_of_drift_is_reported_and_mended(self):
        state = self.google.deployed()
        expected = drift(state)
        self.google.put(state)
        shown = self.google.script("create-all-jobs.sh", "test", "--dry-run")
        self.assertEqual((shown.returncode, mutating(shown.requests)), (0, []))
        for text in expected:
            with self.subTest(text):
                self.assertIn(text, shown.stdout)
        mended = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(mended.returncode, 0, mended.stdout)
        again = self.google.script("create-all-jobs.sh", "test", "--dry-run")
        self.assertIn("Nothing to do.", again.stdout)

    def test_what_is_not_in_jobs_yaml_goes_with_prune_only(self):
        state = self.google.deployed()
        old, region = f"{PROJECT}/{REGION}/cloudact-old", f"projects/{PROJECT}/locations/{REGION}"
        for name in ("cloudact-old", "cloudact-stage-bootstrap", "another-team"):
            copy = dict(job(state, "cloudact-bootstrap"), metadata={**job(state, "cloudact-bootstrap")["metadata"], "name": name})
            state["run_jobs"][f"{PROJECT}/{REGION}/{name}"] = copy
        state["scheduler_jobs"][f"{region}/jobs/cloudact-old-trigger"] = {
            **trigger(state, "cloudact-stale-cleanup-trigger"), "name": f"{region}/jobs/cloudact-old-trigger"}
        project = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]
        project["bindings"].append({"role": "roles/editor", "members": [
            "serviceAccount:" + ACCOUNT.format("bootstrap"), "user:someone@example.com"]})
        email = ACCOUNT.format("old")
        state["service_accounts"][email] = {**state["service_accounts"][ACCOUNT.format("bootstrap")], "email": email}
        self.google.put(state)
        shown = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual((shown.returncode, mutating(shown.requests)), (0, []))
        for text in ("job cloudact-old\n", "trigger cloudact-old-trigger", "account ca-test-old", "- editor for ca-test-bootstrap"):
            self.assertIn(text, shown.stdout)
        refused = self.google.script("create-all-jobs.sh", "test", "--prune")
        self.assertEqual((refused.returncode, mutating(refused.requests)), (3, []))
        done = self.google.script("create-all-jobs.sh", "test", "--prune", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        state = self.google.state()
        self.assertNotIn(old, state["run_jobs"])
        self.assertIn(f"{PROJECT}/{REGION}/cloudact-stage-bootstrap", state["run_jobs"])
        self.assertIn(f"{PROJECT}/{REGION}/another-team", state["run_jobs"])
        self.assertNotIn(email, state["service_accounts"])
        bindings = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]["bindings"]
        self.assertIn({"role": "roles/editor", "members": ["user:someone@example.com"]}, bindings)


if __name__ == "__main__":
    unittest.main()
