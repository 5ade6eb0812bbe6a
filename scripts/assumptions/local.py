"""The stand-ins of Tests/ as an environment: an emulator of BigQuery, a stand-in for Google's services, and localstripe."""
import atexit
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import exchange
from .facts import Broken
from .services import loopback_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv/bin/python"
PROJECT, REGION, LOCATION = "assumptions-local", "us-central1", "US"
KEY, SECRET = "sk_test_assumptions0local", "stripe-secret-key-local"
SERVICES = ["iam", "run", "cloudscheduler", "secretmanager", "logging", "monitoring", "bigquery", "iamcredentials", "cloudresourcemanager"]


class StandIns:
    """The addresses of the three. What the variables of the environment do not name is started, and ends with this process."""

    def __init__(self):
        self.processes, self.folder, self.before = [], None, dict(os.environ)
        self.bigquery = loopback_of("BIGQUERY_EMULATOR_HOST") or self._emulator()
        self.stripe = loopback_of("STRIPE_API_BASE") or self._localstripe()
        self.google = loopback_of("FAKE_GOOGLE_URL") or self._google()

    def _start(self, pattern, *command):
        if not PYTHON.exists():
            raise Broken("the stand-ins need .venv: ./scripts/test.sh --filter none creates it")
        process = subprocess.Popen([str(PYTHON), *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                   start_new_session=True)
        self.processes.append(process)
        atexit.register(self.stop)
        line = process.stdout.readline()
        found = re.search(pattern, line)
        if not found:
            raise Broken(f"{command[0]} did not start: {line.strip() or 'it printed nothing'}")
        return f"http://127.0.0.1:{found[1]}"

    def _emulator(self):
        return self._start(r"^ready (\d+)", ROOT / "Tests/Emulator/emulator.py", "--exit-with", os.getpid())

    def _localstripe(self):
        return self._start(r"^ready (\d+)", ROOT / "Tests/LocalStripe/localstripe_server.py", "--exit-with", os.getpid())

    def _google(self):
        self.folder = tempfile.mkdtemp(prefix="fake-google-")
        url = self._start(r"http://127\.0\.0\.1:(\d+)", ROOT / "Tests/FakeGoogle/server.py", "--port", "0", "--dir", self.folder,
                          "--strict", "--exit-with", os.getpid())
        # What env.sh exports leads gcloud, and with it this program, to the stand-in.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CLOUDSDK_")}
        out = subprocess.run(["bash", "-c", f'. "{ROOT}/Tests/FakeGoogle/env.sh" && env -0'], env={**clean, "FAKE_GOOGLE_VAR": self.folder},
                             capture_output=True, check=True).stdout.decode()
        os.environ.update(dict(pair.split("=", 1) for pair in out.split("\0") if pair.startswith(("CLOUDSDK_", "FAKE_GOOGLE_"))))
        return url

    def prepare(self, google):
        """Gives the project in the stand-in what a real one has: its services, and the secret with the key of Stripe."""
        # An execution ends after it was read often enough, and not by itself: a slow machine sees the same as a fast one.
        settings = b'{"max_run_seconds": 3600}'
        exchange.send("POST", f"{self.google}/__config", settings, {"Content-Type": "application/json"}, loopback=True).needed("set up the stand-in")
        path = f"v1/projects/{PROJECT}"
        google.call("POST", "serviceusage", f"{path}/services:batchEnable", {"serviceIds": [f"{s}.googleapis.com" for s in SERVICES]})
        google.call("POST", "secretmanager", f"{path}/secrets", {"replication": {"automatic": {}}}, query={"secretId": SECRET})
        data = {"payload": {"data": "c2tfdGVzdF9hc3N1bXB0aW9uczBsb2NhbA=="}}
        google.call("POST", "secretmanager", f"{path}/secrets/{SECRET}:addVersion", data).needed("put the key into the stand-in's secret")

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
            process.stdout.close()
        self.processes = []
        for name in [n for n in os.environ if n.startswith(("CLOUDSDK_", "FAKE_GOOGLE_"))]:
            del os.environ[name]
        os.environ.update({k: v for k, v in self.before.items() if k.startswith(("CLOUDSDK_", "FAKE_GOOGLE_"))})
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
