"""The project as deploy/generated/<environment> wants it."""
import difflib
import json
import pathlib
import re

from .command import UsageError
from .comparison import container_of

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Desired:
    """The generated files of one environment; with `only`, those parts that concern one job."""

    def __init__(self, environment, only=None, root=ROOT):
        self.folder = root / "deploy" / "generated" / environment
        if not (self.folder / "deployment.json").is_file():
            names = sorted(p.parent.name for p in (root / "deploy" / "generated").glob("*/deployment.json"))
            raise UsageError(f"there is no environment {environment}; jobs.yaml has: {', '.join(names) or 'none'}")
        index, iam = self._read("deployment.json"), self._read("iam.json")
        self.environment, self.project, self.region = index["environment"], index["project"], index["region"]
        self.iam = iam
        self.index, self.ownership, self.words = index, index["ownership"], index["words"]
        self.jobs = index["jobs"]
        self.all_secrets = index["secrets"]
        self.only = self.job(only)["job"] if only else None
        if only:
            self.jobs = [self.job(only)]
        names = {job["name"] for job in self.jobs}
        self.resources = {job["name"]: resource((self.folder / job["file"]).read_text()) for job in self.jobs}
        self.triggers = {job["trigger"]: self._read(f"triggers/{job['trigger']}.json") for job in self.jobs if job["trigger"]}
        members = {f"serviceAccount:{job['account']}" for job in self.jobs}
        self.trigger_account = next(a["email"] for a in iam["accounts"] if a["id"] == index["account_prefix"] + "trigger")
        members.add("serviceAccount:" + self.trigger_account)
        self.accounts = [a for a in iam["accounts"] if "serviceAccount:" + a["email"] in members]
        self.custom_roles = iam["custom_roles"]
        self.project_grants = grants(iam["project"], members)
        self.datasets = [{**d, "grants": grants(d["bindings"], members)} for d in iam["datasets"]]
        self.table_grants = {t["name"]: wanted for t in iam["tables"] if (wanted := grants(t["bindings"], members))}
        self.secret_grants = {s["name"]: grants(s["bindings"], members) for s in iam["secrets"]}
        # Nobody may start a job without a trigger, except people who may start any.
        self.job_grants = {name: set() for name in names} | {
            j["name"]: grants(j["bindings"], members) for j in iam["jobs"] if j["name"] in names}
        self.alerts = self._alerts()
        self.secret_versions = {}
        for reference in (v["valueFrom"]["secretKeyRef"] for r in self.resources.values() for v in container_of(r)["env"] if "valueFrom" in v):
            self.secret_versions.setdefault(reference["name"], set()).add(reference["key"])
        self.secrets = sorted(self.secret_versions)
        self.channels, self.alert_channels = index["notification_channels"], index["alert_channels"]
        # The metrics and the dashboard are those of all jobs.
        self.metrics = {} if only else {p.stem: self._read(f"metrics/{p.name}") for p in sorted(self.folder.glob("metrics/*.json"))}
        self.dashboard = None if only else self._read("dashboard.json")

    def _read(self, path):
        return json.loads((self.folder / path).read_text())

    def uses(self, job):
        """What a job does with its access, as deploy/access.json lists it for all environments."""
        file = self.folder.parents[1] / "access.json"
        found = json.loads(file.read_text()).get(job, []) if file.is_file() else []
        return [use for use in found if isinstance(use, dict)]

    def _alerts(self):
        names = [p.stem for p in sorted(self.folder.glob("alerts/*.json"))]
        if self.only:
            names = [n for n in names if n in (f"no-success-{self.only}", f"over-budget-{self.only}")]
        return {name: self._read(f"alerts/{name}.json") for name in names}

    def job(self, name):
        """The job with this short or full name."""
        for job in self.jobs:
            if name in (job["job"], job["name"]):
                return job
        known = [j["job"] for j in self.jobs]
        near = difflib.get_close_matches(name.removeprefix(self.index["prefix"]), known, n=1, cutoff=0.5)
        raise UsageError(f"jobs.yaml has no job {name}" + (f"; did you mean {near[0]}?" if near else "")
                         + f"\nIt has: {', '.join(known)}")

    def owns(self, name, prefixes="prefix"):
        """Whether a name is within this environment's prefix, and not within a longer one of another environment."""
        mine = self.index[prefixes]
        others = [p for p in self.index[f"foreign_{prefixes}es"] if p.startswith(mine)]
        return name.startswith(mine) and not any(name.startswith(p) for p in others)

    def owns_role(self, name):
        """The same for custom roles, whose ids have no dashes."""
        return self.owns(name.replace("_", "-"))


def grants(bindings, members):
    """The pairs of role and member in a list of bindings, of these members only."""
    return {(b["role"], m) for b in bindings for m in b["members"] if m in members}


def resource(text):
    """The tree of a job's file. It reads what generate-jobs writes: indented mappings and lists of words and JSON scalars."""
    lines = [(len(line) - len(line.lstrip(" ")), line.strip()) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    tree = _block(lines, 0)
    if lines:
        raise ValueError(f"this is not a file of generate-jobs: {lines[0][1]}")
    return tree


def _block(lines, margin):
    """Takes the mapping or the list that begins at this margin from the lines."""
    items = [] if lines[0][1].startswith("- ") else {}
    while lines and lines[0][0] == margin and lines[0][1].startswith("- ") == isinstance(items, list):
        if isinstance(items, list):
            text = lines[0][1][2:]
            is_mapping = re.match(r"[\w./-]+:( |$)|\".*\":( |$)", text)
            lines[0] = (margin + 2, text)
            items.append(_block(lines, margin + 2) if is_mapping else _scalar(lines.pop(0)[1]))
            continue
        found = re.fullmatch(r"([\w./-]+|\"(?:[^\"\\]|\\.)*\"):(?: (.*))?", lines.pop(0)[1])
        key, text = _scalar(found[1]), found[2]
        # The items of a list are not indented below their key.
        inner = lines[0][0] if lines else -1
        nested = text is None and (inner > margin or inner == margin and lines[0][1].startswith("- "))
        items[key] = _block(lines, inner) if nested else _scalar(text)
    return items


def _scalar(text):
    if re.fullmatch(r"[A-Za-z][\w./-]*", text or "") and text not in ("true", "false", "null"):
        return text
    return json.loads(text or "")
