"""Where a job runs, and F12: what BigQuery answers when a dataset or table is not there.

A job runs in the location that the request names, else in that of the first dataset or region it touches, else in US.
Everything else that it touches has to be in the same place, or "was not found in location".  Stock knows no locations,
and calls a missing dataset accessDenied when it does not like the project's id.
"""
import contextvars
import re

import pyarrow as pa
import sqlglot
from sqlglot import exp

from bqemulator.api.routes import jobs as jobs_mod
from bqemulator.domain.errors import InvalidQueryError, NotFoundError, ResourceRef
from bqemulator.jobs import error_mapper
from bqemulator.storage import arrow_bridge

_job = contextvars.ContextVar("job", default=None)      # {"explicit": location or None, "found": location or None}
_LOCATION_OF = {}                                       # job id -> location


def normal_location(name):
    """The spelling that the API answers with: US and EU, but us-central1."""
    return name.upper() if name.lower() in ("us", "eu") else name.lower()


def start_job(location):
    _job.set({"explicit": normal_location(location) if location else None, "found": None})


def job_location(explicit=False):
    """Where the current job runs; with explicit, only what the request says (or None)."""
    job = _job.get() or {}
    return job.get("explicit") if explicit else job.get("explicit") or job.get("found") or "US"


def end_job(reference):
    """Notes the location of a finished job in its jobReference."""
    reference["location"] = job_location()
    if reference.get("jobId"):
        _LOCATION_OF[reference["jobId"]] = reference["location"]


def location_of(job_id):
    return _LOCATION_OF.get(job_id, "US")


def visit(location, what):
    """The job touches something (what, in words) in this location."""
    job, location = _job.get(), normal_location(location)
    if job is None:
        return
    here = job["explicit"] or job["found"]
    if here is None:
        job["found"] = location
    elif here != location:
        raise NotFoundError(f"Not found: {what} was not found in location {here}")


def visit_datasets(sql, project, catalog):
    """The datasets of the tables in one statement."""
    job = _job.get()
    places = {normal_location(d.location) for d in catalog.list_all_datasets()}
    if job is None or (places <= {"US"} and job["explicit"] in (None, "US")):
        return
    try:
        tree = sqlglot.parse_one(sql, read="bigquery")
    except Exception:  # noqa: BLE001 -- the translator will say what is wrong with it
        return
    for t in tree.find_all(exp.Table):
        p, d = t.catalog or project, t.db
        found = catalog.get_dataset(p, d) if d else None
        if found is not None:
            visit(found.location, f"Dataset {p}:{d}")


# ---- F12 -----------------------------------------------------------------------
_SCHEMA = re.compile(r'[Ss]chema (?:with name )?"?([^"\s]+?__[^"\s]+?)"? does not exist')
_TABLE = re.compile(r'(?:Table|View) with name "?([^"\s]+?)"? does not exist')
_REF = re.compile(r'"([^"]+?)__([^"]+)"\."([^"]+)"')


def not_found(catalog):
    """Translator of DuckDB's "does not exist" for error_mapper."""
    def translate(raw, duckdb_sql):
        m = _SCHEMA.search(raw)
        if m:
            project, dataset = m.group(1).split("__", 1)
            return NotFoundError(f"Not found: Dataset {project}:{dataset} was not found in location {job_location()}")
        m = _TABLE.search(raw)
        if not m:
            return None
        name = m.group(1).rsplit(".", 1)[-1]
        refs = [r for r in _REF.findall(duckdb_sql or raw) if r[2].lower() == name.lower()]
        # of several tables with that name, the one that the catalog does not have
        for p, d, t in [r for r in refs if catalog.get_table(*r) is None] + refs:
            if catalog.get_dataset(p, d) is None:
                return NotFoundError(f"Not found: Dataset {p}:{d} was not found in location {job_location()}")
            return NotFoundError(f"Not found: Table {p}:{d}.{t} was not found in location {job_location()}")
        return InvalidQueryError(f'Table "{name}" must be qualified with a dataset (e.g. dataset.table).', location="query")
    return translate


def resource_name(ref):
    """Dataset p:d, Table p:d.t, Job p:US.j: a resource as BigQuery's messages name it."""
    if ref.kind == "job":
        return f"Job {ref.project_id}:{location_of(ref.resource_id)}.{ref.resource_id}"
    out = f"{ref.kind.capitalize()} {ref.project_id}"
    if ref.dataset_id is not None:
        out += f":{ref.dataset_id}"
    return out + (f".{ref.resource_id}" if ref.resource_id is not None else "")


def rest_rows(table, offset=0, limit=None):
    """Stock's rows of a result, formatted by column instead of by value where the type allows it: pages of 10,000 rows."""
    if table.num_rows == 0 or table.num_columns == 0:
        return []
    table, columns = table.slice(offset, limit), []
    for i, f in enumerate(table.schema):
        values, t = table.column(i).to_pylist(), f.type
        if pa.types.is_string(t):
            columns.append(values)
        elif pa.types.is_integer(t) or pa.types.is_floating(t):
            columns.append([None if v is None else str(v) for v in values])
        else:
            columns.append([arrow_bridge._format_bq_value(v, t, field=f) for v in values])
    return [{"f": [{"v": v} for v in row]} for row in zip(*columns)]


def install(catalog):
    jobs_mod.arrow_table_to_bq_rows = rest_rows
    ResourceRef.format = resource_name
    error_mapper._DUCKDB_TRANSLATORS = (not_found(catalog), *error_mapper._DUCKDB_TRANSLATORS)
    stock_prefix = error_mapper._extract_schema_prefix
    error_mapper._extract_schema_prefix = lambda raw, duckdb_sql=None: stock_prefix(raw, duckdb_sql=duckdb_sql).replace(".", ":", 1)

    stock_response = jobs_mod._build_job_response

    def response(project_id, job_id, job_meta, config):
        out = stock_response(project_id, job_id, job_meta, config)
        location = _LOCATION_OF.get(job_id, job_location())
        out["jobReference"]["location"] = location
        out["id"] = f"{project_id}:{location}.{job_id}"
        return out

    jobs_mod._build_job_response = response
