"""Services that differ from the real ones in one behavior each, and the facts that no longer hold then."""
import dataclasses
import json
import re

TABLE = re.compile(r"/datasets/[^/]+/tables/[^/]+$")
PLANTED = []


@dataclasses.dataclass
class Deviation:
    """`request` may change a request or answer it; `response` may change the answer."""
    name: str
    service: str
    facts: tuple
    request: object = None
    response: object = None


def planted(name, service, *facts, at="response"):
    def register(function):
        PLANTED.append(Deviation(name, service, facts, **{at: function}))
        return function
    return register


def is_query(message):
    return message.method == "POST" and message.path.endswith("/queries") and isinstance(message.json, dict)


def error(status, reason, text):
    return json.dumps({"error": {"code": status, "message": text, "errors": [{"reason": reason, "message": text}]}}).encode()


# ---------------------------------------------------------------- BigQuery
@planted("a repeated requestId repeats the work", "bigquery", "BQ-01", "BQ-02", at="request")
def repeat(sent):
    if is_query(sent) and sent.json.pop("requestId", None):
        sent.keep()


@planted("If-Match is ignored", "bigquery", "BQ-43", at="request")
def ignore_condition(sent):
    sent.headers = {k: v for k, v in sent.headers.items() if k.lower() != "if-match"}


@planted("tables have no etag", "bigquery", "BQ-42", "BQ-43", "BQ-53")
def drop_etag(sent, got):
    if TABLE.search(sent.path) and isinstance(got.json, dict) and got.json.pop("etag", None):
        got.keep()


@planted("a second creation of a table is answered 200", "bigquery", "BQ-41")
def accept_duplicate(sent, got):
    if sent.method == "POST" and sent.path.endswith("/tables") and got.status == 409:
        got.status, got.json = 200, sent.json
        got.keep()


@planted("what is missing has the reason invalid", "bigquery", "BQ-04", "BQ-05", "BQ-06")
def wrong_reason(sent, got):
    if is_query(sent) and got.status == 404:
        got.status, got.body = 400, error(400, "invalid", got.json["error"]["message"])


@planted("pageToken of a listing is ignored", "bigquery", "BQ-54", at="request")
def ignore_token(sent):
    if sent.method == "GET" and sent.path.endswith(("/tables", "/datasets")):
        sent.set_query([item for item in sent.query if item[0] != "pageToken"])


@planted("pageToken of a result is ignored", "bigquery", "BQ-22", at="request")
def ignore_page(sent):
    if sent.method == "GET" and "/queries/" in sent.path:
        sent.set_query([item for item in sent.query if item[0] != "pageToken"])


@planted("clustering is not set in place", "bigquery", "BQ-50", at="request")
def drop_clustering(sent):
    if sent.method == "PATCH" and TABLE.search(sent.path) and sent.json.pop("clustering", None):
        sent.keep()


@planted("a REQUIRED column can be added", "bigquery", "BQ-46", at="request")
def accept_required(sent):
    if sent.method == "PATCH" and TABLE.search(sent.path) and "schema" in sent.json:
        last = sent.json["schema"]["fields"][-1]
        if last.get("mode") == "REQUIRED":
            last["mode"] = "NULLABLE"
            sent.keep()


@planted("timestamps are seconds with decimals", "bigquery", "BQ-20")
def float_timestamps(sent, got):
    if is_query(sent) and isinstance(got.json, dict) and got.json.get("rows"):
        for number, field in enumerate(got.json.get("schema", {}).get("fields", [])):
            for row in got.json["rows"] if field["type"] == "TIMESTAMP" else []:
                row["f"][number]["v"] = repr(int(row["f"][number]["v"]) / 1e6)
        got.keep()


@planted("there is no dmlStats", "bigquery", "BQ-18")
def drop_counts(sent, got):
    if is_query(sent) and isinstance(got.json, dict) and got.json.pop("dmlStats", None):
        got.keep()


@planted("every UPDATE says that it changed a row", "bigquery", "BQ-15", "BQ-19")
def claim_a_row(sent, got):
    if is_query(sent) and got.status == 200 and sent.json["query"].startswith("UPDATE"):
        got.json["numDmlAffectedRows"] = "1"
        got.keep()


@planted("a packed body is refused", "bigquery", "BQ-27", at="request")
def refuse_packed(sent):
    if "gzip" in {v.lower() for k, v in sent.headers.items() if k.lower() == "content-encoding"}:
        return 415, error(415, "invalid", "Unsupported Media Type")
    return None


@planted("a location's TABLES never shows new tables", "bigquery", "BQ-60", "BQ-61")
def hide_tables(sent, got):
    if is_query(sent) and re.search(r"region-us`\.INFORMATION_SCHEMA\.TABLES\b", sent.json["query"]) and got.status == 200:
        got.json["rows"] = []
        got.keep()


@planted("a failed transaction keeps its first statements", "bigquery", "BQ-13", at="request")
def no_transaction(sent):
    if is_query(sent) and "BEGIN TRANSACTION" in sent.json["query"]:
        sent.json["query"] = re.sub(r"(BEGIN|COMMIT) TRANSACTION;\n?", "", sent.json["query"])
        sent.keep()


# ---------------------------------------------------------------- Stripe
@planted("events come oldest first", "stripe", "ST-01")
def reorder(sent, got):
    if sent.path.endswith("/events") and got.status == 200:
        got.json["data"].reverse()
        got.keep()


@planted("events have no previous_attributes", "stripe", "ST-08")
def drop_previous(sent, got):
    if sent.path.endswith("/events") and got.status == 200:
        for event in got.json["data"]:
            event["data"].pop("previous_attributes", None)
        got.keep()


@planted("status=all leaves the canceled subscriptions out", "stripe", "ST-03", "ST-05", at="request")
def leave_out(sent):
    if sent.path.endswith("/subscriptions") and sent.method == "GET":
        sent.set_query([item for item in sent.query if item != ("status", "all")])


@planted("expand is ignored", "stripe", "ST-06", at="request")
def ignore_expand(sent):
    sent.set_query([item for item in sent.query if item[0] != "expand[]"])


@planted("has_more is always false", "stripe", "ST-03")
def last_page(sent, got):
    if sent.path.endswith("/subscriptions") and sent.method == "GET" and got.status == 200:
        got.json["has_more"] = False
        got.keep()


@planted("types[] of events is ignored", "stripe", "ST-10", at="request")
def ignore_types(sent):
    if sent.path.endswith("/events"):
        sent.set_query([item for item in sent.query if item[0] != "types[]"])


@planted("objects are of live mode", "stripe", "ST-17")
def live(sent, got):
    if sent.method == "GET" and isinstance(got.json, dict) and got.json.get("object") == "subscription":
        got.json["livemode"] = True
        got.keep()


# ---------------------------------------------------------------- Google's other services
@planted("a failed execution counts no attempts", "google", "RUN-04")
def drop_attempts(sent, got):
    if "/executions/" in sent.path and got.status == 200 and got.json["status"].pop("retriedCount", None):
        got.keep()


@planted("log entries have no labels", "google", "RUN-08")
def drop_labels(sent, got):
    if sent.path.endswith("entries:list") and got.status == 200:
        for entry in got.json.get("entries", []):
            entry.pop("labels", None)
        got.keep()


@planted("a refused trigger leaves no entry", "google", "SCH-02")
def drop_entries(sent, got):
    if sent.path.endswith("entries:list") and "cloud_scheduler_job" in sent.json["filter"]:
        got.json["entries"] = []
        got.keep()


@planted("a job may set the variables of Cloud Run", "google", "RUN-09")
def accept_reserved(sent, got):
    if sent.method == "POST" and sent.path.endswith("/jobs") and b"CLOUD_RUN_EXECUTION" in sent.body and got.status == 400:
        got.status, got.json = 200, sent.json
        got.keep()


@planted("roles/run.invoker is not enough for a trigger", "google", "SCH-01", at="request")
def lose_role(sent):
    if sent.path.endswith(":setIamPolicy") and "/jobs/" in sent.path:
        sent.json = {"policy": {"bindings": []}}
        sent.keep()
