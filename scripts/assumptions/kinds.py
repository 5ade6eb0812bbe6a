"""The kinds of resources that a run creates: how each is read, recognized by its mark, deleted, and found after a run that was killed."""
import urllib.parse

from .record import LABEL, WORD, is_old

EMAIL = "assumptions@example.invalid"


def body_of(answer):
    """The resource, or `None` if there is none. Anything else is an error: what could not be read is not absent."""
    if answer.status == 404:
        return None
    return answer.needed("read").json


class Kind:
    def __init__(self, trial):
        self.trial = trial

    def old_names(self):
        return []


class Dataset(Kind):
    def read(self, name):
        return body_of(self.trial.bigquery.call("GET", f"/datasets/{name}"))

    def is_marked(self, found):
        return found.get("labels", {}).get(LABEL) == WORD

    def delete(self, name):
        answer = self.trial.bigquery.call("DELETE", f"/datasets/{name}", deleteContents="true")
        if answer.status != 404:
            answer.needed("delete")

    def old_names(self):
        reply = self.trial.bigquery.call("GET", "/datasets", filter=f"labels.{LABEL}:{WORD}", maxResults=1000).needed("list the datasets")
        return [name for d in reply.json.get("datasets", []) if is_old(name := d["datasetReference"]["datasetId"])]


class OfGoogle(Kind):
    """A resource of another service. `place` is its path, `mark` whether it is ours."""
    service, region = "", None

    def path(self, name):
        raise NotImplementedError

    def read(self, name):
        return body_of(self.trial.google.call("GET", self.service, self.path(name), region=self.region))

    def delete(self, name):
        answer = self.trial.google.call("DELETE", self.service, self.path(name), region=self.region)
        if answer.status != 404:
            answer.needed("delete")


class RunJob(OfGoogle):
    service = "run"

    @property
    def region(self):
        return self.trial.region

    def path(self, name):
        return f"apis/run.googleapis.com/v1/namespaces/{self.trial.project}/jobs/{name}"

    def is_marked(self, found):
        return found["metadata"].get("labels", {}).get(LABEL) == WORD

    def old_names(self):
        reply = self.trial.google.call("GET", "run", f"apis/run.googleapis.com/v1/namespaces/{self.trial.project}/jobs",
                                       region=self.region, query={"labelSelector": f"{LABEL}={WORD}"}).needed("list the jobs")
        return [j["metadata"]["name"] for j in reply.json.get("items", []) if self.is_marked(j) and is_old(j["metadata"]["name"])]


class Trigger(OfGoogle):
    service = "cloudscheduler"

    def path(self, name):
        return f"v1/projects/{self.trial.project}/locations/{self.trial.region}/jobs/{name}"

    def is_marked(self, found):
        return found.get("description", "").startswith("Created by scripts/assumptions.sh")

    def old_names(self):
        reply = self.trial.google.call("GET", "cloudscheduler", f"v1/projects/{self.trial.project}/locations/{self.trial.region}/jobs",
                                       query={"pageSize": 500}).needed("list the triggers")
        return [name for j in reply.json.get("jobs", []) if self.is_marked(j) and is_old(name := j["name"].split("/")[-1])]


class Account(OfGoogle):
    """A service account. Its id is too short for a whole name, so the mark has the run."""
    service = "iam"

    def path(self, name):
        return f"v1/projects/{self.trial.project}/serviceAccounts/{name}@{self.trial.project}.iam.gserviceaccount.com"

    def is_marked(self, found):
        return found.get("description", "").startswith("Created by scripts/assumptions.sh")

    def old_names(self):
        reply = self.trial.google.call("GET", "iam", f"v1/projects/{self.trial.project}/serviceAccounts",
                                       query={"pageSize": 100}).needed("list the service accounts")
        return [a["email"].partition("@")[0] for a in reply.json.get("accounts", [])
                if self.is_marked(a) and is_old(a["description"].replace("run ", "assumptions-"))]


class OfStripe(Kind):
    collection, id_prefix = "", ""

    def read(self, name):
        answer = self.trial.stripe.call("GET", f"/{self.collection}/{urllib.parse.quote(name)}")
        found = body_of(answer)
        return None if found and found.get("deleted") else found

    def is_marked(self, found):
        return (found.get("metadata") or {}).get(LABEL) == WORD

    def delete(self, name):
        answer = self.trial.stripe.call("DELETE", f"/{self.collection}/{urllib.parse.quote(name)}")
        if answer.status != 404:
            answer.needed("delete")

    def listed(self, **query):
        if not self.trial.stripe:
            return []
        return self.trial.stripe.call("GET", f"/{self.collection}", {"limit": 100, **query}).needed("list").json.get("data", [])


class Customer(OfStripe):
    """Stripe itself names a customer, so the record has the name of the run, which is the customer's description."""
    collection = "customers"

    def found(self, name):
        return [c["id"] for c in self.listed(email=EMAIL) if c.get("description") == name and self.is_marked(c)]

    def read(self, name):
        ids = self.found(name) if self.trial.stripe else []
        return {"metadata": {LABEL: WORD}, "ids": ids} if ids else None

    def delete(self, name):
        for identifier in self.found(name):
            super().delete(identifier)

    def old_names(self):
        return [c["description"] for c in self.listed(email=EMAIL) if self.is_marked(c) and is_old(c.get("description") or "")]


class Plan(OfStripe):
    collection = "plans"

    def old_names(self):
        return [p["id"] for p in self.listed() if self.is_marked(p) and is_old(p["id"])]


class Product(OfStripe):
    collection = "products"

    def old_names(self):
        return [p["id"] for p in self.listed() if self.is_marked(p) and is_old(p["id"])]


def kinds_of(trial):
    """In the order of their creation; a service that cannot be reached has none."""
    kinds = {"dataset": Dataset(trial)}
    if trial.google:
        kinds |= {"service account": Account(trial), "job": RunJob(trial), "trigger": Trigger(trial)}
    if trial.stripe:
        kinds |= {"product": Product(trial), "plan": Plan(trial), "customer": Customer(trial)}
    return kinds

