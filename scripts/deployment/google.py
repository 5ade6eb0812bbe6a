"""Google Cloud as gcloud is set up to reach it."""
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

from . import refusals
from .patience import SECONDS, Patience


class GoogleError(Exception):
    """A refusal: by a service, with its `status`; by gcloud or by us, with none; or no answer at all, with 0. The message ends with
    the advice."""

    def __init__(self, message, status=None, reason="", advice=""):
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.advice = advice

    @property
    def is_passing(self):
        """Whether it may be over soon: no answer, too many requests, or a service in trouble."""
        return self.status in (0, 429, 500, 502, 503, 504)


class GcloudMissing(GoogleError):
    """There is no gcloud on this machine."""


class Google:
    """Reads and gives access over REST, deploys through gcloud. `calls` counts gcloud's processes and our own requests."""

    def __init__(self, project):
        self.project = project
        self.calls = {"gcloud": 0, "requests": 0}
        self.stopping = threading.Event()
        self._lock, self._signing_in = threading.Lock(), threading.Lock()
        self.account, self.acting, self.enabled = "", {}, set()
        helper = self._sign_in("--min-expiry=600s")
        self.settings = helper["configuration"]["properties"]
        self.account = account_of(self.settings)
        self.patience = Patience(float(os.environ.get("DEPLOYMENT_PATIENCE", SECONDS)), sleep=self.sleep)
        self._opener = urllib.request.build_opener(*self._handlers())

    def sleep(self, seconds):
        """Waits, and not a moment longer once `stopping` is set."""
        if self.stopping.wait(seconds):
            raise GoogleError("stopped")

    def _sign_in(self, *how):
        """The token goes from gcloud to memory and from there into a header, never to a file or a command line."""
        helper = json_in(self.gcloud("config", "config-helper", *how, "--format=json", local=True), "credential")
        self._token = helper["credential"]["access_token"]
        return helper

    def lacks_act_as(self, text):
        """Whether the caller surely may not use the service account that a refusal names. Each account is asked about once."""
        found = re.search(r"[\w.-]+@[\w.-]+\.gserviceaccount\.com", text)
        if not found:
            return False
        if found[0] not in self.acting:
            permission = "iam.serviceAccounts.actAs"
            try:
                reply = self.request("POST", "iam", f"v1/projects/{self.project}/serviceAccounts/{found[0]}:testIamPermissions",
                                     body={"permissions": [permission]}, repeatable=True)
                self.acting[found[0]] = permission in reply.get("permissions", [])
            except GoogleError:
                # An account that is not known yet cannot be asked about.
                return False
        return not self.acting[found[0]]

    def _renew(self, refused):
        """A new token, unless another thread has fetched one already."""
        with self._signing_in:
            if self._token == refused:
                self._sign_in("--force-auth-refresh")

    # ---------------------------------------------------------------- gcloud
    def gcloud(self, *arguments, local=False):
        """Runs gcloud and returns what it prints."""
        if not shutil.which("gcloud"):
            raise GcloudMissing("gcloud is not installed: https://cloud.google.com/sdk/docs/install")
        command = ["gcloud", *arguments] + ([] if local else [f"--project={self.project}", "--quiet"])
        with self._lock:
            self.calls["gcloud"] += 1
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise GoogleError(gcloud_message(done.stderr or done.stdout))
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
        """One request; repeated after a passing failure where repeating is harmless, and once with a new token."""
        url = self.url(service, path, region, query or {})
        repeats = method != "POST" or repeatable
        attempts, renewed = 1, False
        while True:
            token = self._token
            try:
                return self._send(method, url, token, body, headers or {})
            except GoogleError as error:
                if error.status == 401 and not renewed:
                    renewed = True
                    self._renew(token)
                    continue
                if self._is_not_open_yet(error, service):
                    continue
                # A request that was one too many was surely not carried out.
                if not (repeats and error.is_passing or error.status == 429) or attempts == 5:
                    text, advice = refusals.explained(error, self.project, self.account, method, service, path)
                    raise GoogleError(f"{text}. {advice}" if advice else text, error.status, error.reason, advice) from None
                self.sleep(0.5 * 2 ** (attempts - 1))
                attempts += 1

    def _is_not_open_yet(self, error, service):
        """Whether a service that is enabled says that it is not, as it does for a moment, and there was time to wait."""
        return (error.status == 403 and f"{service}.googleapis.com" in self.enabled and refusals.is_disabled(error)
                and self.patience.wait(3, f"{service} was enabled a moment ago"))

    def url(self, service, path, region, query):
        domain = self.settings.get("core", {}).get("universe_domain") or "googleapis.com"
        base = self.settings.get("api_endpoint_overrides", {}).get(service) or f"https://{service}.{domain}/"
        parts = urllib.parse.urlsplit(base)
        host = f"{region}-{parts.netloc}" if region else parts.netloc
        text = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
        return urllib.parse.urlunsplit((parts.scheme, host, "/" + urllib.parse.quote(path, safe="/:@"), text, ""))

    def opened(self, method, url, data, headers, token=None, of_another=False):
        """Sends a request and returns the open answer. One that is not 2xx is raised as `HTTPError`.

        A token of another account pays with its own project: that account may not use this one's quota."""
        bearer = token or self._token
        try:
            return self._opener.open(self._request(method, url, data, headers, bearer, of_another), timeout=60)
        except urllib.error.HTTPError as error:
            if error.code != 401 or token:
                raise
        self._renew(bearer)
        return self._opener.open(self._request(method, url, data, headers, self._token, of_another), timeout=60)

    def _request(self, method, url, data, headers, token, of_another=False):
        with self._lock:
            self.calls["requests"] += 1
        # Whose services and quota: without it those of gcloud's own project, which some services refuse.
        payer = {} if of_another else {"X-Goog-User-Project": self.project}
        return urllib.request.Request(url, data=data, method=method, headers={
            "Authorization": f"Bearer {token}", "Content-Type": "application/json", **payer,
            "User-Agent": "scheduler-jobs-deployment", **headers})

    def _send(self, method, url, token, body, headers):
        data = None if body is None else json.dumps(body).encode()
        try:
            with self._opener.open(self._request(method, url, data, headers, token), timeout=60) as reply:
                return json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise rest_error(error) from None
        except (OSError, ValueError) as error:
            raise GoogleError(f"{urllib.parse.urlsplit(url).netloc}: {getattr(error, 'reason', error)}", 0) from None

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


def json_in(text, member):
    """The JSON object with this member in the output of gcloud, which may print other lines around it."""
    decoder, place = json.JSONDecoder(), text.find("{")
    while place >= 0:
        try:
            found, _ = decoder.raw_decode(text, place)
        except ValueError:
            found = None
        if isinstance(found, dict) and member in found:
            return found
        place = text.find("{", place + 1)
    raise GoogleError(f"gcloud did not print what was asked for: {text.strip()[:200] or 'it printed nothing'}")


def account_of(settings):
    """The account that acts, where gcloud does not simply say it: one that is impersonated, or that of a file of credentials."""
    auth, core = settings.get("auth", {}), settings.get("core", {})
    if auth.get("impersonate_service_account"):
        return auth["impersonate_service_account"].split(",")[0]
    if auth.get("access_token_file"):
        return f"the owner of the token in {auth['access_token_file']}"
    file = auth.get("credential_file_override")
    if file:
        try:
            with open(file, encoding="utf-8") as text:
                content = json.load(text)
        except (OSError, ValueError):
            content = {}
        url = content.get("service_account_impersonation_url", "")
        found = re.search(r"/serviceAccounts/([^/:]+)", url)
        return content.get("client_email") or (found[1] if found else "") or content.get("audience") or f"the credentials in {file}"
    return core.get("account") or "an account that gcloud does not name"


def run_items(google, path, region=None, **query):
    """All items of a listing of Cloud Run, which has its own words for pages."""
    items, place = [], None
    while True:
        reply = google.get("run", path, region, **query, **{"limit": 500, "continue": place})
        items += reply.get("items", [])
        place = reply.get("metadata", {}).get("continue")
        if not place:
            return items


def rest_error(error):
    try:
        body = json.loads(error.read())["error"]
        details = [d.get("reason", "") for d in body.get("details", []) if isinstance(d, dict)]
        return GoogleError(body["message"], error.code, next(filter(None, details), body.get("status", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return GoogleError(f"{error.geturl()}: HTTP {error.code}", error.code)


def gcloud_message(text):
    """The complaint of gcloud, without its progress and advice on updates."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    start = next((i for i, line in enumerate(lines) if line.startswith("ERROR:")), 0)
    message = " ".join(lines[start:start + 4]) if lines else "gcloud failed without a message"
    return message.removeprefix("ERROR: ")
