"""A scripted BigQuery and a scripted Stripe, which answer the jobs as the real services do.

World(case) answers every request as usual, except where a rule of the case says otherwise. README.md lists the members of a case.
"""
import copy
import gzip
import json
import re
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "Sources/SchemaKit/Catalog/Tables"
PROJECT = "cloudact-testing-1"
BASE = f"/bigquery/v2/projects/{PROJECT}"


def catalog(group):
    return {file.stem: json.loads(file.read_text()) for file in sorted((CATALOG / group).glob("*.json"))}


GROUPS = {group: catalog(group) for group in ("organization", "organizations", "operations")}


def column(name, type="STRING", mode="NULLABLE"):
    return {"name": name, "type": type, "mode": mode}


def table_resource(dataset, name, body, etag="pMhFkzuVAkyHCN7dZLKpVQ=="):
    table = {"kind": "bigquery#table", "etag": etag, "id": f"{PROJECT}:{dataset}.{name}",
             "selfLink": f"https://bigquery.googleapis.com{BASE}/datasets/{dataset}/tables/{name}",
             "tableReference": {"projectId": PROJECT, "datasetId": dataset, "tableId": name}}
    table.update(copy.deepcopy(body))
    table.update({"numBytes": "0", "numLongTermBytes": "0", "numRows": "0", "creationTime": "1767225600123",
                  "lastModifiedTime": "1767225601456", "type": table.get("type", "TABLE"), "location": "US",
                  "numTotalLogicalBytes": "0", "numActiveLogicalBytes": "0", "numLongTermLogicalBytes": "0"})
    return table


def dataset_resource(dataset, **more):
    return {"kind": "bigquery#dataset", "etag": "d==", "id": f"{PROJECT}:{dataset}",
            "datasetReference": {"datasetId": dataset, "projectId": PROJECT}, "location": "US", "type": "DEFAULT",
            "creationTime": "1767225600123", "lastModifiedTime": "1767225600123", **more}


def error(code, reason, message, status):
    return code, {"error": {"code": code, "message": message, "status": status,
                            "errors": [{"message": message, "domain": "global", "reason": reason}]}}


def not_found(what):
    return error(404, "notFound", f"Not found: {what}", "NOT_FOUND")


def reply(job, **members):
    """The reply of jobs.query for a statement that is done."""
    return 200, {"kind": "bigquery#queryResponse", "jobReference": {"projectId": PROJECT, "jobId": job, "location": "US"},
                 "jobCreationReason": {"code": "REQUESTED"}, "queryId": job, "location": "US", "totalBytesProcessed": "1024",
                 "totalBytesBilled": "10485760", "totalSlotMs": "42", "jobComplete": True, "cacheHit": False,
                 "creationTime": "1767225600000", "startTime": "1767225600100", "endTime": "1767225600400", **members}


def rows(job, columns, values, **more):
    members = {"schema": {"fields": columns}, "totalRows": str(len(values))}
    if values:
        members["rows"] = [{"f": [{"v": value} for value in row]} for row in values]
    return reply(job, **members, **more)


def dml(job, inserted=0, updated=0, deleted=0):
    return reply(job, schema={}, numDmlAffectedRows=str(inserted + updated + deleted),
                 dmlStats={"insertedRowCount": str(inserted), "updatedRowCount": str(updated), "deletedRowCount": str(deleted)})


def script(job):
    """The reply of a script of DDL, or of a transaction: no schema and no rows, whether it succeeded or failed."""
    return reply(job)


ROLLOUT_COLUMNS = [
    *(column(name, "INTEGER") for name in ("number", "task_index", "task_count", "wave", "remaining")),
    *(column(name) for name in ("waves", "state", "reason")),
    *(column(name, "TIMESTAMP") for name in ("started_at", "wave_started_at", "updated_at"))]
UNIT, RECORD, GROUP = "\x1f", "\x1e", "\x1d"
SQL_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def shape(table):
    """The text by which the comparison describes a table of the catalog, none of which has RECORDs."""
    fields = table["schema"]["fields"]
    partitioning = table.get("timePartitioning", {})
    clustering = table.get("clustering", {}).get("fields", [])
    columns, paths = [], []
    for field in fields:
        kind, name, mode = SQL_TYPES.get(field["type"], field["type"]), field["name"], field.get("mode", "NULLABLE")
        columns.append(UNIT.join([
            name, f"ARRAY<{kind}>" if mode == "REPEATED" else kind, "YES" if mode == "NULLABLE" else "NO",
            "YES" if name == partitioning.get("field") else "NO", str(clustering.index(name) + 1) if name in clustering else "",
            field.get("defaultValueExpression", "NULL")]))
        paths.append(UNIT.join([name, field.get("description", ""), "NULL", "", ""]))
    options = [f"description{UNIT}{json.dumps(table['description'])}"] if "description" in table else []
    clause = ""
    if partitioning:
        name = partitioning["field"]
        is_date = any(field["name"] == name and field["type"] == "DATE" for field in fields)
        clause = "\nPARTITION BY " + (name if is_date else f"DATE({name})")
        assert partitioning["type"] == "DAY"
    return GROUP.join(["BASE TABLE", RECORD.join(columns), RECORD.join(paths), RECORD.join(options), clause, "", ""])


CENSUS_COLUMNS = [column(name) for name in ("slug", "named", "dataset", "owner")] + [
    column(name, "BOOLEAN") for name in ("is_valid", "is_reserved", "is_misnamed", "is_ambiguous")] + [
    column("organizations", "INTEGER")]
SURVEY_COLUMNS = [column("table_name"), column("shape"), column("shape_key"), column("datasets", "INTEGER"), column("members")]
QUOTA_CENSUS_COLUMNS = [column("census_kind"), column("census_name"), *(column(f"census_{n}", "INTEGER") for n in (1, 2, 3))]
LIMITS = ("daily_limit", "monthly_limit", "concurrent_limit", "seat_limit", "providers_limit")
BILLING_COLUMNS = [
    column("org_slug"), column("subscription_id"), column("stripe_read_at", "TIMESTAMP"), column("row_count", "INTEGER"),
    column("live_rows", "INTEGER"),
    column("plan_name"), column("status"), *(column(name, "INTEGER") for name in LIMITS), column("trial_end_date", "DATE"),
    column("subscription_end_date", "DATE"), column("stripe_customer_id"), column("stripe_subscription_id"),
    column("current_period_end", "TIMESTAMP"), column("cancel_at_period_end", "BOOLEAN"), column("profile_variants", "INTEGER"),
    column("profile_plan"), column("quota_variants", "INTEGER"), *(column(f"quota_{name}", "INTEGER") for name in LIMITS),
    column("is_in_progress", "BOOLEAN")]


def billing_row(state):
    """The row of an organization in the billing state. Its fields are in the order of the columns; an empty one is NULL."""
    fields = [field or None for field in state["fields"]]
    if fields[12]:
        fields[12] = "true" if fields[12] == "1" else "false"
    rows, quota = state.get("rows", "1"), state.get("quota", "1")
    live = "1" if fields[1] in ("ACTIVE", "TRIAL") else "0"
    return [state["slug"], state.get("row") or None, state.get("version"), rows, live, *fields[:13], "1", fields[13], quota,
            *fields[14:], "false"]


def microseconds(seconds_from_now):
    """An instant as BigQuery writes it."""
    return str(int((time.time() + seconds_from_now) * 1_000_000))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handle):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size) if size else b""
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                handle(self, body.decode())

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class World:
    """BigQuery as one case sees it. `requests` has what was sent: method, path, body, headers, and when."""

    def __init__(self, case):
        self.world = case.get("world", {})
        self.rules = copy.deepcopy(case.get("rules", []))
        self.requests, self.tables, self.lock = [], {}, threading.Lock()
        self.missing = {found[0] for found in self.world.get("survey", []) if found[1] == "false"}
        self.server = Server(self.handle)

    def handle(self, handler, body):
        path = handler.path.removeprefix(BASE)
        line = f"{handler.command} {path}"
        with self.lock:
            self.requests.append({"method": handler.command, "path": handler.path, "line": line, "body": body,
                                  "headers": dict(handler.headers.items()), "at": time.time()})
            job = f"job_{len(self.requests):04d}_Qx7"
            rule = self.rule_for(line, body)
        time.sleep(rule.get("delay", 0))
        if "raw" in rule:
            status, data = 200, rule["raw"]
        elif "answer" in rule:
            with self.lock:
                status, answer = getattr(self, rule["answer"])("job_dup_1", kind="bigquery#getQueryResultsResponse")
            data = json.dumps(answer)
        elif "json" in rule:
            status, data = 200, json.dumps(rule["json"])
        else:
            with self.lock:
                status, answer = self.answer(handler.command, path, body, job)
            answer = {key: value for key, value in {**answer, **rule.get("merge", {})}.items() if key not in rule.get("drop", [])}
            data = json.dumps(answer)
        self.send(handler, rule.get("status", status), rule.get("headers", {}), data.replace("$JOB", job).encode())

    def rule_for(self, line, body):
        for rule in self.rules:
            if not re.search(rule["match"], line) or not re.search(rule.get("body", ""), body, re.S):
                continue
            times = rule.get("times", 1)
            if times == 0:
                continue
            rule["times"] = times - 1 if times > 0 else times
            return rule
        return {}

    def send(self, handler, status, headers, data):
        headers = {"Content-Type": "application/json; charset=UTF-8", "Vary": "Origin, X-Origin, Referer", "Server": "ESF",
                   "Cache-Control": "private", "X-XSS-Protection": "0", "X-Frame-Options": "SAMEORIGIN",
                   "X-Content-Type-Options": "nosniff", **headers}
        # Google's servers compress for clients only that name gzip in both headers.
        if all("gzip" in handler.headers.get(name, "") for name in ("Accept-Encoding", "User-Agent")) and len(data) > 200:
            data = gzip.compress(data)
            headers["Content-Encoding"] = "gzip"
        try:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The job was stopped, as some cases want it.

    def answer(self, verb, path, body, job):
        path = path.partition("?")[0]
        match verb, path.strip("/").split("/"):
            case "POST", ["queries"]: return self.query(json.loads(body), job)
            case "GET", ["queries", of]: return rows(of, [column("x")], [], kind="bigquery#getQueryResultsResponse")
            case "GET", ["jobs", _]:
                return 200, {"status": {"state": "DONE"}, "statistics": {"query": {"totalBytesBilled": "10485760"}}}
            case "POST", ["jobs", _, "cancel"]:
                return 200, {"kind": "bigquery#jobCancelResponse", "job": {"kind": "bigquery#job", "status": {"state": "RUNNING"}}}
            case "GET", ["datasets"]:
                names = ["organizations", "scheduler_jobs"] + [
                    dataset for _, dataset in self.organizations if dataset not in self.missing]
                return 200, {"kind": "bigquery#datasetList", "etag": "l==", "datasets": [dataset_resource(name) for name in names]}
            case "POST", ["datasets"]:
                sent = json.loads(body)
                name = sent["datasetReference"]["datasetId"]
                self.missing.discard(name)
                return 200, dataset_resource(name, **sent, maxTimeTravelHours="168")
            case "GET", ["datasets", dataset] if dataset in self.missing: return not_found(f"Dataset {PROJECT}:{dataset}")
            case "GET", ["datasets", dataset]: return 200, dataset_resource(dataset)
            case "GET", ["datasets", dataset, "tables"]:
                is_there, absent, _ = self.found(dataset)
                names = {name for name in GROUPS["organization"] if is_there and name not in absent}
                names |= {name for of, name in self.tables if of == dataset}
                tables = [{"kind": "bigquery#table", "id": f"{PROJECT}:{dataset}.{name}", "type": "TABLE",
                           "tableReference": {"projectId": PROJECT, "datasetId": dataset, "tableId": name}}
                          for name in sorted(names)]
                return 200, {"kind": "bigquery#tableList", "etag": "x==", "tables": tables, "totalItems": len(tables)}
            case "POST", ["datasets", dataset, "tables"]:
                sent = json.loads(body)
                name = sent["tableReference"]["tableId"]
                self.tables[dataset, name] = table_resource(dataset, name, sent)
                return 200, self.tables[dataset, name]
            case ("GET" | "PATCH"), ["datasets", dataset, "tables", name]:
                table = self.table(dataset, name)
                if table is None:
                    return not_found(f"Table {PROJECT}:{dataset}.{name}")
                if verb == "PATCH":
                    table.update(json.loads(body), etag="after==")
                return 200, table
        return not_found("URL")

    def table(self, dataset, name):
        """The catalog's table, changed as the case says."""
        if (dataset, name) in self.tables:
            return self.tables[dataset, name]
        changes = self.world.get("tables", {}).get(name)
        known = next((tables[name] for tables in GROUPS.values() if name in tables), None)
        if changes is None and known is None:
            return None
        body = copy.deepcopy(known or {})
        fields = body.get("schema", {}).get("fields", [])
        absent = self.world.get("lacks", {}).get(name, [])
        fields[:] = [field for field in fields if field["name"] not in absent]
        for field in fields:
            field.update(self.world.get("field_extras", {}).get(field["name"], {}))
        for key, value in copy.deepcopy(changes or {}).items():
            if value is None:
                body.pop(key, None)
            elif key == "addfields":
                fields += value
            else:
                body[key] = value
        if self.world.get("strip_modes"):
            for field in body.get("schema", {}).get("fields", []):
                if field.get("mode") == "NULLABLE":
                    del field["mode"]
        self.tables[dataset, name] = table_resource(dataset, name, body, body.pop("etag", "pMhFkzuVAkyHCN7dZLKpVQ=="))
        return self.tables[dataset, name]

    @property
    def organizations(self):
        return self.world.get("orgs", [["acme", "acme_prod"], ["globex", "globex_prod"]])

    def query(self, request, job):
        """The answer to a statement, which is recognized by words that only it has."""
        sql, world = request["query"], self.world
        if "INFORMATION_SCHEMA" in sql:
            return self.survey(job, request)
        if "is_ambiguous, COUNT(*)" in sql:
            return self.census(job)
        if "SELECT subject, dataset FROM" in sql:
            return rows(job, [column("subject"), column("dataset")], self.organizations)
        if "AS profile_variants" in sql:
            return rows(job, BILLING_COLUMNS, [billing_row(state) for state in world.get("billing", [])])
        if "SELECT DISTINCT c.org_slug" in sql:
            changes = next(p for p in request["queryParameters"] if p["name"] == "changes")["parameterValue"]["arrayValues"]
            written = [[change["structValues"]["org_slug"]["value"], None] for change in changes]
            return rows(job, [column("org_slug"), column("former_owner")], written)
        if "MIN(read_to) AS read_to" in sql:
            columns = [column(name, "TIMESTAMP") for name in ("read_to", "gap_recorded_at", "open_since")]
            return rows(job, columns, [[str(int(time.time()) * 1_000_000), None, None]])
        if "AS abandoned" in sql:
            return self.numbers(job, pending=len(world.get("queue", [])), abandoned=0)
        if "SELECT sync_id, org_slug, sync_type" in sql:
            columns = [column("sync_id"), column("org_slug"), column("sync_type"), column("payload", "JSON"),
                       column("retry_count", "INTEGER"), column("max_retries", "INTEGER")]
            return rows(job, columns, world.get("queue", []))
        if "AS oldest_pending" in sql:
            columns = [column(name, "INTEGER") for name in ("pending", "processing", "failed", "completed_today")]
            return rows(job, columns + [column("oldest_pending", "TIMESTAMP")], [["1", "0", "0", "4", "1767225600000000"]])
        if "AS failed" in sql and "COUNT(*)" in sql:
            return self.numbers(job, failed=1)
        if "AS old_rows" in sql:
            return self.numbers(job, old_rows=3)
        if "AS missing" in sql:
            return self.numbers(job, missing=1, differing=2)
        if sql.startswith("UPDATE `scheduler_jobs.job_leases`"):
            return dml(job, updated=1)
        if "SELECT job, holder" in sql:
            columns = [column("job"), column("holder"), column("token"), column("acquired_at", "TIMESTAMP"),
                       column("expires_at", "TIMESTAMP")]
            return rows(job, columns, [[*lease[:3], *map(microseconds, lease[3:])] for lease in world.get("leases", [])])
        if sql.startswith("MERGE"):
            return dml(job, inserted=2, updated=1)
        if "census_kind" in sql:
            return rows(job, QUOTA_CENSUS_COLUMNS, [
                ["organizations", None, "2", "0", "0"], ["profiles", None, "2", "2", "0"], ["subscriptions", None, "2", "0", "0"]])
        if sql.startswith("DELETE"):
            return dml(job, deleted=3)
        if "'stale' AS kind" in sql:
            columns = [column("kind"), column("name"), column("number", "INTEGER"), column("oldest", "TIMESTAMP"),
                       column("day", "DATE")]
            return rows(job, columns, [["stale", *row, None] for row in world.get("stale", [])])
        if "running_before" in sql:
            names = [f"{name}_{when}" for name in ("running", "highest", "failed") for when in ("before", "after")]
            columns = [column("org_slug"), column("usage_date", "DATE")] + [column(name, "INTEGER") for name in names]
            return rows(job, columns, world.get("wrong", []))
        if "CREATE TABLE IF NOT EXISTS" in sql:
            for dataset, name in re.findall(r"CREATE TABLE IF NOT EXISTS `(\w+)\.(\w+)`", sql):
                body = GROUPS["organization"].get(name, {"schema": {}})
                self.tables.setdefault((dataset, name), table_resource(dataset, name, body))
            return script(job)
        if "FROM `scheduler_jobs.rollouts`" in sql:
            return rows(job, ROLLOUT_COLUMNS, [])
        if sql.startswith("INSERT INTO"):
            return dml(job, inserted=1)
        if sql.startswith("UPDATE"):
            return dml(job, updated=2)
        return error(400, "invalidQuery", f"the scripted BigQuery has no answer to {sql[:80]}", "INVALID_ARGUMENT")

    def census(self, job, **more):
        """How many organizations there are. None of them is irregular."""
        return rows(job, CENSUS_COLUMNS, [[None] * 4 + ["true"] + ["false"] * 3 + [str(len(self.organizations))]], **more)

    def found(self, dataset, of="survey"):
        """Whether the views show the dataset, which tables they do not show, and which they show incompletely."""
        for name, is_there, absent, differing in self.world.get(of, self.world.get("survey", [])):
            if name == dataset:
                return is_there == "true", (absent or "").split(","), (differing or "").split(",")
        return True, [], []

    def survey(self, job, request=None, **more):
        """The states of the datasets. Without a request, the survey is about all organizations."""
        parameters = {p["name"]: p["parameterValue"] for p in (request or {}).get("queryParameters", [])}
        named = [row["structValues"] for row in parameters.get("datasets", {}).get("arrayValues", [])]
        targets = [(row["subject"]["value"], row["dataset"]["value"]) for row in named] or self.organizations
        is_region = request is None or "`region-" in request["query"]
        groups = {}
        for subject, dataset in targets:
            is_there, absent, differing = self.found(dataset, "survey" if is_region else "survey_dataset")
            is_there = is_there or bool(named and is_region)  # Another region's datasets were found before they are asked for.
            tables = {"organizations": "organizations", "scheduler_jobs": "operations"}.get(dataset, "organization")
            states = {"": "" if is_there else None}
            for name, table in GROUPS[tables].items() if is_there else ():
                states[name] = None if name in absent else "not complete" if name in differing else shape(table)
            for name, state in states.items():
                groups.setdefault((name, state), []).append(f"{subject}={dataset}")
        values = [[name, state, None if state is None else f"{len(state)}", str(len(members)), ",".join(members)]
                  for (name, state), members in groups.items()]
        if is_region and not named:
            values.append(["org_profiles", "", "", "1", "=organizations"])
        return rows(job, SURVEY_COLUMNS, values, **more)

    @staticmethod
    def numbers(job, **values):
        return rows(job, [column(name, "INTEGER") for name in values], [[str(value) for value in values.values()]])


class Stripe:
    """As much of Stripe as the billing jobs read: the subscriptions and products of a case."""

    def __init__(self, case):
        self.world = case.get("world", {}).get("stripe", {})
        self.server = Server(self.handle)

    def handle(self, handler, _):
        url = urllib.parse.urlparse(handler.path)
        status, answer = self.answer(url.path, dict(urllib.parse.parse_qsl(url.query)))
        data = json.dumps(answer).encode()
        handler.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Request-Id", "req_x"), ("Content-Length", str(len(data)))):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def answer(self, path, query):
        subscriptions = self.world.get("subscriptions", [])
        found = []
        if path == "/v1/subscriptions":
            found = [s for s in subscriptions if query.get("customer") in (None, s["customer"]["id"])]
        elif path.startswith("/v1/subscriptions/"):
            for subscription in subscriptions:
                if subscription["id"] == path.split("/")[-1]:
                    return 200, subscription
            return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such subscription"}}
        elif path == "/v1/products":
            found = self.world.get("products", [])
        return 200, {"object": "list", "url": path, "has_more": False, "data": found}
