"""What a test needs around the API: latency, counts of requests, a sign of readiness.

    GET /_ready                 200 as soon as requests are served
    GET /_requests              {"total": 3, "peakInFlight": 2, "routes": {"GET /projects/*/datasets/*/tables": 3}}
    DELETE /_requests           starts counting anew
    PUT /_delay?ms=40           makes each later request wait that long before it is served
    GET /_uses, PUT /_grants    what jobs use, and what they may do: access.py

With ?project=ID they concern that project's requests only, so that tests which run side by side do not count or delay each
other's. Requests to these paths are neither counted nor delayed.
"""
import asyncio
import json
import re
from collections import Counter
from urllib.parse import parse_qs

PREFIX = "/bigquery/v2"
COLLECTIONS = {"projects", "datasets", "tables", "jobs", "queries", "routines", "models"}


def route_of(path):
    """The path with its ids replaced: /projects/*/datasets/*/tables, and the project's id."""
    segments = path.removeprefix("/upload").removeprefix(PREFIX).strip("/").split("/")
    project = segments[1] if len(segments) > 1 and segments[0] == "projects" else None
    for i in range(1, len(segments)):
        if segments[i - 1] in COLLECTIONS:
            segments[i] = "*"
    return "/" + "/".join(segments), project


async def whole_request(receive):
    """The whole body, and a receive that begins with it; two times None where the client is gone before its end, as a killed job is."""
    messages = []
    while not messages or messages[-1].get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None, None
        messages.append(message)
    body = b"".join(message.get("body", b"") for message in messages)

    async def replay():
        return messages.pop(0) if messages else await receive()

    return body, replay


class Tally:
    def __init__(self):
        self.routes, self.now, self.peak = Counter(), 0, 0

    def enter(self, route):
        self.routes[route] += 1
        self.now += 1
        self.peak = max(self.peak, self.now)

    def leave(self):
        self.now -= 1

    def restart(self):
        self.routes.clear()
        self.peak = self.now

    def report(self):
        return {"total": self.routes.total(), "peakInFlight": self.peak, "routes": dict(sorted(self.routes.items()))}


class Control:
    """ASGI application around another one."""

    def __init__(self, app, delay):
        self.app, self.delay, self.delays = app, delay, {}
        self.all, self.projects = Tally(), {}
        self._access = None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] in ("/_ready", "/_requests", "/_delay", "/_uses", "/_grants"):
            await self.answer(scope, receive, send)
        else:
            caller = re.match(r"/as/([a-z-]+)(?=/)", scope["path"])
            if caller:
                scope = {**scope, "path": scope["path"][caller.end():], "raw_path": scope["raw_path"][caller.end():]}
            await self.serve(scope, receive, send, caller and caller[1])

    async def serve(self, scope, receive, send, job):
        route, project = route_of(scope["path"])
        tallies = [self.all] + ([self.projects.setdefault(project, Tally())] if project else [])
        for tally in tallies:
            tally.enter(f"{scope['method']} {route}")
        try:
            delay = self.delays.get(project, self.delay)
            if delay:
                await asyncio.sleep(delay)
            body, received = await whole_request(receive)
            refusal = self.access.refusal(job, scope["method"], scope["path"], body) if job and received else None
            if refusal:
                await respond(send, 403, refusal)
            elif received:
                await self.app(scope, received, send)
        finally:
            for tally in tallies:
                tally.leave()

    @property
    def access(self):
        """Loaded when a test first asks for it, because GoogleSQL's analyzer takes two seconds to load."""
        if self._access is None:
            from .access import Access
            self._access = Access()
        return self._access

    async def answer(self, scope, receive, send):
        query = parse_qs(scope["query_string"].decode())
        project = query.get("project", [None])[0]
        tally = self.projects.get(project, Tally()) if project else self.all
        status, body = 200, {"ready": True}
        if scope["path"] == "/_requests":
            if scope["method"] == "DELETE":
                tally.restart()
            elif scope["method"] != "GET":
                status = 405
            body = tally.report()
        elif scope["path"] == "/_delay":
            delay = float(query["ms"][0]) / 1000
            if project:
                self.delays[project] = delay
            else:
                self.delay = delay
        elif scope["path"] == "/_uses":
            body = self.access.uses(project)
        elif scope["path"] == "/_grants":
            text, _ = await whole_request(receive)
            self.access.enforce(project, json.loads(text))
        await respond(send, status, body)


async def respond(send, status, body):
    content = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
