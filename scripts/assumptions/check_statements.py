"""Statements of BigQuery: repetition, errors, answers."""
import time
import uuid

from .facts import NotCheckable, check
from .services import parameter, values


@check("BQ-01")
def repeated(trial):
    _, table = trial.table()
    request = {"requestId": str(uuid.uuid4())}
    sql = f"INSERT INTO {table} (id, n) VALUES ('a', 1)"
    first = trial.bigquery.done(sql, **request)
    second = trial.bigquery.query(sql, **request)
    trial.state["repeated"] = first, second
    count = trial.bigquery.rows(f"SELECT COUNT(*) FROM {table}")[0][0]
    return count == "1", f"an INSERT of one row, sent twice with one requestId ({second}), left {count} rows"


@check("BQ-02")
def repeated_answer(trial):
    if "repeated" not in trial.state:
        repeated(trial)
    first, second = (answer.json.get("jobReference", {}).get("jobId") for answer in trial.state["repeated"])
    return bool(first) and first == second, f"the first answer names the job {first}, the second {second}"


@check("BQ-03")
def failed(trial):
    answer = trial.bigquery.query("SELECT 1 +")
    return answer.status == 400 and answer.reason == "invalidQuery", f"a wrong statement is answered {answer}"


@check("BQ-04")
def missing_table(trial):
    answer = trial.bigquery.query(f"SELECT * FROM `{trial.project}.{trial.dataset}.nothing`")
    return is_missing(answer, "Not found: Table"), f"{answer}"


@check("BQ-05")
def missing_dataset(trial):
    answer = trial.bigquery.query(f"SELECT * FROM `{trial.project}.{trial.run.underscored('nothing')}.nothing`")
    return is_missing(answer, "Not found: Dataset"), f"{answer}"


@check("BQ-06")
def other_location(trial):
    _, table = trial.table()
    other = "EU" if trial.bigquery.location.upper() != "EU" else "US"
    answer = trial.bigquery.query(f"SELECT * FROM {table}", location=other)
    return is_missing(answer, "Not found"), f"in {other}: {answer}"


def is_missing(answer, words):
    return answer.status == 404 and answer.reason == "notFound" and answer.message.startswith(words)


@check("BQ-07")
def bytes_limit(trial):
    _, table = trial.table()
    trial.bigquery.done(f"INSERT INTO {table} (id, n) VALUES ('a', 1)")
    answer = trial.bigquery.query(f"SELECT id FROM {table}", maximumBytesBilled="1")
    return not answer.is_ok and "exceeded limit for bytes billed" in answer.message.lower(), f"with maximumBytesBilled 1: {answer}"


def told(billed):
    return "the answer does not say what was billed" if billed is None else f"{billed} bytes billed"


@check("BQ-08")
def least_bytes(trial):
    _, table = trial.table()
    trial.bigquery.done(f"INSERT INTO {table} (id, n) VALUES ('a', 1)")
    answer = trial.bigquery.done(f"SELECT id FROM {table}")
    return answer.json.get("totalBytesBilled") == "10485760", f"a SELECT of a table with one row: {told(answer.json.get('totalBytesBilled'))}"


@check("BQ-09")
def deleted_partitions(trial):
    fields = [{"name": "day", "type": "DATE"}, {"name": "id", "type": "STRING"}]
    _, table = trial.table(fields, timePartitioning={"type": "DAY", "field": "day"}, clustering={"fields": ["id"]})
    trial.bigquery.done(f"INSERT INTO {table} (day, id) VALUES ('2026-01-01', 'a'), ('2026-01-02', 'b'), ('2026-01-03', 'c')")
    answer = trial.bigquery.done(f"DELETE FROM {table} WHERE day < '2026-01-03'")
    billed, rows = answer.json.get("totalBytesBilled"), answer.json.get("numDmlAffectedRows")
    return billed == "0", f"a DELETE of two partitions of a clustered table changed {rows} rows: {told(billed)}"


@check("BQ-10")
def ddl_bytes(trial):
    answer = trial.bigquery.done(f"CREATE TABLE `{trial.project}.{trial.dataset}.t{trial.number()}` (id STRING)")
    billed = answer.json.get("totalBytesBilled") or job_of(trial, answer).json.get("statistics", {}).get("query", {}).get("totalBytesBilled")
    return billed == "0", f"CREATE TABLE: {told(billed)}"


@check("BQ-18")
def merge_counts(trial):
    _, table = trial.table()
    trial.bigquery.done(f"INSERT INTO {table} (id, n) VALUES ('a', 1), ('b', 1)")
    answer = trial.bigquery.done(f"MERGE {table} t USING (SELECT 'a' AS id UNION ALL SELECT 'c') s ON t.id = s.id "
                                 "WHEN MATCHED THEN UPDATE SET n = 2 WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, 3)")
    found = answer.json.get("dmlStats")
    wanted = {"insertedRowCount": "1", "updatedRowCount": "1"}
    return bool(found) and wanted.items() <= found.items(), f"of one row inserted and one updated: dmlStats {found}"


@check("BQ-19")
def affected_rows(trial):
    _, table = trial.table()
    trial.bigquery.done(f"INSERT INTO {table} (id, n) VALUES ('a', 1)")
    counts = [trial.bigquery.done(f"UPDATE {table} SET n = 2 WHERE id = '{name}'").json.get("numDmlAffectedRows") for name in "ab"]
    return counts == ["1", "0"], f"of UPDATEs of one row and of none: {counts[0]!r} and {counts[1]!r}"


@check("BQ-20")
def microseconds(trial):
    found = trial.bigquery.rows("SELECT TIMESTAMP '2026-01-31 00:05:00.000001+00:00'")[0][0]
    return found == "1769817900000001", f"2026-01-31 00:05:00.000001 comes as {found}"


@check("BQ-21")
def parameters(trial):
    struct = {"type": "STRUCT", "structTypes": [{"name": "id", "type": {"type": "STRING"}}, {"name": "n", "type": {"type": "INT64"}}]}
    rows = [{"structValues": {"id": {"value": name}, "n": {"value": str(n)}}} for name, n in (("a", 1), ("b", 2))]
    found = trial.bigquery.rows(
        "SELECT @nothing IS NULL, SUM(r.n), STRING_AGG(r.id, '' ORDER BY r.id) FROM UNNEST(@rows) AS r",
        parameter("nothing", "STRING"),
        {"name": "rows", "parameterType": {"type": "ARRAY", "arrayType": struct}, "parameterValue": {"arrayValues": rows}})
    return found == [["true", "3", "ab"]], f"NULL and two structs come back as {found}"


@check("BQ-22")
def pages(trial):
    first = trial.bigquery.done("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 25)) AS n ORDER BY n", maxResults=10)
    sizes, found, page = [], [], first
    while True:
        rows = [row[0] for row in values(page)]
        sizes.append(len(rows))
        found += rows
        token = page.json.get("pageToken")
        if not token or len(sizes) > 5:
            break
        reference = first.json["jobReference"]
        page = trial.bigquery.call("GET", f"/queries/{reference['jobId']}", location=reference.get("location", trial.bigquery.location),
                                   maxResults=10, pageToken=token).needed("read a page")
    return sizes == [10, 10, 5] and found == [str(n) for n in range(1, 26)], f"25 rows came in pages of {sizes}, {len(set(found))} of them distinct"


@check("BQ-23")
def timeout(trial):
    began = time.monotonic()
    endless = "SELECT COUNTIF(MOD(a * b, 7) = 3) FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS a, UNNEST(GENERATE_ARRAY(1, 300000)) AS b"
    answer = trial.bigquery.query(endless, jobTimeoutMs="5000")
    seconds = time.monotonic() - began
    reason, text = answer.reason, str(answer)
    if answer.is_ok:
        # The error of a job may come with status 200.
        problem = job_of(trial, answer).json.get("status", {}).get("errorResult")
        if not problem:
            raise NotCheckable(f"the statement ended by itself after {seconds:.0f} s")
        reason, text = problem.get("reason"), f"200, and the job has the error {problem}"
    return reason in ("stopped", "timeout") and seconds < 90, f"with jobTimeoutMs 5000, after {seconds:.0f} s: {text}"


@check("BQ-24")
def canceled(trial):
    reference = trial.bigquery.done("SELECT 1").json["jobReference"]
    answer = trial.bigquery.call("POST", f"/jobs/{reference['jobId']}/cancel", location=reference.get("location", trial.bigquery.location))
    return answer.is_ok, f"{answer}"


@check("BQ-25")
def job_bytes(trial):
    job = job_of(trial, trial.bigquery.done("SELECT 1"))
    found = job.json.get("statistics", {}).get("query", {}).get("totalBytesBilled")
    return isinstance(found, str) and found.isdigit(), f"statistics.query.totalBytesBilled is {found!r}"


@check("BQ-28")
def labels(trial):
    job = job_of(trial, trial.bigquery.done("SELECT 1"))
    found = job.json.get("configuration", {}).get("labels", {})
    return trial.run.labels.items() <= found.items(), f"the job has the labels {found}"


def job_of(trial, answer):
    reference = answer.json["jobReference"]
    return trial.bigquery.call("GET", f"/jobs/{reference['jobId']}",
                               location=reference.get("location", trial.bigquery.location)).needed("read a job")


@check("BQ-26")
def packed_answers(trial):
    answer = trial.bigquery.done("SELECT REPEAT('x', 1000) FROM UNNEST(GENERATE_ARRAY(1, 100))")
    return answer.is_packed, f"100 rows of 1,000 equal characters came {'packed' if answer.is_packed else 'as they are'}"


@check("BQ-27")
def packed_bodies(trial):
    answer = trial.bigquery.query("SELECT 7", packed=True)
    return answer.is_ok and values(answer) == [["7"]], f"{answer}"


@check("BQ-66")
def fingerprint(trial):
    # The example of BigQuery's documentation of the function.
    found = trial.bigquery.rows("SELECT FARM_FINGERPRINT('1footrue')")[0][0]
    return found == "-1541654101129638711", f"FARM_FINGERPRINT('1footrue') is {found}; the documentation has -1541654101129638711"
