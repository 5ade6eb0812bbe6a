"""A proxy on this machine between assumptions.sh and one of the stand-ins, which changes one behavior on demand."""
import http.client
import http.server
import json
import threading
import urllib.parse


class Message:
    """A request or an answer. `json` is read from the body, and the body is written from it where `keep` is called."""

    def __init__(self, method, url, headers, body, status=0):
        self.method, self.url, self.headers, self.body, self.status = method, url, headers, body, status
        parts = urllib.parse.urlsplit(url)
        self.path, self.query = urllib.parse.unquote(parts.path), urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
        try:
            self.json = json.loads(body or b"null")
        except ValueError:
            self.json = None

    def keep(self):
        self.body = json.dumps(self.json).encode()

    def set_query(self, items):
        self.query = items
        parts = urllib.parse.urlsplit(self.url)
        self.url = urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(items)))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "content-length", "proxy-connection")}
        sent = Message(self.command, self.path, headers, body)
        deviation = self.server.deviation
        if deviation and deviation.request:
            answer = deviation.request(sent)
            if answer:
                self.answer(*answer)
                return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=60)
        try:
            connection.request(sent.method, sent.url, sent.body, sent.headers)
            reply = connection.getresponse()
            got = Message(sent.method, sent.url, dict(reply.headers), reply.read(), reply.status)
        finally:
            connection.close()
        if deviation and deviation.response:
            deviation.response(sent, got)
        self.answer(got.status, got.body, got.headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {"Content-Type": "application/json"}).items():
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.deviation = urllib.parse.urlsplit(target).port, None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"
