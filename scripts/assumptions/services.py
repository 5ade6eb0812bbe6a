"""The three services as a run reaches them. Every method returns the answer, whatever its status."""
import gzip
import json
import os
import threading
import urllib.parse
import uuid

from . import exchange
from .bounds import STATEMENT_BYTES
from .facts import Broken


class Google:
    """Google's services but BigQuery, through gcloud's credentials, proxy and endpoints."""

    def __init__(self, google):
        self.google, self.account = google, google.account

    def call(self, method, service, path, body=None, region=None, query=None, token=None):
        url = self.google.url(service, path, region, query or {})
        return self.send(method, url, body, token=token)

    def send(self, method, url, body=None, headers=None, token=None):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return exchange.answer_of(lambda: self.google.opened(
            method, url, data, {"User-Agent": exchange.AGENT, "Accept-Encoding": "gzip", **(headers or {})}, token, bool(token)))


class BigQuery:
    """BigQuery's REST API. An emulator gets no credentials. Every statement has a bound on its bytes, and the run has one on all."""

    def __init__(self, project, location, bounds, labels, google=None, base=None):
        self.project, self.location, self.bounds, self.labels = project, location, bounds, labels
        self._google, self._base = google, base
        self._local = threading.local()

    def call(self, method, path, body=None, headers=None, token=None, packed=False, **query):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        if packed:
            data, headers["Content-Encoding"] = gzip.compress(data), "gzip"
        place = f"bigquery/v2/projects/{self.project}{path}"
        if self._base:
            url = f"{self._base}/{place}" + (f"?{exchange.query_of(query)}" if query else "")
            headers |= {"User-Agent": exchange.AGENT, "Accept-Encoding": "gzip"}
            return exchange.send(method, url, data, headers, loopback=True)
        return self._google.send(method, self._google.google.url("bigquery", place, None, query), data, headers, token)

    def query(self, sql, *parameters, **body):
        """The answer to a statement at its end."""
        self.bounds.reserve()
        billed = STATEMENT_BYTES
        try:
            body = {"query": sql, "useLegacySql": False, "location": self.location, "timeoutMs": 10_000, "requestId": str(uuid.uuid4()),
                    "formatOptions": {"useInt64Timestamp": True}, "maximumBytesBilled": str(STATEMENT_BYTES), "labels": self.labels,
                    "useQueryCache": False, **body}
            if parameters:
                body |= {"parameterMode": "NAMED", "queryParameters": list(parameters)}
            packed = body.pop("packed", False)
            answer = self.call("POST", "/queries", {k: v for k, v in body.items() if v is not None}, packed=packed)
            if answer.is_ok and answer.json.get("jobComplete") is False:
                answer = self._finished(answer)
            # A refused statement bills nothing; one whose bytes are not known counts with all that it may have billed. The emulator bills
            # nothing.
            unknown = 0 if self._base else STATEMENT_BYTES
            billed = int(answer.json.get("totalBytesBilled", unknown)) if answer.is_ok else 0
            return answer
        finally:
            self.bounds.bill(billed)

    def _finished(self, answer):
        """The result of a statement that goes on, with the bytes that only the job has."""
        reference = answer.json.get("jobReference") or {}
        place, name = reference.get("location", self.location), urllib.parse.quote(reference.get("jobId", ""))
        while answer.is_ok and not answer.json.get("jobComplete"):
            self.bounds.check_time()
            answer = self.call("GET", f"/queries/{name}", location=place, timeoutMs=10_000, **{"formatOptions.useInt64Timestamp": "true"})
        if answer.is_ok:
            job = self.call("GET", f"/jobs/{name}", location=place)
            statistics = job.json.get("statistics", {}).get("query", {})
            answer.json |= {k: statistics[k] for k in ("totalBytesBilled", "dmlStats") if k in statistics}
        return answer

    def done(self, sql, *parameters, **body):
        """The answer to a statement that a check needs to succeed."""
        return self.query(sql, *parameters, **body).needed(sql.split("\n")[0][:80])

    def rows(self, sql, *parameters, **body):
        return values(self.done(sql, *parameters, **body))


def values(answer):
    """The rows of an answer as lists of texts."""
    return [[cell["v"] for cell in row["f"]] for row in answer.json.get("rows", [])]


def parameter(name, kind, value=None):
    return {"name": name, "parameterType": {"type": kind}, "parameterValue": {} if value is None else {"value": value}}


class Stripe:
    """Stripe's API with a key of test mode, which no text shows."""
    VERSION = "2026-06-24.dahlia"

    def __init__(self, key, base, labels, is_loopback):
        self._key, self._base, self._labels, self._is_loopback = key, base, labels, is_loopback

    def call(self, method, path, items=None, headers=None, key=None):
        """`items` are the query of a GET and the form of a POST, with nested members as `metadata[a]`."""
        text = exchange.query_of(items or {})
        url, data = f"{self._base}/v1{path}", None
        if method == "POST":
            data = text.encode()
        elif text:
            url += f"?{text}"
        return exchange.send(method, url, data, {
            "Authorization": f"Bearer {key or self._key}", "Stripe-Version": self.VERSION, "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded", "User-Agent": exchange.AGENT, **(headers or {})}, self._is_loopback)

    def marked(self):
        return {f"metadata[{name}]": value for name, value in self._labels.items()}


def is_loopback(url):
    parts = urllib.parse.urlsplit(url)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


def loopback_of(variable):
    """The address in a variable that may name this machine only."""
    url = os.environ.get(variable, "").rstrip("/")
    if url and not is_loopback(url):
        raise Broken(f"{variable} must name a port of this machine, such as http://127.0.0.1:9050")
    return url
