"""What is deployed."""
from concurrent.futures import ThreadPoolExecutor

from .google import GoogleError

CONDITIONAL = {"options": {"requestedPolicyVersion": 3}}


class Live:
    """The state of the project as far as it concerns this deployment, read all at once."""

    def __init__(self, google, desired, with_access=True):
        self.google, self.desired = google, desired
        project, region = desired.project, desired.region
        parent = f"v1/projects/{project}"
        with ThreadPoolExecutor(8) as pool:
            jobs = pool.submit(google.get, "run", f"apis/run.googleapis.com/v1/namespaces/{project}/jobs", region)
            triggers = pool.submit(google.pages, "cloudscheduler", f"{parent}/locations/{region}/jobs", "jobs", pageSize=500)
            alerts = pool.submit(google.pages, "monitoring", f"v3/projects/{project}/alertPolicies", "alertPolicies")
            channels = pool.submit(google.pages, "monitoring", f"v3/projects/{project}/notificationChannels",
                                   "notificationChannels") if desired.index["alert_emails"] else None
            if with_access:
                accounts = pool.submit(google.pages, "iam", f"{parent}/serviceAccounts", "accounts", pageSize=100)
                roles = pool.submit(google.pages, "iam", f"{parent}/roles", "roles", view="FULL", showDeleted="true",
                                    pageSize=300)
                policy = pool.submit(self.policy, "project", project)
                datasets = {d["name"]: pool.submit(self.dataset, d["name"]) for d in desired.datasets}
                secrets = {s: pool.submit(self.policy, "secret", s) for s in desired.secrets}
            self.jobs = {j["metadata"]["name"]: j for j in jobs.result().get("items", [])}
            self.triggers = {t["name"].split("/")[-1]: t for t in triggers.result()}
            self.alerts = [a for a in alerts.result() if self._is_ours(a)]
            self.channels = [c for c in channels.result() if self._is_ours(c)] if channels else []
            if with_access:
                policies = {n: pool.submit(self.policy, "job", n) for n in desired.job_grants if n in self.jobs}
                self.accounts = {a["email"]: a for a in accounts.result()}
                self.roles = {r["name"].split("/")[-1]: r for r in roles.result()}
                self.project_grants = granted(policy.result())
                self.datasets = {n: f.result() for n, f in datasets.items()}
                self.secret_grants = {n: granted(f.result()) for n, f in secrets.items()}
                self.job_grants = {n: granted(f.result()) for n, f in policies.items()}

    def _is_ours(self, thing):
        labels = thing.get("userLabels", {})
        return labels.get("managed-by") == "scheduler-jobs" and labels.get("environment") == self.desired.environment

    def place(self, kind, name):
        """Where the IAM policy of the project, a secret or a job is: service, path and region."""
        project, region = f"v1/projects/{self.desired.project}", self.desired.region
        return {"project": ("cloudresourcemanager", project, None), "secret": ("secretmanager", f"{project}/secrets/{name}", None),
                "job": ("run", f"{project}/locations/{region}/jobs/{name}", region)}[kind]

    def policy(self, kind, name):
        service, path, region = self.place(kind, name)
        if kind == "project":
            return self.google.request("POST", service, f"{path}:getIamPolicy", body=CONDITIONAL, repeatable=True)
        query = {"options.requestedPolicyVersion": 3} if kind == "secret" else {}
        return self.google.get(service, f"{path}:getIamPolicy", region, **query)

    def dataset(self, name):
        """The dataset as BigQuery describes it, or `None`."""
        try:
            return self.google.get("bigquery", f"bigquery/v2/projects/{self.desired.project}/datasets/{name}")
        except GoogleError as error:
            if error.status == 404:
                return None
            raise


def granted(policy):
    """The pairs of role and member that hold without a condition."""
    return {(b["role"], m) for b in policy.get("bindings", []) if "condition" not in b for m in b["members"]}


# BigQuery writes three predefined roles in their old names.
OLD_NAMES = {"OWNER": "roles/bigquery.dataOwner", "WRITER": "roles/bigquery.dataEditor", "READER": "roles/bigquery.dataViewer"}


def dataset_grants(dataset):
    """The pairs of role and service account in a dataset's access list."""
    pairs = set()
    for entry in (dataset or {}).get("access", []):
        role, email = OLD_NAMES.get(entry.get("role"), entry.get("role")), entry.get("userByEmail", "")
        if role and email.endswith("gserviceaccount.com"):
            pairs.add((role, "serviceAccount:" + email))
        elif role and "iamMember" in entry:
            pairs.add((role, entry["iamMember"]))
    return pairs
