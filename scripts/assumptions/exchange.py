"""HTTP exchanges that keep everything of an answer: its status, headers and body."""
import gzip
import json
import urllib.error
import urllib.parse
import urllib.request
import zlib

from .facts import Broken

# BigQuery compresses only for clients that have "gzip" in their name.
AGENT = "scheduler-jobs-assumptions (gzip)"


class Answer:
    def __init__(self, status, headers, data):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.is_packed = self.headers.get("content-encoding") == "gzip"
        try:
            self.body = gzip.decompress(data) if self.is_packed else data
            self.json = json.loads(self.body or b"{}")
        except (ValueError, OSError, EOFError, zlib.error):
            self.body, self.json = data, {}

    @property
    def is_ok(self):
        return 200 <= self.status < 300

    @property
    def error(self):
        found = self.json.get("error") if isinstance(self.json, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def reason(self):
        """The reason of BigQuery's first error."""
        first = (self.error.get("errors") or [{}])[0]
        return first.get("reason", "")

    @property
    def message(self):
        return self.error.get("message", "")

    def __str__(self):
        """`409 duplicate: Already Exists: Dataset p:d`."""
        if self.is_ok:
            return str(self.status)
        words = self.reason or self.error.get("code") or self.error.get("status") or ""
        return f"{self.status} {words}: {self.message}"[:240].strip(": ")

    def needed(self, what):
        """Itself, if the step that a check needs was carried out."""
        if not self.is_ok:
            raise Broken(f"{what}: {self}")
        return self


def answer_of(open_answer):
    """The answer of a function that opens one, whatever its status."""
    try:
        with open_answer() as reply:
            return Answer(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
    except OSError as error:
        raise Broken(f"no answer: {error}") from None


def query_of(items):
    return urllib.parse.urlencode(items, doseq=True)


# Surroundings may name a proxy, which has no way to this machine.
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def send(method, url, data=None, headers=None, loopback=False):
    opener = LOOPBACK.open if loopback else urllib.request.urlopen
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    return answer_of(lambda: opener(request, timeout=60))
