"""The project as it is."""
from concurrent.futures import ThreadPoolExecutor

from . import images, ownership
from .alerts import UnknownChannel, named_channels
from .google import GoogleError, run_items

CONDITIONAL = {"options": {"requestedPolicyVersion": 3}}


class Live:
    """The state of the project as far as it concerns this deployment, read all at once.

    `jobs` and `triggers` are those of the environment's region; `jobs_elsewhere` and `triggers_elsewhere` are pairs of a region
    and a resource. `not_searched` says which regions could not be searched. With `tolerant`, an account that may not read
    policies gets the rest; `access_refusal` then has the reason.
    """

    def __init__(self, google, desired, tolerant=False):
        self.google, self.desired, self.access_refusal = google, desired, ""
        self.accounts, self.roles, self.project_grants, self.missing_secrets = {}, {}, set(), []
        self.datasets, self.table_grants, self.secret_grants, self.job_grants = {}, {}, {}, {}
        self.secret_names = set()
        self.jobs_elsewhere, self.triggers_elsewhere, self.not_searched = [], [], []
        self.scheduler_locations = []
        with ThreadPoolExecutor(16) as pool:
            self._read_deployed(pool, tolerant)
            try:
                self._read_access(pool)
            except GoogleError as error:
                if error.status != 403 or not tolerant:
                    raise
                self.access_refusal = str(error)

    def _read_deployed(self, pool, tolerant):
        google, project, region = self.google, self.desired.project, self.desired.region
        elsewhere = None if self.desired.only else pool.submit(self._read_elsewhere)
        jobs = pool.submit(run_items, google, f"apis/run.googleapis.com/v1/namespaces/{project}/jobs", region)
        triggers = pool.submit(google.pages, "cloudscheduler", f"v1/projects/{project}/locations/{region}/jobs", "jobs", pageSize=500)
        listed = pool.submit(images.listed, google, self.desired)
        alerts = pool.submit(google.pages, "monitoring", f"v3/projects/{project}/alertPolicies", "alertPolicies")
        channels = pool.submit(google.pages, "monitoring", f"v3/projects/{project}/notificationChannels",
                               "notificationChannels") if self.desired.channels or self.desired.alert_channels else None
        metrics = pool.submit(self._metrics, tolerant) if self.desired.metrics else None
        boards = pool.submit(google.pages, "monitoring", f"v1/projects/{project}/dashboards", "dashboards") if self.desired.dashboard else None
        self.jobs = {j["metadata"]["name"]: j for j in jobs.result()}
        self.images = listed.result()
        self.triggers = {t["name"].split("/")[-1]: t for t in triggers.result()}
        self.alerts = [a for a in alerts.result() if ownership.of_alert(self.desired, a)]
        all_channels = channels.result() if channels else []
        self.channels = [c for c in all_channels if ownership.of_alert(self.desired, c)]
        self.named_channels = self._named_channels(all_channels, tolerant)
        self.metrics = metrics.result() if metrics else {}
        boards = [b for b in boards.result() if ownership.of_dashboard(self.desired, b)] if boards else []
        self.dashboards = sorted(boards, key=lambda b: b["name"])
        if elsewhere:
            elsewhere.result()

    def _named_channels(self, found, tolerant):
        try:
            return named_channels(self.desired, found)
        except UnknownChannel as error:
            if not tolerant:
                raise
            self.not_searched.append(str(error))
            return []

    def _metrics(self, tolerant):
        """All log-based metrics by name. With `tolerant`, an account that may not list them gets those that are wanted."""
        try:
            return {m["name"]: m for m in self.google.pages("logging", f"v2/projects/{self.desired.project}/metrics", "metrics", pageSize=1000)}
        except GoogleError as error:
            if error.status != 403 or not tolerant:
                raise
            self.not_searched.append(f"log-based metrics: {error}")
            return self.desired.metrics

    def _read_elsewhere(self):
        """Jobs and triggers of other regions: a trigger may start a job from anywhere, and a change of region leaves both behind."""
        google, project, region = self.google, self.desired.project, self.desired.region

        def tolerantly(what, read):
            try:
                return read()
            except GoogleError as error:
                self.not_searched.append(f"{what}: {error}")
                return []

        # Without a region in its name the service lists the jobs of all regions; a label has the region of each.
        found = tolerantly("jobs of other regions", lambda: run_items(google, f"apis/run.googleapis.com/v1/namespaces/{project}/jobs"))
        regions = ((j["metadata"].get("labels", {}).get("cloud.googleapis.com/location", region), j) for j in found)
        self.jobs_elsewhere = [(where, job) for where, job in regions if where != region]
        locations = tolerantly("triggers of other regions", lambda: google.pages(
            "cloudscheduler", f"v1/projects/{project}/locations", "locations", pageSize=100))
        self.scheduler_locations = sorted(item["locationId"] for item in locations)
        others = sorted(set(self.scheduler_locations) - {region})
        with ThreadPoolExecutor(8) as pool:
            listed = pool.map(lambda where: tolerantly(f"triggers in {where}", lambda: google.pages(
                "cloudscheduler", f"v1/projects/{project}/locations/{where}/jobs", "jobs", pageSize=500)), others)
            self.triggers_elsewhere = [(where, trigger) for where, found in zip(others, listed) for trigger in found]

    def _read_access(self, pool):
        google, desired, parent = self.google, self.desired, f"v1/projects/{self.desired.project}"
        accounts = pool.submit(google.pages, "iam", f"{parent}/serviceAccounts", "accounts", pageSize=100)
        roles = pool.submit(google.pages, "iam", f"{parent}/roles", "roles", view="FULL", showDeleted="true", pageSize=300)
        policy = pool.submit(self.policy, "project", desired.project)
        left = pool.submit(self._left_datasets)
        secrets = pool.submit(self._secret_names)
        jobs = {n: pool.submit(self.policy, "job", n) for n in desired.job_grants if n in self.jobs}
        secrets = {s: pool.submit(self._secret_policy, s) for s in secrets.result()}
        datasets = {n: pool.submit(self.dataset, n) for n in [d["name"] for d in desired.datasets] + left.result()}
        names = [pool.submit(self._table_names, d["name"]) for d in desired.datasets]
        tables = {n: pool.submit(self.policy, "table", n) for found in names for n in found.result()}
        self.accounts = {a["email"]: a for a in accounts.result()}
        self.roles = {r["name"].split("/")[-1]: r for r in roles.result()}
        self.project_grants = granted(policy.result())
        self.datasets = {n: f.result() for n, f in datasets.items()}
        policies = {n: f.result() for n, f in secrets.items()}
        self.missing_secrets = sorted(n for n, policy in policies.items() if policy is None)
        self.secret_grants = {n: granted(policy or {}) for n, policy in policies.items()}
        self.job_grants = {n: granted(f.result()) for n, f in jobs.items()}
        self.table_grants = {n: granted(f.result()) for n, f in tables.items()}

    def _secret_names(self):
        """The secrets of jobs.yaml and those with names like ours: a removed job may still have access to one."""
        if self.desired.only:
            return self.desired.secrets
        found = self.google.pages("secretmanager", f"v1/projects/{self.desired.project}/secrets", "secrets", pageSize=1000)
        self.secret_names = {s["name"].split("/")[-1] for s in found}
        return sorted(set(self.desired.secrets) | {n for n in self.secret_names if n.endswith(f"-{self.desired.environment}")})

    def _secret_policy(self, name):
        """The policy of the secret, or `None` if there is no such secret."""
        try:
            return self.policy("secret", name)
        except GoogleError as error:
            if error.status != 404:
                raise
            return None

    def _left_datasets(self):
        """Datasets that were created for these jobs, not for a customer, and are no longer in jobs.yaml.

        Customers' have the label org_slug; it is empty where the slug cannot be a label.
        """
        if self.desired.only:
            return []
        mark = self.desired.ownership["dataset_labels"]["managed_by"]
        found = self.google.pages("bigquery", f"bigquery/v2/projects/{self.desired.project}/datasets", "datasets",
                                  filter=f"labels.managed_by:{mark}", maxResults=1000)
        known = {d["name"] for d in self.desired.datasets}
        ours = [d["datasetReference"]["datasetId"] for d in found
                if d.get("labels", {}).get("managed_by") == mark and "org_slug" not in d["labels"]]
        return [name for name in ours if name not in known]

    def _table_names(self, dataset):
        """The tables of a dataset of ours as `dataset.table`; none if there is no such dataset."""
        path = f"bigquery/v2/projects/{self.desired.project}/datasets/{dataset}/tables"
        try:
            found = self.google.pages("bigquery", path, "tables", maxResults=1000)
        except GoogleError as error:
            if error.status != 404:
                raise
            return []
        names = [f"{dataset}.{t['tableReference']['tableId']}" for t in found if t.get("type", "TABLE") == "TABLE"]
        return [n for n in names if n in self.desired.table_grants or not self.desired.only]

    def place(self, kind, name):
        """Where the IAM policy of the project, a table, a secret or a job is: service, path and region."""
        project, region = f"v1/projects/{self.desired.project}", self.desired.region
        dataset, _, table = name.partition(".")
        tables = f"bigquery/v2/projects/{self.desired.project}/datasets/{dataset}/tables/{table}"
        return {"project": ("cloudresourcemanager", project, None), "table": ("bigquery", tables, None), "secret": ("secretmanager", f"{project}/secrets/{name}", None),
                "job": ("run", f"{project}/locations/{region}/jobs/{name}", region)}[kind]

    def policy(self, kind, name):
        service, path, region = self.place(kind, name)
        if kind in ("project", "table"):
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
