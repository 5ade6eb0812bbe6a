"""The emulator's control endpoints, and one look at each correction that the service's tests rely on."""
import json
import os
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMA = {"fields": [{"name": "org_slug", "type": "STRING", "mode": "REQUIRED"}, {"name": "runs", "type": "INTEGER"}]}


class Emulator:
    def __init__(self, *options):
        self.process = subprocess.Popen([sys.executable, HERE / "emulator.py", "--exit-with", str(os.getpid()), *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            raise AssertionError(f"the emulator did not start: {line!r}")
        self.base = f"http://127.0.0.1:{line.split()[1]}"

    def call(self, method, path, body=None, headers=None):
        """The status and the JSON of an answer; path is below /bigquery/v2 unless it begins with /_."""
        url = self.base + (path if path.startswith("/_") else "/bigquery/v2" + path)
        request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method,
                                         headers={"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or "null")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


class EmulatorTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator()
        cls.addClassCleanup(cls.emulator.stop)

    def setUp(self):
        self.project = self.id().rsplit(".", 1)[1].replace("_", "-")
        self.root = f"/projects/{self.project}"

    def call(self, *arguments, **more):
        return self.emulator.call(*arguments, **more)

    def query(self, sql, **more):
        return self.call("POST", f"{self.root}/queries", {"query": sql, "useLegacySql": False, **more})

    def make_table(self):
        self.call("POST", f"{self.root}/datasets", {"datasetReference": {"datasetId": "d"}, "location": "US"})
        status, table = self.call("POST", f"{self.root}/datasets/d/tables",
                                  {"tableReference": {"datasetId": "d", "tableId": "t"}, "schema": SCHEMA})
        self.assertEqual(status, 200, table)
        return table

    def test_counts_requests_per_route_and_project(self):
        self.make_table()
        self.call("GET", f"{self.root}/datasets/d/tables/t")
        expected = {"GET /projects/*/datasets/*/tables/*": 1, "POST /projects/*/datasets": 1, "POST /projects/*/datasets/*/tables": 1}
        mine = f"/_requests?project={self.project}"
        self.assertEqual(self.call("GET", mine)[1]["routes"], expected)
        self.assertEqual(self.call("GET", "/_requests?project=another-project")[1]["total"], 0)
        self.assertGreaterEqual(self.call("GET", "/_requests")[1]["total"], 3)
        self.call("DELETE", mine)
        self.assertEqual(self.call("GET", mine)[1]["total"], 0)

    def test_is_ready(self):
        self.assertEqual(self.call("GET", "/_ready"), (200, {"ready": True}))

    def test_failed_query_is_an_http_error(self):
        status, answer = self.query("SELECT * FROM `d.missing`")
        self.assertEqual((status, answer["error"]["errors"][0]["reason"]), (404, "notFound"))

    def test_required_column_cannot_be_null(self):
        self.make_table()
        status, answer = self.query("INSERT INTO `d.t` (runs) VALUES (1)")
        self.assertEqual((status, answer["error"]["errors"][0]["reason"]), (400, "invalidQuery"))

    def test_a_script_binds_parameters(self):
        self.make_table()
        row = {"type": "STRUCT", "structTypes": [{"name": "slug", "type": {"type": "STRING"}}, {"name": "n", "type": {"type": "INT64"}}]}
        value = {"structValues": {"slug": {"value": "acme"}, "n": {"value": "2"}}}
        parameters = [
            {"name": "rows", "parameterType": {"type": "ARRAY", "arrayType": row}, "parameterValue": {"arrayValues": [value]}},
            {"name": "plus", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "5"}}]
        status, answer = self.query(
            "BEGIN TRANSACTION; INSERT INTO `d.t` (org_slug, runs) SELECT r.slug, r.n FROM UNNEST(@rows) AS r;"
            "UPDATE `d.t` AS t SET runs = t.runs + r.n + @plus FROM UNNEST(@rows) AS r WHERE t.org_slug = r.slug;"
            "COMMIT TRANSACTION; SELECT runs FROM `d.t`;",
            parameterMode="NAMED", queryParameters=parameters)
        self.assertEqual((status, answer.get("rows")), (200, [{"f": [{"v": "9"}]}]), answer)

    def test_patched_column_can_be_queried_and_shows_in_the_region(self):
        table = self.make_table()
        fields = SCHEMA["fields"] + [{"name": "added", "type": "DATE"}]
        path = f"{self.root}/datasets/d/tables/t"
        stale = self.call("PATCH", path, {"schema": {"fields": fields}}, headers={"If-Match": '"other"'})
        self.assertEqual(stale[0], 412)
        status, _ = self.call("PATCH", path, {"schema": {"fields": fields}}, headers={"If-Match": table["etag"]})
        self.assertEqual(status, 200)
        self.assertEqual(self.query("SELECT added FROM `d.t`")[0], 200)
        status, answer = self.query(
            f"SELECT column_name FROM `{self.project}`.`region-us`.INFORMATION_SCHEMA.COLUMNS ORDER BY ordinal_position")
        self.assertEqual([row["f"][0]["v"] for row in answer["rows"]], ["org_slug", "runs", "added"])

    def test_a_repeated_request_id_does_its_work_once(self):
        self.make_table()
        insert = "INSERT INTO `d.t` (org_slug) VALUES ('a')"
        first, again, other = (self.query(insert, requestId=name) for name in ("one", "one", "two"))
        self.assertEqual(first, again)
        self.assertNotEqual(first[1]["jobReference"], other[1]["jobReference"])
        self.assertEqual(self.query("SELECT COUNT(*) FROM `d.t`", requestId="one")[1]["rows"], [{"f": [{"v": "2"}]}])

    def test_used_job_id_is_a_duplicate(self):
        job = {"jobReference": {"jobId": "once"}, "configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}}}
        self.assertEqual(self.call("POST", f"{self.root}/jobs", job)[0], 200)
        self.assertEqual(self.call("POST", f"{self.root}/jobs", job)[0], 409)

    def test_lists_in_pages(self):
        self.make_table()
        self.call("POST", f"{self.root}/datasets", {"datasetReference": {"datasetId": "e"}})
        _, first = self.call("GET", f"{self.root}/datasets?maxResults=1")
        _, second = self.call("GET", f"{self.root}/datasets?maxResults=1&pageToken={first['nextPageToken']}")
        self.assertEqual([d["datasetReference"]["datasetId"] for d in first["datasets"] + second["datasets"]], ["d", "e"])
        self.assertNotIn("nextPageToken", second)

    def test_merge_says_what_it_inserted_and_updated(self):
        self.make_table()
        self.query("INSERT INTO d.t (org_slug, runs) VALUES ('a', 1), ('b', 2)")
        status, answer = self.query(
            "MERGE d.t AS t USING (SELECT s, 7 AS n FROM UNNEST(['a', 'b', 'c']) AS s) AS s ON t.org_slug = s.s "
            "WHEN MATCHED THEN UPDATE SET runs = n WHEN NOT MATCHED THEN INSERT (org_slug, runs) VALUES (s, n)")
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["dmlStats"]["insertedRowCount"], "1")
        self.assertEqual(answer["dmlStats"]["updatedRowCount"], "2")

    def test_parameters_of_an_update_with_from_are_not_mixed_up(self):
        self.make_table()
        self.query("INSERT INTO d.t (org_slug, runs) VALUES ('a', 1)")
        parameters = [{"name": n, "parameterType": {"type": "INT64"}, "parameterValue": {"value": v}}
                      for n, v in (("set", "10"), ("from", "20"), ("where", "1"))]
        status, answer = self.query(
            "UPDATE d.t AS t SET runs = @set + s.n FROM (SELECT @from AS n) AS s WHERE t.runs = @where",
            parameterMode="NAMED", queryParameters=parameters)
        self.assertEqual(answer.get("numDmlAffectedRows"), "1", answer)
        self.assertEqual(self.query("SELECT runs FROM d.t")[1]["rows"][0]["f"][0]["v"], "30")

    def test_integer_division_keeps_its_operands_together(self):
        status, answer = self.query("SELECT DIV(9 - 2, 1 + 1), DIV(-7, 2)")
        self.assertEqual([c["v"] for c in answer["rows"][0]["f"]], ["3", "-3"], answer)

    def test_merge_that_matches_twice_is_refused(self):
        self.make_table()
        self.query("INSERT INTO `d.t` (org_slug, runs) VALUES ('a', 1)")
        status, answer = self.query("MERGE `d.t` t USING (SELECT 'a' s, 2 n UNION ALL SELECT 'a', 3) u ON t.org_slug = u.s "
                                    "WHEN MATCHED THEN UPDATE SET runs = u.n")
        self.assertEqual(status, 400)
        self.assertIn("at most one source row", answer["error"]["message"])


class MemoryTests(unittest.TestCase):
    """A text that comes again has the meaning that it has then."""

    @classmethod
    def setUpClass(cls):
        cls.emulator = Emulator()
        cls.addClassCleanup(cls.emulator.stop)

    def query(self, project, sql, **more):
        status, answer = self.emulator.call("POST", f"/projects/{project}/queries", {"query": sql, "useLegacySql": False, **more})
        self.assertEqual(status, 200, answer)
        fields = [field["name"] for field in answer.get("schema", {}).get("fields", [])]
        return fields, [[cell["v"] for cell in row["f"]] for row in answer.get("rows", [])]

    def test_in_each_project(self):
        for project, column in (("one", "a"), ("two", "b")):
            self.query(project, "CREATE SCHEMA d")
            self.query(project, f"CREATE TABLE d.t ({column} STRING)")
            self.query(project, f"INSERT INTO d.t ({column}) VALUES ('{project}')")
        answers = [self.query(project, "SELECT * FROM d.t") for project in ("one", "two", "one")]
        self.assertEqual(answers, [(["a"], [["one"]]), (["b"], [["two"]]), (["a"], [["one"]])])

    def test_with_each_schema(self):
        self.query("three", "CREATE SCHEMA d")
        self.query("three", "CREATE TABLE d.t (a INT64)")
        before = self.query("three", "SELECT * FROM d.t")
        self.query("three", "ALTER TABLE d.t ADD COLUMN b STRING")
        self.assertEqual((before, self.query("three", "SELECT * FROM d.t")), ((["a"], []), (["a", "b"], [])))

    def test_with_each_parameter(self):
        def doubled(value):
            parameter = {"name": "p", "parameterType": {"type": "INT64"}, "parameterValue": {"value": str(value)}}
            return self.query("four", "SELECT @p * 2 AS n", parameterMode="NAMED", queryParameters=[parameter])[1]

        self.assertEqual([doubled(2), doubled(3), doubled(2)], [[["4"]], [["6"]], [["4"]]])

    def test_in_scripts(self):
        script = "BEGIN TRANSACTION; INSERT INTO d.n (a) SELECT COUNT(*) FROM d.n; COMMIT TRANSACTION;"
        self.query("five", "CREATE SCHEMA d")
        self.query("five", "CREATE TABLE d.n (a INT64)")
        for _ in range(3):
            self.query("five", script)
        self.assertEqual(self.query("five", "SELECT a FROM d.n ORDER BY a")[1], [["0"], ["1"], ["2"]])


def swallow(work, *arguments):
    """Runs work whose connection ends with the emulator."""
    try:
        work(*arguments)
    except OSError:
        pass


class EmulatorProcessTests(unittest.TestCase):
    def test_delays_requests_side_by_side(self):
        emulator = Emulator("--delay-ms", "300")
        self.addCleanup(emulator.stop)
        threads = [threading.Thread(target=emulator.call, args=("GET", "/projects/p/datasets")) for _ in range(3)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreaterEqual(time.monotonic() - start, 0.3)
        self.assertEqual(emulator.call("GET", "/_requests")[1]["total"], 3)
        self.assertGreaterEqual(emulator.call("GET", "/_requests")[1]["peakInFlight"], 2)

    def test_delays_the_requests_of_one_project(self):
        emulator = Emulator()
        self.addCleanup(emulator.stop)
        self.addCleanup(emulator.process.kill)      # it would wait for the slow request
        emulator.call("PUT", "/_delay?project=slow&ms=30000")
        slow = threading.Thread(target=swallow, args=(emulator.call, "GET", "/projects/slow/datasets"), daemon=True)
        slow.start()
        while emulator.call("GET", "/_requests?project=slow")[1]["total"] == 0:
            pass
        self.assertEqual(emulator.call("GET", "/projects/other/datasets")[0], 200)
        self.assertTrue(slow.is_alive())
        emulator.call("PUT", "/_delay?project=slow&ms=0")
        self.assertEqual(emulator.call("GET", "/projects/slow/datasets")[0], 200)
        self.assertTrue(slow.is_alive())

    def test_ends_with_its_parent(self):
        script = ("import os, subprocess, sys, time; "
                  f"p = subprocess.Popen([sys.executable, {str(HERE / 'emulator.py')!r}, '--exit-with', str(os.getpid())], "
                  "stdout=subprocess.PIPE, stderr=subprocess.DEVNULL); p.stdout.readline(); print(p.pid, flush=True); os.kill(os.getpid(), 9)")
        child = int(subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE).stdout)
        for _ in range(200):
            try:
                os.kill(child, 0)
            except ProcessLookupError:
                return
            state = Path(f"/proc/{child}/stat")
            if state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
            time.sleep(0.1)
        self.fail("the emulator outlived its parent")


if __name__ == "__main__":
    unittest.main()
