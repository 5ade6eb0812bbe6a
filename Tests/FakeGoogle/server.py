#!/usr/bin/env python3
"""A stateful, loopback-only fake of the Google services that the scripts and the real gcloud call (README.md).

It listens once, on 127.0.0.1, and is also an HTTP proxy (absolute-form requests, and CONNECT ended with its
own certificate), so that gcloud keeps using the real host names, region prefixes included.
"""
import argparse
import base64
import http.client
import http.server
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qsl, unquote, urlsplit

from apis import bigquery, platform
from core import CONFIG, DEPLOYER, LOCK, ROUTES, S, Err, Reply, api_enabled, check_faults, now, project, route, take_fault


# ------------------------------------------------------------------ control: /__state, /__reset, /__config
route("local", "GET", "__state")(lambda rq: {**S, "config": CONFIG})
route("local", "POST", "__reset")(lambda rq: [x.clear() for x in (*S.values(), CONFIG["faults"])] and {"ok": True})


@route("local", "GET", "__config")
@route("local", "POST", "__config")
def config(rq):
    if rq.body.keys() - CONFIG.keys():
        raise Err(400, f"fake Google: the settings are {', '.join(CONFIG)}.")
    check_faults(rq.body.get("faults", []))
    CONFIG.update(rq.body)
    return CONFIG


@route("local", "POST", "__state")
def state_merge(rq):
    """Merge a whole or partial dump: seeds data, or restores an earlier GET."""
    for k in rq.body.keys() & S.keys():
        S[k] = S[k] + rq.body[k] if k == "logs" else {**S[k], **rq.body[k]}
    return {"ok": True}


# ------------------------------------------------------------------ HTTP, proxy, TLS
HOST = re.compile(r"(?:(?P<region>[a-z]+-[a-z]+\d+)-)?(?P<svc>[a-z0-9]+)(?:\.mtls)?(?:\.(?P<rep>[a-z0-9-]+)\.rep)?\.googleapis\.com$")
LOOPBACK = ("127.0.0.1", "localhost")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    who = DEPLOYER

    def log_message(self, *args):
        pass

    def finish(self):
        super().finish()
        self.connection.close()

    def serve(self):
        t0, u = time.time(), urlsplit(self.path)
        self.host = u.netloc or self.headers.get("Host", "")
        name, _, port = self.host.partition(":")
        self.raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.path, self.query, self.body, self.log_body = unquote(u.path).lstrip("/"), dict(parse_qsl(u.query)), {}, None
        if name in LOOPBACK and int(port or 80) != ARGS.port:
            return self.forward(u)
        m = HOST.match(name)
        self.svc, self.region = (m["svc"], m["region"] or m["rep"]) if m else ("local" if name in LOOPBACK else name, None)
        if self.path.startswith(bigquery.BQ):
            self.svc = "bigquery"
        with LOCK:
            control = self.path.startswith("__")
            fault = None if control else take_fault(self.command, self.host, "/" + self.path)
            reply = self.reply() if not fault or fault.get("after") else None
            if fault:
                e = Err(fault.get("status", 0), fault.get("message", "fake Google: this failure was ordered through /__config"), fault.get("reason"))
                reply = Reply(e.code, e.body)
            raw = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body, indent=1).encode()
        if not control:
            self.record(reply.code, t0, fault)
        if fault and fault.get("drop"):
            self.close_connection = True
        else:
            self.answer(reply.code, raw, reply.headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def reply(self):
        try:
            self.body = json.loads(self.raw) if self.raw and "json" in self.headers.get("Content-Type", "") else {}
            out = self.dispatch()
            return out if isinstance(out, Reply) else Reply(200, out)
        except Err as e:
            return Reply(e.code, e.body)
        except Exception as e:  # a bug here, or a body that gcloud's own schema would not have let through
            return Reply(500, {"error": {"code": 500, "status": "INTERNAL", "message": f"fake Google: {type(e).__name__}: {e}"}})

    def dispatch(self):
        for svc, method, rx, fn in ROUTES:
            m = method == self.command and svc in (self.svc, "*") and rx.match(self.path)
            if not m:
                continue
            kw, auth = {k: v for k, v in m.groupdict().items() if v is not None}, self.headers.get("Authorization", "")
            if fn is not platform.token and self.svc != "local":
                if not auth.startswith("Bearer ya29.fake-google-"):
                    raise Err(401, "Request is missing required authentication credential. Expected OAuth 2 access token (gcloud auth print-access-token).")
                self.who = base64.urlsafe_b64decode(auth.removeprefix("Bearer ya29.fake-google-") + "==").decode()
            if "p" in kw:
                kw["p"] = project(kw["p"])
                api_enabled(self.svc, kw["p"])
            return fn(self, **kw)
        raise Err(400, f"fake Google does not implement {self.command} {self.host}/{self.path}", "UNIMPLEMENTED")  # a 5xx would be retried for half a minute

    def answer(self, code, raw, headers):
        self.send_response(code)
        for k, v in {"Content-Type": "application/json; charset=UTF-8", "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(raw)

    def record(self, code, t0, fault=None):
        tag = dict(re.findall(r"(command|invocation-id)/(\S+)", self.headers.get("User-Agent", "")))
        line = {"t": now(), "method": self.command, "host": self.host, "path": "/" + self.path, "query": self.query, "status": code,
                "ms": round((time.time() - t0) * 1e3, 1), "command": tag.get("command"), "invocation": tag.get("invocation-id"), "body": self.log_body or self.body}
        line |= {"quota_project": self.headers["X-Goog-User-Project"]} if "X-Goog-User-Project" in self.headers else {}
        line |= {"fault": fault} if fault else {}
        with LOCK, open(os.path.join(ARGS.dir, "requests.jsonl"), "a") as fh:
            fh.write(json.dumps(line) + "\n")

    def forward(self, u):
        """A request for another loopback port (an emulator beside this fake) is passed on."""
        conn = http.client.HTTPConnection(self.host, timeout=120)
        conn.request(self.command, u._replace(scheme="", netloc="").geturl(), self.raw, {k: v for k, v in self.headers.items() if "connection" not in k.lower()})
        r = conn.getresponse()
        self.answer(r.status, r.read(), {"Content-Type": r.headers.get("Content-Type", "application/json")})

    def do_CONNECT(self):
        """A tunnel to another loopback port is relayed; any other ends here, with TLS by our own certificate or plain."""
        name, _, port = self.path.partition(":")
        other = socket.create_connection((name, int(port)), timeout=10) if name in LOOPBACK and int(port) != ARGS.port else None
        self.send_response(200, "Connection established")
        self.end_headers()
        while other:
            data = None
            for a in select.select([self.connection, other], [], [], 120)[0]:
                data = a.recv(65536)
                (other if a is self.connection else self.connection).sendall(data)
            if not data:
                return other.close()
        if self.connection.recv(1, socket.MSG_PEEK) == b"\x16":
            self.connection = TLS.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb", -1), self.connection.makefile("wb", 0)
        self.close_connection = False


def prepare(d, port):
    """The deployer's key and the TLS certificate, made once with openssl; they open nothing anywhere else."""
    os.makedirs(d, exist_ok=True)
    pem = os.path.join(d, "tls.pem")
    names = "*.googleapis.com *.mtls.googleapis.com *.us-central1.rep.googleapis.com *.pkg.dev gcr.io *.gcr.io *.run.app accounts.google.com".split()
    if not os.path.exists(pem):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=fake-google", "-addext",
                        "subjectAltName=" + ",".join("DNS:" + n for n in names), "-keyout", pem + ".key", "-out", pem], check=True, stderr=subprocess.DEVNULL)
    private = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", pem + ".key"], check=True, capture_output=True, text=True).stdout
    key = {"type": "service_account", "project_id": "fake-google", "private_key_id": "fake-google", "private_key": private, "client_email": DEPLOYER,
           "client_id": "100000000000000000000", "token_uri": f"http://127.0.0.1:{port}/token"}
    for name, text in (("key.json", json.dumps(key, indent=1)), ("port", port), ("pid", os.getpid())):
        with open(os.path.join(d, name), "w") as fh:
            fh.write(f"{text}\n")
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(pem, pem + ".key")
    return ctx


def end_with(parent):
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(0)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # With the default of 5, a connection beyond them would wait a second for its next attempt.
    request_queue_size = 128

    def handle_error(self, request, client_address):
        print(f"fake Google: {sys.exc_info()[1]!r}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--port", type=int, default=8790, help="0 for any free port")
    ap.add_argument("--dir", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "var"), help="key, certificate, pid, request log")
    ap.add_argument("--strict", action="store_true", help="also demand enabled APIs, existing service accounts and readable secrets")
    ap.add_argument("--exit-with", type=int, metavar="PID", help="end as soon as PID is not the parent any more")
    ARGS = ap.parse_args()
    CONFIG["strict"] = ARGS.strict
    server = Server(("127.0.0.1", ARGS.port), Handler)
    ARGS.port = server.server_port
    TLS = prepare(ARGS.dir, ARGS.port)
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
    print(f"fake Google on http://127.0.0.1:{ARGS.port}, files in {ARGS.dir}, strict={ARGS.strict}", flush=True)
    if ARGS.exit_with:
        threading.Thread(target=end_with, args=(ARGS.exit_with,), daemon=True).start()
    server.serve_forever()
