"""What each job's account uses, and what it may do: the emulator as a service that enforces the grants of a deployment.

A job is known by its base URL, since an emulator gets no credentials: with BIGQUERY_EMULATOR_HOST=http://127.0.0.1:PORT/as/quota-cleanup
the caller is the account of quota-cleanup. Requests without /as/JOB are the test's own and are neither noted nor refused.

    GET /_uses?project=ID       {"quota-cleanup": [{"on": "project", "does": "runs statements", "permissions": [...]}, ...]}, so far
    PUT /_grants?project=ID     an iam.json of deploy/generated: from now on its bindings hold, and every other use is refused with 403

Permissions of the methods of the REST API: the "Required permissions" of the guides under
https://docs.cloud.google.com/bigquery/docs (datasets, tables, managing-table-schemas). Whoever starts a job may follow and cancel it.
"""
import gzip
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "Analyzer"))
from access import CHANGES_TABLES, CREATES_TABLES, StatementAccess, Unknown, Use, needs   # noqa: E402

# The datasets that the deployment knows. Every other one is an organization's, and whatever concerns those is given on the project.
OWN = ("organizations", "scheduler_jobs")

# https://docs.cloud.google.com/iam/docs/roles-permissions/bigquery, as far as the service's own roles need predefined ones.
PREDEFINED = {
    "roles/bigquery.jobUser": needs("config.get", "jobs.create"),
    "roles/bigquery.metadataViewer": needs("datasets.get", "datasets.getIamPolicy", "tables.get", "tables.getIamPolicy", "tables.list",
                                           "models.getMetadata", "models.list", "routines.get", "routines.list"),
}


def uses_of_request(method, path, body, statements):
    """What a request uses. A dataset stands for its tables' definitions, `dataset.table` for rows."""
    segments = path.strip("/").split("/")[4:]
    match method, segments:
        case "POST", ["queries"]:
            return statements.uses(body["query"])
        case "POST", ["jobs"]:
            return statements.uses(body["configuration"]["query"]["query"])
        case ("GET", ["queries" | "jobs", _]) | ("POST", ["jobs", _, "cancel"]):
            return []
        case "GET", ["datasets"]:
            return [Use("project", "lists datasets", needs("datasets.get"))]
        case "POST", ["datasets"]:
            return [Use("project", "creates datasets", needs("datasets.create"))]
        case "GET", ["datasets", dataset]:
            return [Use(dataset, "reads definitions", needs("datasets.get"))]
        case "GET", ["datasets", dataset, "tables"]:
            return [Use(dataset, "reads definitions", needs("tables.list"))]
        case "GET", ["datasets", dataset, "tables", _]:
            return [Use(dataset, "reads definitions", needs("tables.get"))]
        case "POST", ["datasets", dataset, "tables"]:
            return [Use(dataset, *CREATES_TABLES)]
        case "PATCH", ["datasets", dataset, "tables", _]:
            return [Use(dataset, *CHANGES_TABLES)]
    raise Unknown(f"Tests/Emulator/overlay/access.py does not know the permissions for {method} {path}")


def scope(on):
    """Where access to this is given."""
    return on if on.split(".")[0] in OWN else "project"


class Grants:
    """The permissions of each account, from an iam.json."""

    def __init__(self, iam):
        self._accounts = {a["resource"]["displayName"]: a["email"] for a in iam["accounts"]}
        custom = {role["id"]: tuple(role["resource"]["includedPermissions"]) for role in iam["custom_roles"]}
        self._held = defaultdict(set)
        places = [("project", iam["project"])] + [(p["name"], p["bindings"]) for p in iam["datasets"] + iam["tables"]]
        for on, bindings in places:
            for binding in bindings:
                role = binding["role"]
                permissions = custom[role.split("/")[-1]] if role.startswith("projects/") else PREDEFINED[role]
                for member in binding["members"]:
                    self._held[member, on] |= set(permissions)

    def missing(self, job, use):
        """A permission that the account of the job lacks for a use. What is given on the project or a dataset holds for all in it."""
        email = next(e for name, e in self._accounts.items() if name.split(" ")[0].endswith("-" + job))
        on = scope(use.on)
        held = set().union(*(self._held["serviceAccount:" + email, place] for place in {"project", on.split(".")[0], on}))
        return next((p for p in use.permissions if p not in held), None)


class Access:
    def __init__(self):
        self._statements, self._grants = None, {}
        self._uses = defaultdict(lambda: defaultdict(dict))

    def enforce(self, project, iam):
        self._grants[project] = Grants(iam)

    def uses(self, project):
        """The uses by job, those of one place together, in the order of their names."""
        return {job: sorted(({"on": on, "does": ", ".join(sorted(does)), "permissions": sorted(set().union(*does.values()))}
                             for on, does in places.items()), key=lambda use: (use["on"] != "project", use["on"]))
                for job, places in sorted(self._uses[project].items())}

    def refusal(self, job, method, path, body):
        """Notes what a request of a job uses. The answer if its account may not do that, otherwise None."""
        self._statements = self._statements or StatementAccess()
        project = path.split("/")[4]
        text = {}
        try:
            text = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body) if body else {}
            uses = uses_of_request(method, path, text, self._statements)
        except Exception as error:      # a job would try again after any other answer
            return denied(f"{type(error).__name__}: {error}")
        for use in uses:
            on = scope(use.on)
            self._uses[project][job].setdefault(on, {}).setdefault(use.does, set()).update(use.permissions)
            missing = self._grants[project].missing(job, use) if project in self._grants else None
            if missing:
                return denied(words(project, use, missing, text.get("query", "")))
        return None


def words(project, use, permission, sql):
    """The refusal as BigQuery words it."""
    view = re.search(r"(region-[\w-]+)`?\.(INFORMATION_SCHEMA\.\w+)", sql)
    if use.does == "reads the catalog" and view:
        name = f"{project}:{view[1]}.{view[2]}"
        return f"Access Denied: Table {name}: User does not have permission to query table {name}, or perhaps it does not exist."
    if use.on == "project":
        return f"Access Denied: Project {project}: User does not have {permission} permission in project {project}."
    name, kind = f"{project}:{use.on}", "Table" if "." in use.on else "Dataset"
    if permission == "bigquery.tables.getData":
        return f"Access Denied: Table {name}: User does not have permission to query table {name}, or perhaps it does not exist."
    return f"Access Denied: {kind} {name}: Permission {permission} denied on {kind.lower()} {name} (or it may not exist)."


def denied(message):
    return {"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED",
                      "errors": [{"message": message, "domain": "global", "reason": "accessDenied"}]}}
