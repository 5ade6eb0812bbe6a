"""BigQuery's INFORMATION_SCHEMA."""
import time

from .bounds import measured
from .facts import NotCheckable, check
from .trial import COLUMNS


def region(trial):
    return f"`{trial.project}`.`region-{trial.bigquery.location.lower()}`.INFORMATION_SCHEMA"


@check("BQ-60")
def late_tables(trial):
    dataset, answer = trial.create_dataset("shown")
    answer.needed("create a dataset")
    began = {}
    for i in range(5):
        trial.create_table(f"v{i}", dataset=dataset).needed("create a table")
        began[f"v{i}"] = time.monotonic()

    def shown(open_ones):
        rows = trial.bigquery.rows(f"SELECT table_name FROM {region(trial)}.TABLES WHERE table_schema = '{dataset}'")
        return {row[0] for row in rows} & set(open_ones)

    samples = measured(trial.bounds, began, shown, trial.limit, pause=2)
    return samples.is_complete, f"tables that were created, until the location's TABLES showed them: {samples}"


@check("BQ-61")
def deleted_dataset(trial):
    name, answer = trial.create_dataset("twice")
    answer.needed("create a dataset")
    trial.create_table("gone", dataset=name).needed("create a table")
    sql = (f"SELECT t.table_name, t.creation_time < s.creation_time FROM {region(trial)}.TABLES AS t JOIN {region(trial)}.SCHEMATA AS s "
           f"ON s.schema_name = t.table_schema WHERE t.table_schema = '{name}'")
    before = measured(trial.bounds, {"gone": time.monotonic()}, lambda _: [row[0] for row in trial.bigquery.rows(sql)], trial.limit, pause=3)
    if not before.is_complete:
        raise NotCheckable("the location's views did not show the table before its dataset was deleted")
    trial.bigquery.call("DELETE", f"/datasets/{name}", deleteContents="true").needed("delete a dataset")
    # BigQuery's times have thousandths of a second.
    trial.bounds.wait(0.05)
    body = {"datasetReference": {"datasetId": name}, "location": trial.bigquery.location, "labels": trial.run.labels}
    trial.bigquery.call("POST", "/datasets", body).needed("create the dataset again")
    rows = trial.bigquery.rows(sql)
    # SCHEMATA may still have the old row.
    newer = [row for row in rows if row[1] != "true"]
    if newer:
        trial.bounds.wait(min(30, trial.limit))
        rows = trial.bigquery.rows(sql)
        newer = [row for row in rows if row[1] != "true"]
    return not newer, f"after the dataset was deleted and created again the location's views show {len(rows)} of its old tables, {len(newer)} not older than it"


@check("BQ-65")
def deleted_table(trial):
    dataset, answer = trial.create_dataset("left")
    answer.needed("create a dataset")
    began = {}
    for i in range(3):
        trial.create_table(f"d{i}", dataset=dataset).needed("create a table")
    for i in range(3):
        trial.bigquery.call("DELETE", f"/datasets/{dataset}/tables/d{i}").needed("delete a table")
        began[f"d{i}"] = time.monotonic()

    def gone(open_ones):
        rows = trial.bigquery.rows(f"SELECT table_name FROM `{trial.project}.{dataset}`.INFORMATION_SCHEMA.TABLES")
        return set(open_ones) - {row[0] for row in rows}

    samples = measured(trial.bounds, began, gone, trial.limit, pause=2)
    return samples.is_complete, f"tables that were deleted, until their dataset's TABLES showed them no longer: {samples}"


def described(trial):
    """A dataset with a table that has everything that the views are read for."""
    def make():
        dataset, answer = trial.create_dataset("described", defaultTableExpirationMs="7776000000")
        answer.needed("create a dataset")
        record = {"name": "r", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "a", "type": "INTEGER", "mode": "REQUIRED"}, {"name": "b", "type": "STRING"}]}
        trial.create_table("all", [*COLUMNS, {"name": "day", "type": "DATE"}, record], dataset=dataset, labels={"kind": "probe"},
                           description="a \"quoted\" word",
                           timePartitioning={"type": "MONTH", "field": "day"}, requirePartitionFilter=True).needed("create a table")
        return dataset
    return trial.once("described", make)


@check("BQ-62")
def types(trial):
    views = f"`{trial.project}.{described(trial)}`.INFORMATION_SCHEMA"
    rows = {row[0]: row[1:] for row in trial.bigquery.rows(
        f"SELECT column_name, data_type, is_nullable, column_default, is_partitioning_column FROM {views}.COLUMNS WHERE table_name = 'all'")}
    wanted = {"id": ["STRING", "NO", "NULL", "NO"], "n": ["INT64", "YES", "NULL", "NO"], "day": ["DATE", "YES", "NULL", "YES"],
              "r": ["ARRAY<STRUCT<a INT64, b STRING>>", "NO", "NULL", "NO"]}
    return rows == wanted, f"{rows}"


@check("BQ-63")
def ddl(trial):
    views = f"`{trial.project}.{described(trial)}`.INFORMATION_SCHEMA"
    rows = trial.bigquery.rows(f"SELECT ddl FROM {views}.TABLES WHERE table_name = 'all'")
    text = rows[0][0] if rows else ""
    return "a INT64 NOT NULL" in text and "PARTITION BY DATE_TRUNC(day, MONTH)" in text, " ".join(text.split())[:300]


@check("BQ-64")
def options(trial):
    views = f"`{trial.project}.{described(trial)}`.INFORMATION_SCHEMA"
    found = dict(trial.bigquery.rows(f"SELECT option_name, option_value FROM {views}.TABLE_OPTIONS WHERE table_name = 'all'"))
    whole = dict(trial.bigquery.rows(f"SELECT option_name, option_value FROM {region(trial)}.SCHEMATA_OPTIONS "
                                     f"WHERE schema_name = '{described(trial)}'"))
    wanted = {"require_partition_filter": "true", "description": '"a \\"quoted\\" word"', "labels": '[STRUCT("kind", "probe")]'}
    days = whole.get("default_table_expiration_days")
    return wanted.items() <= found.items() and days == "90.0", f"{found}; default_table_expiration_days {days}"
