"""Google Cloud as gcloud is set up to reach it."""
import json
import shutil
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request


class GoogleError(Exception):
    """A refusal by a service, or by gcloud before it got there."""

    def __init__(self, message, status=0, reason=""):
        super().__init__(message)
        self.status = status
        self.reason = reason


class Google:
    """Reads and gives access over REST, deploys through gcloud. `calls` counts gcloud's processes and our own requests."""

    def __init__(self, project, sleep=time.sleep):
        self.project = project
        self.sleep = sleep
        self.calls = {"gcloud": 0, "requests": 0}
        self._lock = threading.Lock()
        # The token goes from gcloud to memory and from there into a header, never to a file or a command line.
        helper = json.loads(self.gcloud("config", "config-helper", "--min-expiry=600s", "--format=json", local=True))
        self.settings = helper["configuration"]["properties"]
        self.account = self.settings.get("core", {}).get("account", "")
        self._token = helper["credential"]["access_token"]
        self._opener = urllib.request.build_opener(*self._handlers())

    # ---------------------------------------------------------------- gcloud
    def gcloud(self, *arguments, local=False):
        """Runs gcloud and returns what it prints."""
        if not shutil.which("gcloud"):
            raise GoogleError("gcloud is not installed: https://cloud.google.com/sdk/docs/install")
        command = ["gcloud", *arguments] + ([] if local else [f"--project={self.project}", "--quiet"])
        with self._lock:
            self.calls["gcloud"] += 1
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise GoogleError(gcloud_message(done.stderr))
        return done.stdout

    # ---------------------------------------------------------------- REST
    def get(self, service, path, region=None, **query):
        return self.request("GET", service, path, region=region, query=query)

    def pages(self, service, path, field, region=None, **query):
        """All items of a listing."""
        items, token = [], ""
        while True:
            page = self.get(service, path, region, **query, **({"pageToken": token} if token else {}))
            items += page.get(field, [])
            token = page.get("nextPageToken", "")
            if not token:
                return items

    def request(self, method, service, path, body=None, region=None, query=None, headers=None, repeatable=False):
        """One request; repeated after a passing failure where repeating is harmless."""
        url = self.url(service, path, region, query or {})
        repeats = method != "POST" or repeatable
        for attempt in range(5):
            try:
                return self._send(method, url, body, headers or {})
            except GoogleError as error:
                passing = error.status in (0, 429, 500, 502, 503, 504)
                if not (repeats and passing) or attempt == 4:
                    raise
                self.sleep(0.5 * 2**attempt)
        raise AssertionError("unreachable")

    def url(self, service, path, region, query):
        domain = self.settings.get("core", {}).get("universe_domain") or "googleapis.com"
        base = self.settings.get("api_endpoint_overrides", {}).get(service) or f"https://{service}.{domain}/"
        parts = urllib.parse.urlsplit(base)
        host = f"{region}-{parts.netloc}" if region else parts.netloc
        text = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
        return urllib.parse.urlunsplit((parts.scheme, host, "/" + urllib.parse.quote(path, safe="/:@"), text, ""))

    def _send(self, method, url, body, headers):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method, headers={
            "Authorization": f"Bearer {self._token}", "Content-Type": "application/json",
            "User-Agent": "scheduler-jobs-deployment", **headers})
        with self._lock:
            self.calls["requests"] += 1
        try:
            with self._opener.open(request, timeout=60) as reply:
                return json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise rest_error(error) from None
        except (OSError, ValueError) as error:
            raise GoogleError(f"{urllib.parse.urlsplit(url).netloc}: {getattr(error, 'reason', error)}") from None

    def _handlers(self):
        """gcloud's own proxy and certificates; without them those of the surroundings."""
        proxy, core = self.settings.get("proxy", {}), self.settings.get("core", {})
        context = ssl.create_default_context()
        if core.get("custom_ca_certs_file"):
            context.load_verify_locations(core["custom_ca_certs_file"])
        handlers = [urllib.request.HTTPSHandler(context=context)]
        if proxy.get("address"):
            if not proxy.get("type", "http").startswith("http"):
                raise GoogleError(f"gcloud's proxy is of the type {proxy['type']}; these scripts can use http only")
            user = urllib.parse.quote(proxy.get("username", ""), safe="")
            if user:
                user += f":{urllib.parse.quote(proxy.get('password', ''), safe='')}@"
            address = f"http://{user}{proxy['address']}:{proxy.get('port', 80)}"
            handlers.append(urllib.request.ProxyHandler({"http": address, "https": address}))
        return handlers


def rest_error(error):
    try:
        body = json.loads(error.read())["error"]
        details = [d.get("reason", "") for d in body.get("details", []) if isinstance(d, dict)]
        return GoogleError(body["message"], error.code, next(filter(None, details), body.get("status", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return GoogleError(f"{error.geturl()}: HTTP {error.code}", error.code)


def gcloud_message(text):
    """What gcloud complains about, without its progress and advice on updates."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    start = next((i for i, line in enumerate(lines) if line.startswith("ERROR:")), 0)
    message = " ".join(lines[start:start + 4]) if lines else "gcloud failed without a message"
    return message.removeprefix("ERROR: ")
