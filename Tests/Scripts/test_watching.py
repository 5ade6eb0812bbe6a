"""What watches the jobs: log-based metrics, the dashboard, alerts and their channels."""
import copy
import functools
import importlib.util
import json
import pathlib
import re
import shutil
import tempfile
import types
import unittest

from fake_project import PROJECT, ROOT, fake, mutating, needs_gcloud
from deployment import alerts, metrics
from deployment.alerts import UnknownChannel
from deployment.desired import Desired

GENERATED = ROOT / "deploy/generated"


class PublishedFormTests(unittest.TestCase):
    """The generated documents against the discovery documents that google-api-python-client ships."""

    @staticmethod
    @functools.cache
    def schemas(api):
        package = pathlib.Path(importlib.util.find_spec("googleapiclient").origin).parent
        return json.loads((package / f"discovery_cache/documents/{api}.json").read_text())["schemas"]

    def problems(self, api, schema, value, path):
        """The members that the schema does not have, and the values of another type or choice."""
        if "$ref" in schema:
            return self.problems(api, self.schemas(api)[schema["$ref"]], value, path)
        kind = schema.get("type")
        if kind == "object":
            if not isinstance(value, dict):
                return [f"{path}: no object"]
            known, more = schema.get("properties", {}), schema.get("additionalProperties")
            return [p for key, item in value.items() for p in (
                self.problems(api, known.get(key) or more, item, f"{path}.{key}") if key in known or more else [f"{path}.{key}: unknown"])]
        if kind == "array":
            return [p for i, item in enumerate(value) for p in self.problems(api, schema["items"], item, f"{path}[{i}]")]
        types_ = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
        if not isinstance(value, types_[kind]) or isinstance(value, bool) != (kind == "boolean"):
            return [f"{path}: {value!r} is no {kind}"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{path}: {value} is none of {', '.join(schema['enum'])}"]
        if schema.get("format") == "google-duration" and not re.fullmatch(r"\d+(\.\d+)?s", value):
            return [f"{path}: {value} is no duration"]
        return []

    def test_every_document_is_in_the_form_that_google_publishes(self):
        count = 0
        for pattern, api, schema in (("*/metrics/*.json", "logging.v2", "LogMetric"), ("*/dashboard.json", "monitoring.v1", "Dashboard"),
                                     ("*/alerts/*.json", "monitoring.v3", "AlertPolicy")):
            files = sorted(GENERATED.glob(pattern))
            self.assertTrue(files, pattern)
            for file in files:
                with self.subTest(str(file.relative_to(GENERATED))):
                    self.assertEqual(self.problems(api, {"$ref": schema}, json.loads(file.read_text()), schema), [])
                    count += 1
        self.assertGreater(count, 40)

    def test_the_check_finds_what_is_wrong(self):
        good = json.loads((GENERATED / "test/dashboard.json").read_text())
        for change, expected in (
                (lambda d: d.update(colour=1), "Dashboard.colour: unknown"),
                (lambda d: d["gridLayout"]["widgets"][1]["xyChart"]["dataSets"][0].update(plotType="BAR"), "Dashboard.gridLayout.widgets[1].xyChart"
                 ".dataSets[0].plotType: BAR is none of"),
                (lambda d: d["gridLayout"].update(columns=2), "Dashboard.gridLayout.columns: 2 is no string")):
            bad = copy.deepcopy(good)
            change(bad)
            found = self.problems("monitoring.v1", {"$ref": "Dashboard"}, bad, "Dashboard")
            self.assertEqual([p.startswith(expected) for p in found], [True], found)

    def test_every_log_based_metric_of_a_query_is_generated(self):
        for folder in sorted(GENERATED.iterdir()):
            names = {p.stem for p in folder.glob("metrics/*.json")}
            text = "".join(p.read_text() for p in [*folder.glob("alerts/*.json"), folder / "dashboard.json"])
            used = {re.sub(r"_(sum|count)$", "", name) for name in re.findall(r"logging_googleapis_com:user_(\w+)", text)}
            self.assertEqual(used - names, set(), folder.name)


class ChannelNameTests(unittest.TestCase):
    desired = types.SimpleNamespace(environment="test", project=PROJECT, ownership={"labels": {"managed-by": "us"}})
    found = [{"name": f"projects/{PROJECT}/notificationChannels/{i}", "displayName": name, "type": kind, "userLabels": labels} for i, name, kind, labels in (
        (1, "On-call", "slack", {}), (2, "Pager", "pagerduty", {}), (3, "Twice", "webhook_tokenauth", {}), (4, "Twice", "slack", {}),
        (5, "Scheduler jobs (test): a@example.com", "email", {"managed-by": "us"}))]

    def name(self, text):
        return alerts.named_channel(self.desired, text, self.found)

    def test_a_channel_is_found_by_either_name(self):
        self.assertEqual(self.name("On-call"), f"projects/{PROJECT}/notificationChannels/1")
        self.assertEqual(self.name(f"projects/{PROJECT}/notificationChannels/2"), f"projects/{PROJECT}/notificationChannels/2")
        self.assertEqual(self.name("projects/123456789/notificationChannels/2"), f"projects/{PROJECT}/notificationChannels/2", "by number")

    def test_an_unknown_or_ambiguous_name_is_one_line_with_the_known_ones(self):
        for text, expected in (
                ("On-cal", f"alert_channels of test: {PROJECT} has no notification channel \"On-cal\"; did you mean \"On-call\"? "
                           "It has: \"On-call\" (slack), \"Pager\" (pagerduty), \"Twice\" (slack), \"Twice\" (webhook_tokenauth)"),
                (f"projects/{PROJECT}/notificationChannels/9", "has no notification channel \"projects/"),
                ("Twice", f"2 notification channels of {PROJECT} have the name \"Twice\"; name one by its resource: "
                          f"projects/{PROJECT}/notificationChannels/3, projects/{PROJECT}/notificationChannels/4")):
            with self.subTest(text), self.assertRaises(UnknownChannel) as raised:
                self.name(text)
            self.assertIn(expected, str(raised.exception))
            self.assertNotIn("\n", str(raised.exception))
            self.assertNotIn("a@example.com", str(raised.exception), "ours are for alert_emails")


class DifferenceTests(unittest.TestCase):
    def setUp(self):
        self.desired = Desired("test")

    def test_what_the_service_adds_to_a_metric_is_no_difference(self):
        for name, wanted in self.desired.metrics.items():
            live = copy.deepcopy(wanted) | {"createTime": "2026-01-01T00:00:00Z", "updateTime": "2026-01-01T00:00:00Z"}
            live["metricDescriptor"] |= {"name": "x", "type": f"logging.googleapis.com/user/{name}", "description": "x"}
            self.assertEqual(metrics.metric_differences(wanted, live), [])
        live["bucketName"], live["labelExtractors"]["zone"] = "projects/x", "EXTRACT(resource.labels.zone)"
        self.assertEqual(metrics.metric_differences(wanted, live), ["label zone: EXTRACT(resource.labels.zone) -> none", "bucketName: projects/x -> none"])

    def test_what_the_service_fills_into_a_chart_is_no_difference(self):
        wanted = self.desired.dashboard
        live = copy.deepcopy(wanted) | {"name": "x", "etag": "y"}
        for widget in live["gridLayout"]["widgets"][1:]:
            widget["xyChart"]["chartOptions"] = {"mode": "COLOR"}
            widget["xyChart"]["yAxis"]["label"] = ""
        self.assertEqual(metrics.dashboard_differences(wanted, live), [])
        live["dashboardFilters"] = [{"labelKey": "zone"}]
        del live["gridLayout"]["widgets"][5]
        self.assertEqual(metrics.dashboard_differences(wanted, live), ["charts: 5 -> 6", "dashboardFilters: [{'labelKey': 'zone'}] -> none"])

    def test_the_parts_of_an_alert_have_names(self):
        wanted = self.desired.alerts["job-failed"]
        live = copy.deepcopy(wanted)
        live["enabled"], live["alertStrategy"]["autoClose"], live["userLabels"]["team"] = False, "3600s", "data"
        live["conditions"][0]["conditionThreshold"]["filter"] = "x"
        found = alerts.alert_differences(wanted, live)
        self.assertEqual([line.partition(":")[0] for line in found], ["enabled", "condition 1, filter", "closes after", "label team"])
        self.assertIn("closes after: 3600s -> 1800s", found)

    def test_an_alert_on_log_entries_may_say_that_it_notifies_of_openings(self):
        wanted = self.desired.alerts["trigger-failed"]
        live = copy.deepcopy(wanted)
        live["alertStrategy"]["notificationPrompts"] = ["OPENED"]
        self.assertEqual(alerts.alert_differences(wanted, live), [])


@needs_gcloud
class DeploymentTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.google = fake()

    def tearDown(self):
        self.google.faults()

    def copy_with(self, **more):
        """A copy of the scripts and of what they deploy, with other members of deployment.json."""
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for folder in ("scripts", "deploy"):
            shutil.copytree(ROOT / folder, root / folder)
        index = root / "deploy/generated/test/deployment.json"
        index.write_text(json.dumps(json.loads(index.read_text()) | more))
        return root

    def channel(self, number, name, kind, labels):
        resource = f"projects/{PROJECT}/notificationChannels/{number}"
        return resource, {"name": resource, "displayName": name, "type": kind, "labels": labels, "enabled": True}

    def test_alerts_notify_channels_that_somebody_made(self):
        state = self.google.deployed()
        state["notification_channels"] = dict([self.channel(11, "On-call", "slack", {"channel_name": "#x"}),
                                               self.channel(12, "Pager", "pagerduty", {"service_key": "x"})])
        self.google.put(state)
        root = self.copy_with(alert_channels=["On-call", f"projects/{PROJECT}/notificationChannels/12"])
        done = self.google.run(root / "scripts/create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Nothing to do.", self.google.run(root / "scripts/create-all-jobs.sh", "test").stdout)
        state = self.google.state()
        self.assertEqual(len(state["notification_channels"]), 2, "none was created")
        for alert in state["alert_policies"].values():
            self.assertEqual(alert["notificationChannels"], [f"projects/{PROJECT}/notificationChannels/{n}" for n in (11, 12)])

    def test_an_unknown_channel_is_said_before_anything_is_changed(self):
        state = self.google.deployed()
        state["notification_channels"] = dict([self.channel(11, "On-call", "slack", {"channel_name": "#x"})])
        self.google.put(state)
        root = self.copy_with(alert_channels=["Oncall"])
        done = self.google.run(root / "scripts/create-all-jobs.sh", "test", "--yes")
        self.assertEqual((done.returncode, mutating(done.requests)), (2, []))
        self.assertIn("has no notification channel \"Oncall\"; did you mean \"On-call\"? It has: \"On-call\" (slack)", done.stderr)
        listed = self.google.run(root / "scripts/list-jobs.sh", "test")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn("Not searched: alert_channels of test", listed.stdout)

    def test_metrics_come_before_the_alerts_that_use_them(self):
        self.google.deployed()
        log = [(r["method"], r["path"]) for r in self.google.first_run.requests]
        last_metric = max(i for i, (method, path) in enumerate(log) if method == "POST" and path.endswith("/metrics"))
        first_alert = min(i for i, (method, path) in enumerate(log) if method == "POST" and path.endswith("/alertPolicies"))
        self.assertLess(last_metric, first_alert)

    def test_a_metric_of_others_with_our_name_is_asked_about(self):
        state = self.google.deployed()
        state["log_metrics"][f"projects/{PROJECT}/metrics/scheduler_jobs_test_failures"]["description"] = "The other team's"
        self.google.put(state)
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual((done.returncode, mutating(done.requests)), (3, []))
        self.assertIn("! take over log-based metric scheduler_jobs_test_failures", done.stdout)
        root = self.copy_with()
        taken = self.google.run(root / "scripts/create-all-jobs.sh", "test", "--take-over")
        self.assertEqual(taken.returncode, 0, taken.stdout)
        self.assertIn("Nothing to do.", self.google.run(root / "scripts/create-all-jobs.sh", "test").stdout)
        restored = self.google.run("bash", root / ".taken-over/test/restore.sh")
        self.assertEqual(restored.returncode, 0, restored.stderr)
        metric = self.google.state()["log_metrics"][f"projects/{PROJECT}/metrics/scheduler_jobs_test_failures"]
        self.assertEqual(metric["description"], "The other team's")

    def test_a_refused_metric_holds_up_nothing_else(self):
        state = self.google.deployed()
        state["log_metrics"], state["alert_policies"], state["dashboards"] = {}, {}, {}
        self.google.put(state)
        self.google.faults({"method": "POST", "path": "/metrics$", "status": 403, "times": 99, "message": "The caller does not have permission"})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Logs Configuration Writer", done.stdout)
        state = self.google.state()
        self.assertEqual((len(state["dashboards"]), len(state["log_metrics"])), (1, 0))
        self.assertIn("job-skipped", [a["userLabels"]["alert"] for a in state["alert_policies"].values()])

    def test_creations_whose_answers_were_lost_are_done_once(self):
        state = self.google.deployed()
        state["log_metrics"], state["dashboards"] = {}, {}
        self.google.put(state)
        self.google.faults({"method": "POST", "path": "/metrics$", "status": 503, "after": True, "times": 2},
                           {"method": "POST", "path": "/dashboards$", "status": 503, "after": True, "times": 1})
        done = self.google.script("create-all-jobs.sh", "test", "--yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        state = self.google.state()
        self.assertEqual((len(state["dashboards"]), len(state["log_metrics"])), (1, 7))

    def test_a_region_without_cloud_scheduler_is_named(self):
        self.google.put(self.google.deployed())
        self.google.faults()
        root = self.copy_with(region="us-west4")
        done = self.google.run(root / "scripts/create-all-jobs.sh", "test", "--dry-run")
        self.assertIn("! Cloud Scheduler is not in us-west4, so no trigger can be there; set region in jobs.yaml to one of: asia-northeast1, ", done.stdout)


if __name__ == "__main__":
    unittest.main()
