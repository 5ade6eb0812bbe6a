"""create-all-jobs.sh where the project is no longer what jobs.yaml says."""
import copy
import unittest

from fake_project import JOBS, PROJECT, REGION, container, deployed_job, fake, mutating, needs_gcloud, trigger

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
    deployed_job(state, "cloudact-bootstrap-sync")["spec"]["template"]["spec"]["template"]["spec"]["timeoutSeconds"] = "60"
    trigger(state, "cloudact-stale-cleanup-trigger")["state"] = "PAUSED"
    del state["policies"][JOB_POLICY + "billing-sync-retry"]
    project = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]
    schema = next(b for b in project["bindings"] if b["role"].endswith("/cloudact_organization_schema"))
    schema["members"].remove("serviceAccount:" + ACCOUNT.format("org-sync-all"))
    secret = state["policies"][f"secretmanager:projects/{PROJECT}/secrets/stripe-secret-key-test"]
    secret["bindings"][0]["members"].remove("serviceAccount:" + ACCOUNT.format("billing-sync-reconcile"))
    dataset = state["datasets"][f"projects/{PROJECT}/datasets/organizations"]
    dataset["access"] = [e for e in dataset["access"] if e.get("userByEmail") != ACCOUNT.format("bootstrap-sync")]
    alert = next(a for a in state["alert_policies"].values() if a["userLabels"]["alert"] == "job-failed")
    alert["enabled"] = False
    del state["log_metrics"][f"projects/{PROJECT}/metrics/scheduler_jobs_test_duration"]
    metric = state["log_metrics"][f"projects/{PROJECT}/metrics/scheduler_jobs_test_runs"]
    metric["filter"], metric["disabled"] = "severity>=ERROR", True
    board = next(iter(state["dashboards"].values()))
    board["gridLayout"]["widgets"][3]["xyChart"]["dataSets"][0]["plotType"] = "STACKED_AREA"
    board["labels"]["team"] = "data"
    role = state["roles"][f"projects/{PROJECT}/roles/cloudact_organization_schema"]
    role["includedPermissions"].append("bigquery.tables.delete")
    state["service_accounts"][ACCOUNT.format("bootstrap")]["description"] = "another"
    del state["scheduler_jobs"][f"projects/{PROJECT}/locations/{REGION}/jobs/cloudact-billing-sync-reconcile-trigger"]
    changed = {"bootstrap", "bootstrap-sync", "org-sync-all", "stale-cleanup", "quota-cleanup",
               "billing-sync-retry", "billing-sync-reconcile"}
    unchanged = [job["name"] for job in JOBS if job["job"] not in changed]
    return [
        "schedule: 0 3 * * * -> 0 1 * * *",
        "image: us-docker.pkg.dev/other/repo/bootstrap:9 -> us-central1-docker.pkg.dev/cloudact-testing-1/scheduler-jobs/bootstrap:",
        "memory: 512Mi -> 1Gi", "env DAYS_TO_KEEP: 7 -> 90", "env EXTRA: 1 -> none", "timeout: 60 -> 1800",
        "state: PAUSED -> ENABLED", "+ run.invoker for ca-test-trigger", "+ cloudact_organization_schema for ca-test-org-sync-all",
        "+ secretmanager.secretAccessor for ca-test-billing-sync-reconcile", "+ cloudact_table_updater for ca-test-bootstrap-sync",
        "~ update alert job-failed", "enabled: no -> yes", "+ create log-based metric scheduler_jobs_test_duration",
        "~ update log-based metric scheduler_jobs_test_runs", "filter: severity>=ERROR -> resource.type", "disabled: yes -> none",
        "chart Duration of a run, plotType: STACKED_AREA -> LINE", "label team: data -> none", "- bigquery.tables.delete", "description: another -> Creates the datasets",
        "+ create trigger cloudact-billing-sync-reconcile-trigger", f"= unchanged: {', '.join(unchanged)}\n",
    ]


# Resources of others that begin with our letters, or have a role on our jobs.
FOREIGN = ("job cloudact-shop", "trigger cloudact-shop-trigger", "account ca-test-shop", "custom role cloudact_shop",
           "job cloudact-bootstrap: run.invoker for allUsers")


def left_over(state):
    """Things of a job that is gone, access that nothing asks for any more, and things of others. The account of the former."""
    region, key = f"projects/{PROJECT}/locations/{REGION}", f"{PROJECT}/{REGION}/"
    bootstrap = deployed_job(state, "cloudact-bootstrap")
    for name, labels in (("cloudact-old", {}), ("cloudact-stage-bootstrap", {"environment": "stage"}),
                         ("another-team", {"managed-by": "them"}), ("cloudact-shop", {"managed-by": "them"})):
        labels = {**bootstrap["metadata"]["labels"], **labels}
        state["run_jobs"][key + name] = {**bootstrap, "metadata": {**bootstrap["metadata"], "name": name, "labels": labels}}
    ours = trigger(state, "cloudact-stale-cleanup-trigger")
    theirs = {**ours, "httpTarget": {"uri": "https://shop.example.com/", "httpMethod": "POST"}}
    for name, resource in (("cloudact-old-trigger", ours), ("cloudact-shop-trigger", theirs)):
        state["scheduler_jobs"][f"{region}/jobs/{name}"] = {**resource, "name": f"{region}/jobs/{name}"}
    account = state["service_accounts"][ACCOUNT.format("bootstrap")]
    for name, title in (("old", "cloudact-old (test)"), ("shop", "The shop")):
        email = ACCOUNT.format(name)
        state["service_accounts"][email] = {**account, "email": email, "displayName": title}
    metrics = f"projects/{PROJECT}/metrics/"
    metric = state["log_metrics"][metrics + "scheduler_jobs_test_runs"]
    for name, text in (("scheduler_jobs_test_old", metric["description"]), ("scheduler_jobs_shop", "The shop's")):
        state["log_metrics"][metrics + name] = {**metric, "name": name, "description": text}
    board = next(iter(state["dashboards"].values()))
    for name, labels in (("zzz", board["labels"]), ("shop", {})):
        key = f"projects/{PROJECT}/dashboards/{name}"
        state["dashboards"][key] = {**board, "name": key, "displayName": f"Board {name}", "labels": labels}
    roles = f"projects/{PROJECT}/roles/"
    role = state["roles"][roles + "cloudact_organization_schema"]
    state["roles"][roles + "cloudact_reader"] = {**role, "name": roles + "cloudact_reader"}
    state["roles"][roles + "cloudact_shop"] = {**role, "name": roles + "cloudact_shop", "description": "The shop's"}
    ours, invoker = "serviceAccount:" + ACCOUNT.format("bootstrap"), "serviceAccount:" + ACCOUNT.format("trigger")
    project = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]
    project["bindings"].append({"role": "roles/editor", "members": [
        ours, "user:someone@example.com"]})
    state["policies"][JOB_POLICY + "bootstrap"] = {"etag": "AAAA", "bindings": [
        {"role": "roles/run.invoker", "members": [invoker, "allUsers"]}]}
    secret = f"projects/{PROJECT}/secrets/"
    state["secrets"][secret + "old-key-test"] = {**state["secrets"][secret + "stripe-secret-key-test"], "name": secret + "old-key-test"}
    state["policies"]["secretmanager:" + secret + "old-key-test"] = {"etag": "AAAA", "bindings": [
        {"role": "roles/secretmanager.secretAccessor", "members": [ours]}]}
    data = state["datasets"][f"projects/{PROJECT}/datasets/organizations"]
    state["datasets"][f"projects/{PROJECT}/datasets/old_data"] = {
        **data, "datasetReference": {"projectId": PROJECT, "datasetId": "old_data"}, "id": f"{PROJECT}:old_data",
        "access": [{"role": "WRITER", "userByEmail": ACCOUNT.format("bootstrap")}]}
    # A customer's, whose slug cannot be a label.
    customer = copy.deepcopy(state["datasets"][f"projects/{PROJECT}/datasets/old_data"])
    customer["datasetReference"]["datasetId"] = "Acme_test"
    state["datasets"][f"projects/{PROJECT}/datasets/Acme_test"] = {
        **customer, "id": f"{PROJECT}:Acme_test", "labels": {**data["labels"], "org_slug": ""}}
    return ACCOUNT.format("old")


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
        email = left_over(state)
        self.google.put(state)
        shown = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual((shown.returncode, mutating(shown.requests)), (0, []))
        ours, _, foreign = shown.stdout.partition("not ours; left alone")
        for text in ("job cloudact-old\n", "trigger cloudact-old-trigger", "account ca-test-old", "- editor for ca-test-bootstrap",
                     "secret access old-key-test (- secretmanager.secretAccessor for ca-test-bootstrap)",
                     "job access cloudact-bootstrap (- run.invoker for ca-test-trigger)", "custom role cloudact_reader", "log-based metric scheduler_jobs_test_old", "dashboard Board zzz",
                     "dataset access old_data (- bigquery.dataEditor for ca-test-bootstrap)"):
            with self.subTest(text):
                self.assertIn(text, ours)
        self.assertNotIn("Acme_test", shown.stdout)
        for text in FOREIGN:
            with self.subTest(text):
                self.assertIn(text + "\n", foreign)
        refused = self.google.script("create-all-jobs.sh", "test", "--prune")
        self.assertEqual((refused.returncode, mutating(refused.requests)), (3, []))
        done = self.google.script("create-all-jobs.sh", "test", "--prune", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        state = self.google.state()
        self.assertNotIn(f"{PROJECT}/{REGION}/cloudact-old", state["run_jobs"])
        for name in ("cloudact-stage-bootstrap", "another-team", "cloudact-shop"):
            self.assertIn(f"{PROJECT}/{REGION}/{name}", state["run_jobs"])
        self.assertIn(f"projects/{PROJECT}/locations/{REGION}/jobs/cloudact-shop-trigger", state["scheduler_jobs"])
        self.assertEqual([e for e in (email, ACCOUNT.format("shop")) if e in state["service_accounts"]], [ACCOUNT.format("shop")])
        self.assertIn(f"projects/{PROJECT}/metrics/scheduler_jobs_shop", state["log_metrics"])
        self.assertIn(f"projects/{PROJECT}/dashboards/shop", state["dashboards"])
        bindings = state["policies"][f"cloudresourcemanager:projects/{PROJECT}"]["bindings"]
        self.assertIn({"role": "roles/editor", "members": ["user:someone@example.com"]}, bindings)
        again = self.google.script("create-all-jobs.sh", "test", "--dry-run")
        self.assertNotIn("--prune removes", again.stdout)
        self.assertIn("Nothing to do.", again.stdout)


if __name__ == "__main__":
    unittest.main()
