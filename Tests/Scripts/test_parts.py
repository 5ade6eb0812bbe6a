"""The parts of the scripts that need neither gcloud nor a project."""
import copy
import io
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock

from fake_project import ROOT
from deployment import (access, alerts, change, command, comparison, effects, executions, ownership, page, patience, preflight, refusals,
                        resources, run_job)
from deployment.change import Change
from deployment.desired import Desired, resource
from deployment.google import GoogleError, account_of, gcloud_message, json_in


class ComparisonTests(unittest.TestCase):
    def live(self, desired, name):
        """A job as Cloud Run would describe it, for a test to change."""
        return copy.deepcopy(desired.resources[f"cloudact-{name}"])

    def test_memory_and_cpu_in_other_words_are_the_same(self):
        for one, other in (("1024Mi", "1Gi"), ("0.5Gi", "512Mi"), ("1048576Ki", "1Gi"), ("1000m", "1"), ("60", 60), ("0s", None)):
            self.assertEqual(comparison.normal(one), comparison.normal(other), one)
        for one, other in (("1Gi", "1G"), ("1500m", "1"), ("180s", "180m"), ("a", "b"), (True, 1.5)):
            self.assertNotEqual(comparison.normal(one), comparison.normal(other), one)

    def test_durations_of_a_trigger_may_have_decimals(self):
        desired = Desired("test")
        wanted = next(iter(desired.triggers.values()))
        live = copy.deepcopy(wanted)
        live["attemptDeadline"] = "180.000s"
        del live["retryConfig"]["maxRetryDuration"]
        self.assertEqual(comparison.differences(wanted, live, desired.words["trigger"]), [])
        live["retryConfig"]["maxDoublings"] = 5
        live["httpTarget"]["body"] = "e30="
        self.assertEqual(comparison.differences(wanted, live, desired.words["trigger"]), ["doublings: 5 -> 4", "body: e30= -> none"])

    def test_what_a_service_adds_is_no_difference(self):
        wanted = {"enabled": True, "conditions": [{"thresholdValue": 0, "filter": "a"}]}
        live = {"name": "x", "enabled": True, "conditions": [{"name": "y", "filter": "a"}]}
        self.assertEqual(self.changed(wanted, live), [])
        self.assertEqual(self.changed(wanted, {**live, "enabled": False}), ["enabled"])
        self.assertEqual(self.changed(wanted, {**live, "conditions": []}), ["conditions"])

    def changed(self, wanted, live):
        return [".".join(path) for path, _, _ in comparison.changes(wanted, live)]

    def test_a_job_without_a_difference_has_none(self):
        desired = Desired("test")
        for name, wanted in desired.resources.items():
            live = copy.deepcopy(wanted)
            live["metadata"]["labels"]["run.googleapis.com/satisfiesPzs"] = "true"
            live["spec"]["template"]["metadata"]["annotations"]["run.googleapis.com/client-name"] = "gcloud"
            self.assertEqual(comparison.job_differences(wanted, live, desired.words["job"]), [], name)

    def test_every_declared_part_of_a_job_is_compared(self):
        desired = Desired("test")
        wanted = self.live(desired, "quota-cleanup")
        for pointer, words in desired.words["job"].items():
            path = comparison.parts(pointer)
            have = comparison.at(comparison.comparable(wanted), path)
            if isinstance(have, dict):
                continue
            with self.subTest(words):
                live = self.live(desired, "quota-cleanup")
                there = comparison.at(live, path)
                comparison.put(comparison.at(live, path[:-1]), path[-1:], ["x"] if words in ("args", "command") else
                               there * 2 if words == "containers" else "7")
                found = comparison.job_differences(wanted, live, desired.words["job"])
                self.assertEqual([line.partition(":")[0] for line in found], [words])

    def test_variables_secrets_and_labels_are_compared_by_name(self):
        desired = Desired("test")
        wanted, live = desired.resources["cloudact-billing-sync-retry"], self.live(desired, "billing-sync-retry")
        container = comparison.container_of(live)
        container["env"] = [v for v in container["env"] if v["name"] != "DEADLINE_SECONDS"]
        container["env"] += [{"name": "EXTRA", "value": "1"}]
        next(v for v in container["env"] if v["name"] == "STRIPE_SECRET_KEY")["valueFrom"]["secretKeyRef"]["key"] = "3"
        live["metadata"]["labels"]["environment"] = "stage"
        self.assertEqual(comparison.job_differences(wanted, live, desired.words["job"]), [
            "label environment: stage -> test", "env DEADLINE_SECONDS: none -> 216",
            "secrets STRIPE_SECRET_KEY: stripe-secret-key-test:3 -> stripe-secret-key-test:latest", "env EXTRA: 1 -> none"])

    def test_what_cloud_run_leaves_out_has_its_default(self):
        desired = Desired("test")
        wanted, live = self.live(desired, "quota-cleanup"), self.live(desired, "quota-cleanup")
        spec = live["spec"]["template"]["spec"]["template"]["spec"]
        del spec["maxRetries"], spec["timeoutSeconds"], live["spec"]["template"]["metadata"]
        self.assertEqual(comparison.job_differences(wanted, live, desired.words["job"]), ["retries: 3 -> 1"])


class GeneratedFileTests(unittest.TestCase):
    def test_reads_what_the_generator_writes(self):
        text = """# A comment.
name: a-b
"number as text": "1"
count: 3
quote: "\\"\\\\\\n"
nothing: {}
empty: []
on: true
list:
- key: run.googleapis.com/x
  inner:
    deep: x
- a
- "b: c"
last:
  x.y/z: 0
"""
        self.assertEqual(resource(text), {
            "name": "a-b", "number as text": "1", "count": 3, "quote": "\"\\\n", "nothing": {}, "empty": [], "on": True,
            "list": [{"key": "run.googleapis.com/x", "inner": {"deep": "x"}}, "a", "b: c"], "last": {"x.y/z": 0}})

    def test_does_not_read_anything_else(self):
        for text in ("a: b\n  c: d\n", "a: *b\n", "- a\nb: c\n", "a: 'b\n  c'\n"):
            with self.subTest(text), self.assertRaises((ValueError, TypeError)):
                resource(text)

    def test_every_job_of_every_environment_is_read(self):
        for environment in ("test", "stage", "prod"):
            desired = Desired(environment)
            for job in desired.jobs:
                found = desired.resources[job["name"]]
                self.assertEqual((found["kind"], found["metadata"]["name"]), ("Job", job["name"]))
                self.assertEqual(comparison.container_of(found)["image"], job["image"])


class PolicyTests(unittest.TestCase):
    policy = {"etag": "e", "version": 3, "bindings": [
        {"role": "roles/a", "members": ["user:x"]},
        {"role": "roles/a", "members": ["user:z"], "condition": {"title": "nights"}}]}

    def test_other_bindings_stay(self):
        added = access.amended(self.policy, {("roles/a", "user:y"), ("roles/b", "user:y")}, set())
        self.assertEqual(added["etag"], "e")
        self.assertEqual(added["bindings"], [
            {"role": "roles/a", "members": ["user:x", "user:y"]}, self.policy["bindings"][1], {"role": "roles/b", "members": ["user:y"]}])

    def test_a_conditional_binding_is_not_removed(self):
        gone = access.amended(self.policy, set(), {("roles/a", "user:x"), ("roles/a", "user:z")})
        self.assertEqual(gone["bindings"], [self.policy["bindings"][1]])


class PatienceTests(unittest.TestCase):
    def setUp(self):
        self.now, self.waits = 0.0, []
        self.out = io.StringIO()
        self.google = unittest.mock.Mock(project="p", account="me@example.com")
        self.google.lacks_act_as.return_value = False
        self.google.patience = patience.Patience(60, sleep=self.sleep, clock=lambda: self.now, out=self.out)

    def sleep(self, seconds):
        self.now += seconds

    def attempts(self, *outcomes):
        """When it tries, where attempts end so, and what it ends with."""
        times, left = [], list(outcomes)

        def attempt():
            times.append(round(self.now))
            outcome = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        try:
            return times, effects.patiently(self.google, attempt)
        except GoogleError as error:
            return times, str(error)

    def test_waits_for_a_new_account_and_for_others(self):
        for error in (GoogleError("Service account a@b does not exist."), GoogleError("Precondition Failed", 412),
                      GoogleError("Permission denied on secret: projects/1/secrets/s for Revision service account a@b."),
                      GoogleError("There were concurrent policy changes. Please retry.")):
            self.setUp()
            self.assertEqual(self.attempts(error, error, "done"), ([0, 2, 6], "done"))

    def test_gives_up_after_a_minute_for_everything_with_the_last_error(self):
        error = GoogleError("Service account a@b does not exist.")
        times, outcome = self.attempts(error)
        self.assertEqual((times[-1], outcome), (60, str(error)))
        self.assertEqual(self.attempts(error), ([60], str(error)), "the next one has no minute of its own")

    def test_shows_how_long_it_still_waits(self):
        self.attempts(GoogleError("Service account a@b does not exist."))
        self.assertIn("waiting, up to 60 s more: Google does not know a new account everywhere yet (Service account a@b", self.out.getvalue())
        self.assertLessEqual(len(self.out.getvalue().splitlines()), 7)

    def test_does_not_wait_for_a_refusal(self):
        self.assertEqual(self.attempts(GoogleError("denied", 403)), ([0], "denied"))
        self.google.lacks_act_as.return_value = True
        times, outcome = self.attempts(GoogleError("Permission 'iam.serviceaccounts.actAs' denied on service account a@b (or it may not exist)."))
        self.assertEqual(times, [0])
        self.assertIn("Service Account User", outcome)
        self.assertIn("gcloud projects add-iam-policy-binding p --member=user:me@example.com --role=roles/iam.serviceAccountUser", outcome)


class RefusalTests(unittest.TestCase):
    def explained(self, text, status, method, service, path, reason=""):
        return refusals.explained(GoogleError(text, status, reason), "p", "ci@x.iam.gserviceaccount.com", method, service, path)

    def test_a_refusal_names_service_resource_what_is_missing_and_the_command(self):
        policy = "v1/projects/p:getIamPolicy"
        for arguments, texts in (
                (("The caller does not have permission", 403, "POST", "cloudresourcemanager", policy),
                 ("(Resource Manager, project p)", "Project IAM Admin",
                  "--member=serviceAccount:ci@x.iam.gserviceaccount.com --role=roles/resourcemanager.projectIamAdmin")),
                (("Permission 'run.jobs.list' denied on resource (or it may not exist).", 403, "GET", "run",
                  "apis/run.googleapis.com/v1/namespaces/p/jobs"), ("(Cloud Run, jobs in project p)", "The permission run.jobs.list", "Cloud Run Viewer")),
                (("denied", 403, "PATCH", "cloudscheduler", "v1/projects/p/locations/us-central1/jobs/a-trigger"),
                 ("(Cloud Scheduler, jobs/a-trigger in project p)", "roles/cloudscheduler.admin")),
                (("denied", 403, "POST", "iam", "v1/projects/p/roles"), ("Role Administrator",)),
                (("Cloud Scheduler API has not been used in project 1 before or it is disabled.", 403, "GET", "cloudscheduler",
                  "v1/projects/p/locations"), ("gcloud services enable cloudscheduler.googleapis.com --project=p",)),
                (("no", 403, "GET", "serviceusage", "v1/projects/p/services", "SERVICE_DISABLED"),
                 ("gcloud services enable serviceusage.googleapis.com --project=p",)),
                (("Request had invalid authentication credentials.", 401, "GET", "run", "v1/x"), ("gcloud auth login",)),
                (("internal", 500, "GET", "bigquery", "bigquery/v2/projects/p/datasets/d"), ("(BigQuery, datasets/d in project p)",))):
            with self.subTest(arguments):
                said = ". ".join(self.explained(*arguments))
                for text in texts:
                    self.assertIn(text, said)


class OutputTests(unittest.TestCase):
    def test_what_gcloud_prints_around_its_answer_is_left_out(self):
        answer = '{\n "credential": {"access_token": "t"}\n}'
        for text in (answer, f"Updates are available {{for}} some components.\n{answer}\nBye {{", f'{{"other": 1}}\n{answer}'):
            self.assertEqual(json_in(text, "credential")["credential"], {"access_token": "t"})
        for text in ("", "Updates are available", '{"other": 1}'):
            with self.subTest(text), self.assertRaisesRegex(GoogleError, "did not print"):
                json_in(text, "credential")

    def test_the_account_that_acts_is_named(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())

        def file(content):
            path = f"{folder}/{len(content)}.json"
            with open(path, "w", encoding="utf-8") as out:
                out.write(content)
            return path
        url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/ci@p.iam.gserviceaccount.com:generateAccessToken"
        for settings, expected in (
                ({"core": {"account": "me@example.com"}}, "me@example.com"),
                ({"core": {"account": "me@example.com"}, "auth": {"impersonate_service_account": "ci@p.iam.gserviceaccount.com"}},
                 "ci@p.iam.gserviceaccount.com"),
                ({"auth": {"credential_file_override": file('{"client_email": "key@p.iam.gserviceaccount.com"}')}}, "key@p.iam.gserviceaccount.com"),
                ({"auth": {"credential_file_override": file(f'{{"service_account_impersonation_url": "{url}"}}')}}, "ci@p.iam.gserviceaccount.com"),
                ({"auth": {"credential_file_override": "/nowhere"}}, "the credentials in /nowhere"),
                ({"auth": {"access_token_file": "/t"}}, "the owner of the token in /t"), ({}, "an account that gcloud does not name")):
            with self.subTest(settings):
                self.assertEqual(account_of(settings), expected)


class WholeComparisonTests(unittest.TestCase):
    """Whatever a replacement would remove is a difference."""

    def differences(self, change_job, name="quota-cleanup"):
        desired = Desired("test")
        wanted, live = desired.resources[f"cloudact-{name}"], copy.deepcopy(desired.resources[f"cloudact-{name}"])
        change_job(live, live["spec"]["template"]["spec"]["template"]["spec"])
        return comparison.job_differences(wanted, live, desired.words["job"])

    def test_parts_of_a_job_that_jobs_yaml_does_not_have(self):
        annotation = "run.googleapis.com/vpc-access-egress"
        for change_job, line in (
                (lambda job, task: job["spec"]["template"]["metadata"]["annotations"].update({annotation: "all-traffic"}),
                 f"annotation {annotation}: all-traffic -> none"),
                (lambda job, task: task.update(volumes=[{"name": "keys", "secret": {"secretName": "s"}}]),
                 'task volumes: [{"name": "keys", "secret": {"secretName": "s"}}] -> none'),
                (lambda job, task: task["containers"][0].update(volumeMounts=[{"name": "keys", "mountPath": "/keys"}]),
                 'container volumeMounts: [{"name": "keys", "mountPath": "/keys"}] -> none'),
                (lambda job, task: task.update(nodeSelector={"run.googleapis.com/accelerator": "nvidia-l4"}),
                 "task nodeSelector run.googleapis.com/accelerator: nvidia-l4 -> none"),
                (lambda job, task: task["containers"][0]["resources"]["limits"].update({"nvidia.com/gpu": "1"}),
                 "container resources limits nvidia.com/gpu: 1 -> none"),
                (lambda job, task: job["metadata"]["labels"].update(team="data"), "label team: data -> none"),
                (lambda job, task: job["metadata"].update(annotations={"run.googleapis.com/binary-authorization": "default"}),
                 "job annotation run.googleapis.com/binary-authorization: default -> none")):
            with self.subTest(line):
                self.assertEqual(self.differences(change_job), [line])

    def test_what_cloud_run_and_gcloud_add_is_no_difference(self):
        def add(job, task):
            job["metadata"] |= {"uid": "u", "generation": 3, "annotations": {"run.googleapis.com/creator": "me", "run.googleapis.com/launch-stage": "GA"}}
            job["metadata"]["labels"] |= {"cloud.googleapis.com/location": "us-central1", "run.googleapis.com/lastUpdatedTime": "t"}
            job["spec"]["template"]["metadata"] |= {"labels": {"client.knative.dev/nonce": "a_b_c"}}
            job["spec"]["template"]["metadata"]["annotations"] |= {"run.googleapis.com/client-name": "gcloud", "run.googleapis.com/client-version": "1"}
            task["containers"][0] |= {"name": "job-1", "resources": {**task["containers"][0]["resources"], "requests": {}}}
            task["nodeSelector"] = {}
            job["status"] = {"observedGeneration": 3, "conditions": [{"type": "Ready", "status": "True"}]}
        self.assertEqual(self.differences(add), [])

    def test_parts_of_a_trigger_that_jobs_yaml_does_not_have(self):
        desired = Desired("test")
        wanted = next(iter(desired.triggers.values()))
        live = {**copy.deepcopy(wanted), "userUpdateTime": "t", "scheduleTime": "t", "status": {}, "lastAttemptTime": "t"}
        live["httpTarget"] |= {"headers": {"User-Agent": "Google-Cloud-Scheduler", "X-Team": "data"}, "body": "e30="}
        self.assertEqual(comparison.trigger_differences(wanted, live, desired.words["trigger"]),
                         ["header X-Team: data -> none", "body: e30= -> none"])
        mask = resources.mask_of(wanted, live).split(",")
        self.assertIn("httpTarget.body", mask)
        self.assertIn("httpTarget.headers", mask)


class DoneAlreadyTests(unittest.TestCase):
    def newest(self, *made):
        """What a release takes for done: each execution is (minute, completed, job generation, arguments), newest last."""
        items = [{"metadata": {"name": f"x{minute}", "creationTimestamp": f"2026-03-01T10:{minute:02}:00Z",
                               "labels": {"run.googleapis.com/jobGeneration": generation} if generation else {}},
                  "spec": {"template": {"spec": {"containers": [{"args": arguments}]}}},
                  "status": {"conditions": [{"type": "Completed", "status": completed}]}}
                 for minute, completed, generation, arguments in made]

        class Google:
            def get(self, service, path, region):
                return {"metadata": {"generation": 4}}

        with unittest.mock.patch.object(executions, "run_items", lambda *_, **__: items):
            found = run_job.done_already(Google(), Desired("test"), {"name": "cloudact-bootstrap"})
        return found and found.name

    def test_only_a_whole_success_of_the_same_job_counts(self):
        for expected, *made in (
                (None,), ("x1", (1, "True", "4", [])), ("x1", (1, "True", "4", ["--approve", "12345678"])),
                (None, (1, "False", "4", [])), (None, (1, "Unknown", "4", [])), (None, (1, "True", "3", [])), (None, (1, "True", None, [])),
                (None, (1, "True", "4", ["--dry-run"])), (None, (1, "True", "4", ["--explain"])),
                (None, (1, "True", "4", []), (2, "False", "4", [])), ("x2", (1, "False", "4", []), (2, "True", "4", []))):
            with self.subTest(made):
                self.assertEqual(self.newest(*made), expected)


class OwnershipTests(unittest.TestCase):
    def test_environments_in_one_project_do_not_see_each_other(self):
        test, stage = Desired("test"), Desired("stage")
        self.assertTrue(test.owns("cloudact-old"))
        self.assertFalse(test.owns("cloudact-stage-bootstrap"))
        self.assertTrue(stage.owns("cloudact-stage-bootstrap"))
        self.assertFalse(stage.owns("cloudact-bootstrap"))
        self.assertFalse(test.owns("api"))
        self.assertTrue(test.owns_role("cloudact_reader"))
        self.assertFalse(test.owns_role("cloudact_stage_reader"))

    def test_a_name_is_no_proof_of_ownership(self):
        desired = Desired("test")
        live = types.SimpleNamespace(jobs={"cloudact-old": {"metadata": {"labels": {
            "managed-by": "scheduler-jobs", "environment": "test"}}}}, accounts={}, jobs_elsewhere=[])
        self.assertTrue(ownership.of_job(desired, live.jobs["cloudact-old"]))
        self.assertFalse(ownership.of_job(desired, {"metadata": {"labels": {"managed-by": "scheduler-jobs", "environment": "stage"}}}))
        self.assertFalse(ownership.of_job(desired, {"metadata": {}}))
        place = "https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-central1/jobs/"
        starts, older = "Starts cloudact-old. It did something.", place.replace("https://run", "https://us-central1-run").replace(
            "v2/projects/cloudact-testing-1/locations/us-central1", "apis/run.googleapis.com/v1/namespaces/cloudact-testing-1")
        for description, target, expected in (
                ("", {"oauthToken": {"serviceAccountEmail": desired.trigger_account}}, True),
                (starts, {"uri": place + "cloudact-old:run"}, True), (starts, {"uri": older + "cloudact-old:run"}, True),
                ("", {"uri": place + "cloudact-old:run"}, False), ("Starts cloudact-older.", {"uri": place + "cloudact-old:run"}, False),
                ("Starts cloudact-shop. ", {"uri": place + "cloudact-shop:run"}, False), (starts, {}, False),
                (starts, {"uri": place.replace("testing-1", "prod") + "cloudact-old:run"}, False)):
            with self.subTest(description=description, target=target):
                found = ownership.of_trigger(desired, live, {
                    "name": "projects/p/jobs/cloudact-x", "description": description, "httpTarget": target})
                self.assertEqual(found, expected)
        account = {"email": "ca-test-old@cloudact-testing-1.iam.gserviceaccount.com", "displayName": "cloudact-old (test)"}
        self.assertTrue(ownership.of_account(desired, account))
        for change_of in ({"displayName": "Old"}, {"displayName": "cloudact-old (stage)"}, {"email": "shop@x.iam.gserviceaccount.com"}):
            self.assertFalse(ownership.of_account(desired, account | change_of))


class TargetTests(unittest.TestCase):
    def test_the_job_that_a_trigger_starts_is_found_in_every_form(self):
        desired = Desired("test")
        for uri, expected in (
                ("https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-east1/jobs/a:run", ("us-east1", "a")),
                ("https://us-east1-run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-east1/jobs/a:run", ("us-east1", "a")),
                ("https://us-east1-run.googleapis.com/apis/run.googleapis.com/v1/namespaces/cloudact-testing-1/jobs/a:run", ("us-east1", "a")),
                ("https://us-east1-run.googleapis.com/apis/run.googleapis.com/v1/namespaces/123456/jobs/a:run?x=y", ("us-east1", "a")),
                ("https://run.us-east1.rep.googleapis.com/v2/projects/cloudact-testing-1/locations/us-east1/jobs/a:run", ("us-east1", "a")),
                ("https://run.googleapis.com/v2/projects/other/locations/us-east1/jobs/a:run", None),
                ("https://run.googleapis.com/v2/projects/cloudact-testing-1/locations/us-east1/jobs/a", None),
                ("https://shop.example.com/jobs/a:run", None), ("", None)):
            with self.subTest(uri):
                self.assertEqual(ownership.started_job(desired, {"httpTarget": {"uri": uri}}), expected)


class ChangeTests(unittest.TestCase):
    def make(self, *changes):
        seen = []
        failed, skipped = change.apply_all(changes, lambda item, outcome, message="": seen.append((item.name, outcome)))
        return seen, [c.name for c, _ in failed], [c.name for c in skipped]

    def refuse(self):
        raise GoogleError("denied")

    def test_what_needs_a_failed_change_is_left_out(self):
        a, b = frozenset({"a"}), frozenset({"b"})
        seen, failed, skipped = self.make(
            Change(change.JOBS, "create", "job", "a", self.refuse, jobs=a), Change(change.JOBS, "create", "job", "b", str, jobs=b),
            Change(change.TRIGGERS, "create", "trigger", "a-trigger", str, jobs=a),
            Change(change.TRIGGERS, "create", "trigger", "b-trigger", str, jobs=b),
            Change(change.ALERTS, "create", "alert", "shared", str), Change(change.JOB_REMOVAL, "delete", "job", "old", str))
        self.assertEqual((failed, skipped), (["a"], ["a-trigger", "old"]))
        self.assertIn(("b-trigger", "done"), seen)
        self.assertIn(("shared", "done"), seen)

    def test_a_refused_channel_holds_up_alerts_only(self):
        a = frozenset({"a"})
        _, failed, skipped = self.make(
            Change(change.CHANNELS, "create", "notification channel", "ops", self.refuse), Change(change.TRIGGERS, "create", "trigger", "a", str, jobs=a),
            Change(change.JOBS, "create", "job", "a", str, jobs=a), Change(change.ALERTS, "create", "alert", "shared", str),
            Change(change.JOB_REMOVAL, "delete", "job", "old", str))
        self.assertEqual((failed, skipped), (["ops"], ["shared"]))

    def test_channels_of_an_alert_are_left_alone_without_recipients(self):
        channel = {"labels": {"email_address": "a@example.com"}}
        mine = [channel | {"name": "channels/1"}]
        for channels, named, expected in (([], [], {"x": 1}), ([channel], [], {"x": 1, "notificationChannels": ["channels/1"]}),
                                          ([channel], ["channels/2"], {"x": 1, "notificationChannels": ["channels/1", "channels/2"]})):
            desired, live = types.SimpleNamespace(channels=channels), types.SimpleNamespace(channels=mine, named_channels=named)
            self.assertEqual(alerts.with_channels({"x": 1}, desired, live), expected)

    def test_an_interruption_begins_nothing_more(self):
        def stop():
            raise KeyboardInterrupt
        begun = []
        with self.assertRaises(change.Interrupted):
            self.make(Change(change.JOBS, "create", "job", "a", stop), Change(change.TRIGGERS, "create", "trigger", "b", lambda: begun.append("b")))
        self.assertEqual(begun, [])

    def test_a_failed_common_part_holds_everything_up(self):
        _, failed, skipped = self.make(
            Change(change.ACCOUNTS, "create", "account", "trigger", self.refuse),
            Change(change.JOBS, "create", "job", "a", str, jobs=frozenset({"a"})))
        self.assertEqual((failed, skipped), (["trigger"], ["a"]))


class ExecutionTests(unittest.TestCase):
    def test_the_newest_are_found_whatever_the_order_of_the_service(self):
        def item(hour):
            return {"metadata": {"name": f"e{hour}", "creationTimestamp": f"2026-01-31T{hour:02d}:00:00Z"}}
        pages = {None: {"items": [item(1), item(3)], "metadata": {"continue": "more"}}, "more": {"items": [item(2), item(4)], "metadata": {}}}
        google = types.SimpleNamespace(get=lambda service, path, region, **query: pages[query["continue"]])
        found = executions.recent(google, types.SimpleNamespace(project="p", region="r"), "demo", 2)
        self.assertEqual([e.name for e in found], ["e4", "e3"])


class TextTests(unittest.TestCase):
    def test_durations_are_spoken(self):
        spoken = [command.spoken(s) for s in (0, 59, 61, 200, 7199, 7200, 90000, 200000)]
        self.assertEqual(spoken, ["0 s", "59 s", "1 min", "3 min", "1 h", "2 h", "25 h", "2 days"])

    def test_the_error_of_gcloud_is_found_in_its_output(self):
        text = "Deploying...\nWARNING: something\nERROR: (gcloud.run) denied:\nreason\n\nTo update run: gcloud components update\n"
        self.assertTrue(gcloud_message(text).startswith("(gcloud.run) denied: reason"))

    def test_times_may_have_nanoseconds(self):
        self.assertEqual(executions.instant("2026-01-31T10:00:00.123456789Z").microsecond, 123456)
        self.assertEqual(executions.instant("2026-01-31T10:00:00Z").minute, 0)

    def test_the_page_escapes_what_it_shows(self):
        self.assertEqual(page.section("t", ["<b>"]), "<section><h2>t</h2><ul><li>&lt;b&gt;</li></ul></section>")


class UsageTests(unittest.TestCase):
    def test_every_script_explains_itself(self):
        for name in ("create-all-jobs.sh", "run-job.sh", "list-jobs.sh", "build-images.sh"):
            with self.subTest(name):
                shown = subprocess.run([ROOT / "scripts" / name, "--help"], capture_output=True, text=True, check=False)
                self.assertEqual(shown.returncode, 0)
                self.assertIn(f"usage: scripts/{name} <test|stage|prod>", shown.stdout)
                bare = subprocess.run([ROOT / "scripts" / name], capture_output=True, text=True, check=False)
                self.assertEqual(bare.returncode, 64)

    def test_an_unknown_environment_names_the_known_ones(self):
        for name in ("create-all-jobs.sh", "list-jobs.sh", "build-images.sh", "run-job.sh"):
            job = ["bootstrap"] if name == "run-job.sh" else []
            done = subprocess.run([ROOT / "scripts" / name, "staging", *job], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 64, name)
            self.assertIn("prod, stage, test", done.stderr)

    def test_resource_manager_may_be_enabled_where_the_caller_pays(self):
        desired = Desired("test")
        desired.secrets = []
        enabled = [{"config": {"name": s}} for s in desired.index["services"] if s != preflight.RESOURCE_MANAGER]
        google = unittest.mock.Mock(account="somebody", **{"pages.return_value": enabled})
        self.assertEqual(preflight.missing(google, desired), [])
        google.request.side_effect = GoogleError("it is disabled", 403)
        self.assertIn(preflight.RESOURCE_MANAGER, preflight.missing(google, desired)[0][0])

    def test_only_a_right_command_line_needs_gcloud(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        for arguments, code, text in (
                (["create_all_jobs", "test", "--prun"], 64, "--prun"), (["create_all_jobs", "test", "--only", "nothing"], 64, "no job nothing"),
                (["create_all_jobs", "staging"], 64, "no environment staging"), (["run_job", "test"], 64, "job"),
                (["run_job", "test", "bootstrp"], 64, "did you mean bootstrap?"), (["list_jobs", "test", "--json", "--html", "x"], 64, "--html"),
                (["create_all_jobs", "test"], 2, "gcloud is not installed"), (["run_job", "test", "bootstrap"], 2, "gcloud is not installed"),
                (["list_jobs", "test"], 2, "gcloud is not installed")):
            with self.subTest(arguments):
                done = subprocess.run([sys.executable, "-m", f"deployment.{arguments[0]}", *arguments[1:]], capture_output=True, text=True,
                                      check=False, env={"PATH": folder, "PYTHONPATH": str(ROOT / "scripts"), "PYTHONDONTWRITEBYTECODE": "1"})
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(text, done.stderr)

    def test_an_option_is_written_in_full(self):
        done = subprocess.run([ROOT / "scripts/create-all-jobs.sh", "test", "--prun"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 64)
        self.assertIn("--prun", done.stderr)


if __name__ == "__main__":
    unittest.main()
