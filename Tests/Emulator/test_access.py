"""The emulator as a service that enforces grants: each method with its permission and without it."""
import gzip
import json
import unittest
import urllib.error
import urllib.request

from test_emulator import SCHEMA, Emulator

TABLE = {"tableReference": {"datasetId": "organizations", "tableId": "t"}, "schema": SCHEMA}
QUERY = {"query": "SELECT COUNT(*) AS n FROM `organizations.t`", "useLegacySql": False}
INSERT = {"query": "INSERT INTO `organizations.t` (org_slug) VALUES ('a')", "useLegacySql": False}
COLUMNS = {"query": "SELECT column_name FROM `region-us`.INFORMATION_SCHEMA.COLUMNS", "useLegacySql": False}
RUNS = {"project": ["jobs.create"]}


def iam(grants):
    """An iam.json that gives the job trial these permissions, by place."""
    role = {place: f"projects/p/roles/test_{number}" for number, place in enumerate(grants)}
    members = ["serviceAccount:ca-test-trial@p.iam.gserviceaccount.com"]
    bindings = {place: [{"role": role[place], "members": members}] for place in grants}
    return {
        "accounts": [{"email": "ca-test-trial@p.iam.gserviceaccount.com", "resource": {"displayName": "cloudact-trial (test)"}}],
        "custom_roles": [{"id": role[place].split("/")[-1], "resource": {"includedPermissions": [f"bigquery.{p}" for p in names]}}
                         for place, names in grants.items()],
        "project": bindings.get("project", []),
        "datasets": [{"name": p, "bindings": b} for p, b in bindings.items() if p != "project" and "." not in p],
        "tables": [{"name": p, "bindings": b} for p, b in bindings.items() if "." in p]}


class AccessTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator()
        cls.addClassCleanup(cls.emulator.stop)

    def setUp(self):
        self.project = self.id().rsplit(".", 1)[1].replace("_", "-")[:30]
        self.root = f"/projects/{self.project}"
        self.emulator.call("POST", f"{self.root}/datasets", {"datasetReference": {"datasetId": "organizations"}, "location": "US"})
        self.emulator.call("POST", f"{self.root}/datasets/organizations/tables", TABLE)

    def allow(self, grants):
        self.emulator.call("PUT", f"/_grants?project={self.project}", iam(grants))

    def ask(self, method, path, body=None, packed=False):
        """What the job trial gets for a request."""
        url = f"{self.emulator.base}/as/trial/bigquery/v2{self.root}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, gzip.compress(data) if packed else data, method=method, headers={
            "Content-Type": "application/json", **({"Content-Encoding": "gzip"} if packed else {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def test_each_request_needs_its_permission(self):
        fresh = {"tableReference": {"datasetId": "organizations", "tableId": "fresh"}, "schema": SCHEMA}
        whole = f"{self.project}:organizations"
        cases = [
            ("GET", "/datasets/organizations", None, {"organizations": ["datasets.get"]}, f"bigquery.datasets.get denied on dataset {whole} "),
            ("GET", "/datasets/organizations/tables", None, {"organizations": ["tables.list"]}, "bigquery.tables.list denied"),
            ("GET", "/datasets/organizations/tables/t", None, {"organizations": ["tables.get"]}, "bigquery.tables.get denied"),
            ("POST", "/datasets/organizations/tables", fresh, {"organizations": ["tables.create"]}, "bigquery.tables.create denied"),
            ("PATCH", "/datasets/organizations/tables/t", {"description": "x"}, {"organizations": ["tables.get", "tables.update"]},
             "bigquery.tables.get denied"),
            ("GET", "/datasets", None, {"project": ["datasets.get"]}, "User does not have bigquery.datasets.get permission in project"),
            ("POST", "/datasets", {"datasetReference": {"datasetId": "acme"}}, {"project": ["datasets.create"]},
             "User does not have bigquery.datasets.create permission in project"),
            ("POST", "/queries", {"query": "SELECT 1", "useLegacySql": False}, RUNS, "bigquery.jobs.create permission"),
            ("POST", "/queries", QUERY, RUNS | {"organizations.t": ["tables.getData"]}, "bigquery.jobs.create permission"),
            ("POST", "/queries", INSERT, RUNS | {"organizations": ["tables.getData", "tables.updateData"]}, "bigquery.jobs.create"),
            ("POST", "/queries", COLUMNS, {"project": ["jobs.create", "tables.get", "tables.list"]}, "bigquery.jobs.create"),
        ]
        for method, path, body, grants, refusal in cases:
            with self.subTest(f"{method} {path} {body}"):
                self.allow({})
                status, answer = self.ask(method, path, body)
                self.assertEqual((status, answer["error"]["errors"][0]["reason"]), (403, "accessDenied"))
                self.assertIn(refusal, answer["error"]["message"])
                self.allow(grants)
                self.assertEqual(self.ask(method, path, body)[0], 200)

    def test_a_refused_statement_is_not_carried_out_and_names_the_table(self):
        name = f"{self.project}:organizations.t"
        self.allow(RUNS)
        hidden = self.ask("POST", "/queries", QUERY)[1]["error"]["message"]
        self.allow(RUNS | {"organizations.t": ["tables.getData"]})
        unwritable = self.ask("POST", "/queries", INSERT, packed=True)[1]["error"]["message"]
        views = self.ask("POST", "/queries", COLUMNS)[1]["error"]["message"]
        rows = self.emulator.call("POST", f"{self.root}/queries", QUERY)[1]["rows"]
        self.assertIn(f"Table {name}: User does not have permission to query table {name}", hidden)
        self.assertIn(f"Table {name}: Permission bigquery.tables.updateData denied on table {name}", unwritable)
        self.assertIn(f"Table {self.project}:region-us.INFORMATION_SCHEMA.COLUMNS: User does not have permission", views)
        self.assertEqual(rows, [{"f": [{"v": "0"}]}])

    def test_a_method_that_nobody_has_described_is_refused(self):
        status, answer = self.ask("DELETE", "/datasets/organizations/tables/t")
        self.assertEqual(status, 403)
        self.assertIn("does not know the permissions for DELETE", answer["error"]["message"])

    def test_what_a_job_uses_is_noted_and_a_test_is_no_job(self):
        self.ask("POST", "/queries", QUERY)
        self.ask("POST", "/queries", INSERT)
        self.emulator.call("GET", f"{self.root}/datasets/organizations")
        noted = self.emulator.call("GET", f"/_uses?project={self.project}")[1]
        self.assertEqual(noted, {"trial": [
            {"on": "project", "does": "runs statements", "permissions": ["bigquery.jobs.create"]},
            {"on": "organizations.t", "does": "inserts rows, reads rows", "permissions": ["bigquery.tables.getData", "bigquery.tables.updateData"]}]})


if __name__ == "__main__":
    unittest.main()
