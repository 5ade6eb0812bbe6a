"""What deploy/generated/<environment> asks for."""
import json
import pathlib
import sys

USAGE = 64
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Desired:
    """The generated files of one environment; with `only`, those parts that concern one job."""

    def __init__(self, environment, only=None, root=ROOT):
        self.folder = root / "deploy" / "generated" / environment
        if not (self.folder / "deployment.json").is_file():
            names = sorted(p.parent.name for p in (root / "deploy" / "generated").glob("*/deployment.json"))
            print(f"there is no environment {environment}; jobs.yaml has: {', '.join(names) or 'none'}", file=sys.stderr)
            raise SystemExit(USAGE)
        index, iam = self._read("deployment.json"), self._read("iam.json")
        self.environment, self.project, self.region = index["environment"], index["project"], index["region"]
        self.index, self.only = index, only
        self.jobs = [job for job in index["jobs"] if only in (None, job["job"])]
        names = {job["name"] for job in self.jobs}
        self.triggers = {job["trigger"]: self._read(f"triggers/{job['trigger']}.json") for job in self.jobs if job["trigger"]}
        members = {f"serviceAccount:{job['deployed']['service account']}" for job in self.jobs}
        self.trigger_account = next(a["email"] for a in iam["accounts"] if a["id"] == index["account_prefix"] + "trigger")
        members.add("serviceAccount:" + self.trigger_account)
        self.accounts = [a for a in iam["accounts"] if "serviceAccount:" + a["email"] in members]
        self.custom_roles = iam["custom_roles"]
        self.project_grants = grants(iam["project"], members)
        self.datasets = [{**d, "grants": grants(d["bindings"], members)} for d in iam["datasets"]]
        self.secret_grants = {s["name"]: grants(s["bindings"], members) for s in iam["secrets"]}
        # Nobody may start a job without a trigger, except people who may start any.
        self.job_grants = {name: set() for name in names} | {
            j["name"]: grants(j["bindings"], members) for j in iam["jobs"] if j["name"] in names}
        self.alerts = self._alerts()
        self.secrets = sorted({s.split(":")[0] for job in self.jobs for s in job["deployed"]["secrets"].values()})

    def _read(self, path):
        return json.loads((self.folder / path).read_text())

    def _alerts(self):
        names = [p.stem for p in sorted(self.folder.glob("alerts/*.json"))]
        if self.only:
            names = [n for n in names if n == f"no-success-{self.only}"]
        return {name: self._read(f"alerts/{name}.json") for name in names}

    def job_file(self, job):
        return str(self.folder / job["file"])

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
