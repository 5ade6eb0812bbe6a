"""Accounts and permissions, with a service account of the run's own and roles on the run's own dataset."""
import re
import time

from .bounds import measured
from .facts import NotCheckable, check
from .services import Google
from .trial import COLUMNS

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
READER = "roles/bigquery.metadataViewer"


def google_of(trial) -> Google:
    if not trial.google:
        raise NotCheckable(trial.missing["google"])
    return trial.google


def account(trial):
    """The address of the run's service account."""
    def make():
        google, name = google_of(trial), trial.run.account
        trial.record.note("service account", name)
        answer = google.call("POST", "iam", f"v1/projects/{trial.project}/serviceAccounts", {
            "accountId": name, "serviceAccount": {"displayName": "assumptions.sh", "description": trial.run.mark}})
        answer.needed("create a service account")
        email = f"{name}@{trial.project}.iam.gserviceaccount.com"
        # The caller may use it for jobs and triggers, and have its tokens. The account is the run's own.
        kind = "serviceAccount" if google.account.endswith("gserviceaccount.com") else "user"
        roles = ("roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountUser")
        policy = {"bindings": [{"role": role, "members": [f"{kind}:{google.account}"]} for role in roles]}
        google.call("POST", "iam", f"v1/projects/{trial.project}/serviceAccounts/{email}:setIamPolicy",
                    {"policy": policy}).needed("let the caller act as the service account")
        return email
    return trial.once("account", make)


def token(trial):
    """A token of that account, which the caller may have after a while."""
    def make():
        google, email = google_of(trial), account(trial)
        found = {}

        def given(open_ones):
            answer = google.call("POST", "iamcredentials", f"v1/projects/-/serviceAccounts/{email}:generateAccessToken",
                                 {"scope": [SCOPE], "lifetime": "900s"})
            found["answer"] = answer
            if "SERVICE_DISABLED" in str(answer.json):
                raise NotCheckable(f"gcloud services enable iamcredentials.googleapis.com --project={trial.project}")
            return open_ones if answer.is_ok else []

        trial.state["token wait"] = measured(trial.bounds, {"token": time.monotonic()}, given, 300, pause=3)
        return found["answer"].needed("get a token of the service account")
    return trial.once("token", make)


@check("IAM-05")
def expiration(trial):
    found = token(trial).json.get("expireTime", "")
    text = f"expireTime is {found}; the caller could have the token after {trial.state['token wait']}"
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", found)), text


def granted(trial):
    """Five datasets that the account may look at, each with a table; how long the grants took; and the refusals before them."""
    def make():
        bearer, email = token(trial).json["accessToken"], account(trial)
        paths, began = [], {}
        for i in range(5):
            dataset, answer = trial.create_dataset(f"granted{i}")
            answer.needed("create a dataset")
            trial.create_table("t", COLUMNS, dataset).needed("create a table")
            paths.append(f"/datasets/{dataset}/tables/t")
        refusals = [trial.bigquery.call("GET", path, token=bearer) for path in paths]
        for path in paths:
            place = path.removesuffix("/tables/t")
            access = trial.bigquery.call("GET", place).needed("read a dataset").json.get("access", [])
            body = {"access": [*access, {"role": READER, "userByEmail": email}]}
            trial.bigquery.call("PATCH", place, body).needed("give a role on a dataset")
            began[path] = time.monotonic()
        samples = measured(trial.bounds, began, lambda open_ones: [
            p for p in open_ones if trial.bigquery.call("GET", p, token=bearer).is_ok], 420, pause=3)
        return {"paths": paths, "refusals": refusals, "samples": samples, "token": bearer}
    return trial.once("granted", make)


@check("IAM-01")
def propagation(trial):
    samples = granted(trial)["samples"]
    return samples.is_complete, f"roles on datasets, until tables.get was allowed: {samples}"


@check("IAM-02")
def refusal(trial):
    refusals = granted(trial)["refusals"]
    wrong = [str(a) for a in refusals if not (
        a.status == 403 and a.reason == "accessDenied" and re.match(r"Access Denied: (Table|Dataset|Project) ", a.message))]
    return not wrong, f"tables.get without a role: {wrong[0] if wrong else refusals[0]}"


@check("IAM-03")
def reader(trial):
    state = granted(trial)
    if not state["samples"].is_complete:
        raise NotCheckable("the role on the dataset was not effective")
    path = state["paths"][0]
    read = trial.bigquery.call("GET", path, token=state["token"])
    changed = trial.bigquery.call("PATCH", path, {"description": "changed"}, token=state["token"])
    return read.is_ok and changed.status == 403, f"with {READER}: tables.get {read}, tables.patch {changed}"


@check("SEC-01")
def secret(trial):
    name = trial.state.get("secret")
    if not name:
        raise NotCheckable(trial.missing.get("secret", "the key of Stripe is not in Secret Manager"))
    return True, f"the value of {name} was read and is a key of test mode"
