"""Datasets and tables of BigQuery: creation, changes, etags, listings."""
import time

from .bounds import measured
from .facts import NotCheckable, check
from .trial import COLUMNS

MORE = [{"name": "more", "type": "DATE"}]


def fields_of(table):
    return table.json.get("schema", {}).get("fields", [])


def names_of(table):
    return [field["name"] for field in fields_of(table)]


@check("BQ-40")
def second_dataset(trial):
    body = {"datasetReference": {"datasetId": trial.dataset}, "location": trial.bigquery.location, "labels": trial.run.labels}
    answer = trial.bigquery.call("POST", "/datasets", body)
    return answer.status == 409 and answer.reason == "duplicate", f"{answer}"


@check("BQ-41")
def second_table(trial):
    path, _ = trial.table()
    answer = trial.create_table(path.split("/")[-1])
    return answer.status == 409 and answer.reason == "duplicate", f"{answer}"


@check("BQ-42")
def etags(trial):
    path, _ = trial.table()
    before = trial.bigquery.call("GET", path)
    trial.bigquery.call("PATCH", path, {"schema": {"fields": COLUMNS + MORE}}).needed("add a column")
    after = trial.bigquery.call("GET", path)
    first, second = before.json.get("etag"), after.json.get("etag")
    return bool(first and second) and first != second, f"the etag was {first} before the change and {second} after it"


@check("BQ-43")
def stale_etag(trial):
    path, _ = trial.table()
    old = trial.bigquery.call("GET", path).json.get("etag")
    if not old:
        return False, "tables.get has no etag"
    trial.bigquery.call("PATCH", path, {"schema": {"fields": COLUMNS + MORE}}).needed("add a column")
    fields = COLUMNS + MORE + [{"name": "late", "type": "STRING"}]
    answer = trial.bigquery.call("PATCH", path, {"schema": {"fields": fields}}, {"If-Match": old})
    names = names_of(trial.bigquery.call("GET", path))
    current = trial.bigquery.call("PATCH", path, {"schema": {"fields": fields}}, {"If-Match": trial.bigquery.call("GET", path).json.get("etag", "")})
    return (answer.status == 412 and "late" not in names and current.is_ok,
            f"with the older etag {answer}, and the column {'came' if 'late' in names else 'did not come'}; with the present one {current}")


@check("BQ-44")
def added_column(trial):
    path, table = trial.table()
    trial.bigquery.done(f"INSERT INTO {table} (id, n) VALUES ('a', 1)")
    answer = trial.bigquery.call("PATCH", path, {"schema": {"fields": COLUMNS + MORE}})
    if not answer.is_ok:
        return False, f"{answer}"
    samples = measured(trial.bounds, {"column": time.monotonic()}, lambda open_ones: [
        name for name in open_ones if trial.bigquery.query(f"SELECT COUNTIF(more IS NULL) FROM {table}").is_ok], limit=min(60, trial.limit))
    nulls = trial.bigquery.rows(f"SELECT COUNTIF(more IS NULL) FROM {table}")[0][0] if samples.is_complete else "unknown"
    return names_of(answer) == ["id", "n", "more"] and nulls == "1", f"the columns are {names_of(answer)}; of one old row {nulls} has NULL"


@check("BQ-45")
def left_out_column(trial):
    path, _ = trial.table()
    answer = trial.bigquery.call("PATCH", path, {"schema": {"fields": COLUMNS[:1]}})
    names = names_of(trial.bigquery.call("GET", path))
    return answer.status == 400 and names == ["id", "n"], f"{answer}; the table has {names}"


@check("BQ-46")
def required_column(trial):
    path, _ = trial.table()
    answer = trial.bigquery.call("PATCH", path, {"schema": {"fields": COLUMNS + [{**MORE[0], "mode": "REQUIRED"}]}})
    return answer.status == 400, f"{answer}"


@check("BQ-47")
def default_column(trial):
    path, _ = trial.table()
    answer = trial.bigquery.call("PATCH", path, {"schema": {"fields": COLUMNS + [{**MORE[0], "defaultValueExpression": "CURRENT_DATE()"}]}})
    return answer.status == 400, f"{answer}"


@check("BQ-48")
def default_value(trial):
    _, table = trial.table(COLUMNS + [{"name": "word", "type": "STRING", "defaultValueExpression": "'given'"}])
    trial.bigquery.done(f"INSERT INTO {table} (id, n) VALUES ('a', 1)")
    found = trial.bigquery.rows(f"SELECT word FROM {table}")[0][0]
    return found == "given", f"a column with the default 'given' has {found!r}"


@check("BQ-49")
def nested_field(trial):
    record = {"name": "r", "type": "RECORD", "fields": [{"name": "a", "type": "STRING"}]}
    path, _ = trial.table([*COLUMNS, record])
    grown = {**record, "fields": record["fields"] + [{"name": "b", "type": "STRING"}]}
    answer = trial.bigquery.call("PATCH", path, {"schema": {"fields": [*COLUMNS, grown]}})
    inner = [field["name"] for field in (fields_of(answer) or [{}])[-1].get("fields", [])]
    return answer.is_ok and inner == ["a", "b"], f"{answer}; the RECORD has {inner}"


@check("BQ-50")
def clustering(trial):
    path, _ = trial.table()
    answer = trial.bigquery.call("PATCH", path, {"clustering": {"fields": ["id"]}})
    found = trial.bigquery.call("GET", path).json.get("clustering")
    return answer.is_ok and found == {"fields": ["id"]}, f"{answer}; tables.get shows {found}"


@check("BQ-51")
def partitioning(trial):
    path, _ = trial.table(COLUMNS + MORE)
    answer = trial.bigquery.call("PATCH", path, {"timePartitioning": {"type": "DAY", "field": "more"}})
    found = trial.bigquery.call("GET", path).json.get("timePartitioning")
    return found is None, f"{answer}; tables.get shows {found}"


@check("BQ-52")
def added_by_statement(trial):
    path, table = trial.table()
    answer = trial.bigquery.query(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS n INT64, ADD COLUMN IF NOT EXISTS more DATE")
    names = names_of(trial.bigquery.call("GET", path))
    return answer.is_ok and names == ["id", "n", "more"], f"{answer}; the columns are {names}"


@check("BQ-53")
def basic_view(trial):
    path, _ = trial.table()
    answer = trial.bigquery.call("GET", path, view="BASIC")
    return answer.is_ok and names_of(answer) == ["id", "n"] and bool(answer.json.get("etag")), (
        f"{answer} with the columns {names_of(answer)} and the etag {answer.json.get('etag')}")


@check("BQ-54")
def listings(trial):
    dataset, answer = trial.create_dataset("pages")
    answer.needed("create a dataset")
    tables = [f"p{i}" for i in range(5)]
    for name in tables:
        trial.create_table(name, dataset=dataset).needed("create a table")
    found, sizes = pages(trial, f"/datasets/{dataset}/tables", "tables", lambda t: t["tableReference"]["tableId"])
    mine = f"labels.assumptions-run:{trial.run.id}"
    trial.create_dataset("more")[1].needed("create a dataset")
    end = time.monotonic() + min(30, trial.limit)
    while True:
        datasets, _ = pages(trial, "/datasets", "datasets", lambda d: d["datasetReference"]["datasetId"], filter=mine, maxResults=1)
        # A new dataset may be listed late.
        if len(datasets) >= 3 or time.monotonic() > end:
            break
        trial.bounds.wait(2)
    own = [d for d in datasets if trial.run.id.replace("-", "_") in d]
    return (sorted(found) == tables and max(sizes) <= 2 and len(set(own)) == len(datasets) >= 2,
            f"five tables came in pages of {sizes}, as {len(set(found))}; {len(datasets)} datasets with the run's label came, {len(set(own))} of them its own")


def pages(trial, path, member, name, maxResults=2, **query):  # noqa: N803 -- BigQuery's word
    found, sizes, token = [], [], None
    while len(sizes) < 30:
        more = {"pageToken": token} if token else {}
        reply = trial.bigquery.call("GET", path, maxResults=maxResults, **query, **more).needed("list").json
        items = reply.get(member, [])
        found += map(name, items)
        sizes.append(len(items))
        token = reply.get("nextPageToken")
        if not token:
            break
    return found, sizes


@check("BQ-55")
def visible(trial):
    began = {}
    for _ in range(6):
        path, _ = trial.table()
        began[path] = time.monotonic()
    samples = measured(trial.bounds, began, lambda open_ones: [p for p in open_ones if trial.bigquery.call("GET", p).is_ok], min(60, trial.limit))
    return samples.is_complete, f"tables that were created, until tables.get found them: {samples}"


@check("BQ-56")
def usable(trial):
    began = {}
    for _ in range(5):
        path, table = trial.table()
        trial.bigquery.call("PATCH", path, {"schema": {"fields": COLUMNS + MORE}}).needed("add a column")
        began[table] = time.monotonic()
    samples = measured(trial.bounds, began, lambda open_ones: [
        t for t in open_ones if trial.bigquery.query(f"INSERT INTO {t} (id, more) VALUES ('a', '2026-01-01')").is_ok], min(60, trial.limit), 1)
    return samples.is_complete, f"columns that were added, until an INSERT could name them: {samples}"


@check("BQ-58")
def numbers(trial):
    path, _ = trial.table(COLUMNS + MORE, timePartitioning={"type": "DAY", "field": "more", "expirationMs": "86400000000"})
    found = trial.bigquery.call("GET", path).json
    expiration, rows = found.get("timePartitioning", {}).get("expirationMs"), found.get("numRows")
    return expiration == "86400000000" and isinstance(rows, str), f"expirationMs is {expiration!r}, numRows {rows!r}"


@check("BQ-32")
def many_changes(trial):
    path, _ = trial.table()
    began, count, refused = time.monotonic(), 0, None
    while refused is None and count < 30 and time.monotonic() - began < 10:
        answer = trial.bigquery.call("PATCH", path, {"description": f"change {count}"})
        count += 1
        refused = None if answer.is_ok else answer
    if refused is None:
        raise NotCheckable(f"{count} changes in {time.monotonic() - began:.0f} s were all accepted")
    return refused.reason in ("rateLimitExceeded", "jobRateLimitExceeded"), f"change {count} of one table within 10 s: {refused}"
