"""What the overlay changes of bqemulator, and the routes that it puts before the package's own.

bqemulator 1.4.0 differs from BigQuery in places that decide whether schema, quota and retry work is right. The differences
below are corrected in memory; nothing of the installed package is changed. "Stock" is the package without this overlay.

 F1 ALTER TABLE ADD/DROP COLUMN: stock changes DuckDB only, so tables.get and
    INFORMATION_SCHEMA never show the new column.  Here the catalog follows,
    several actions in one ALTER are accepted (stock: parser error), and type
    names that GoogleSQL does not have (FLOAT, RECORD) or NOT NULL are refused.
 F2 tables.patch/update with a schema: stock changes the catalog only (the new
    column cannot be queried) and accepts anything.  Here DuckDB follows, also
    for fields added inside a RECORD; removed columns, changed types/modes, and
    new REQUIRED columns are refused (400 invalid), If-Match is honored (412
    conditionNotMet).
 F3 REQUIRED: stock accepts INSERT/MERGE/UPDATE that leave a REQUIRED column
    NULL.  Here they fail: 400 invalidQuery "Required field X cannot be null".
 F4 jobs.query whose statement fails: stock answers 200 with "errors".  Here the
    HTTP error of BigQuery (400/403/404/409 + error JSON); the same for
    getQueryResults of a failed job (stock: 404 for the job itself).
 F5 jobs.insert with a jobId already used: stock runs it again.  Here 409
    duplicate "Already Exists: Job ...".
 F6 tables.list / datasets.list: stock has no paging.  Here pageToken and
    nextPageToken, default page 50 as BigQuery.
 F7 tables.insert in a dataset that does not exist: here 404 notFound.
 F8 MERGE (and UPDATE ... FROM) where a target row matches several source rows:
    stock lets DuckDB pick.  Here 400 invalidQuery "UPDATE/MERGE must match at
    most one source row for each target row", as BigQuery.
 F9 CREATE TABLE / CREATE SCHEMA statements: stock describes what DuckDB made of
    them (JSON becomes STRING, partitioning by an expression, clustering, labels,
    column descriptions and the dataset's location are lost).  Here the catalog
    has what the statement says.  Dataset labels: patch merges, datasets.list
    filters.  (sql.py and ddl.py read, catalog.py applies; F1's ALTER too)
F10 INFORMATION_SCHEMA of a region: stock returns no rows.  Here SCHEMATA, TABLES,
    COLUMNS, COLUMN_FIELD_PATHS of every dataset in the location, and the same
    views of one dataset with BigQuery's columns; joins with UNNEST(@param) of
    structs.  (views.py, params.py)
F11 tabledata.insertAll: stock answers 500 where a row does not fit.  Here
    insertErrors per row, ignoreUnknownValues, insertId.  (rows.py)
F12 a dataset or table that is not there: stock says accessDenied or invalidQuery
    for some.  Here 404 notFound "Not found: Dataset p:d was not found in location
    US"; a job has a location and finds nothing in another one.  (jobs.py)
F13 dmlStats: stock has none.  Here what a DML statement inserted, updated and
    deleted.  (dml.py)
F14 parameters in an UPDATE ... FROM: stock mixes them up.  Here each is where it
    belongs; DIV(a - b, 2) is no longer a - DIV(b, 2).  (params.py)
F15 query parameters of a script: stock binds none.  Here each statement binds
    those that it names.  (params.py)
F16 requestId: stock ignores it.  Here a statement other than SELECT that comes
    again with its requestId within 15 minutes gets the first answer and is not
    carried out again.
"""
import re
import sys
import time


def install():
    import sqlglot
    from fastapi import APIRouter, Depends, Request
    from fastapi.responses import JSONResponse
    from typing import Annotated, Any, Optional
    from sqlglot import exp

    from . import catalog
    from . import dml
    from . import jobs
    from . import memory
    from . import params
    from . import past
    from . import rows
    from . import views
    from .types import canon, duck_name, duck_type, mode_of

    from bqemulator.api import app as app_mod
    from bqemulator.api.dependencies import AppContext, get_caller, get_context
    from bqemulator.api.routes import datasets as ds_mod
    from bqemulator.api.routes import jobs as jobs_mod
    from bqemulator.api.routes import tables as tb_mod
    from bqemulator.domain.errors import InvalidQueryError, ResourceRef, resource_not_found
    from bqemulator.jobs import error_mapper
    from bqemulator.jobs import executor as ex_mod
    from bqemulator.scripting import interpreter as script_mod
    from bqemulator.storage.sql_identifiers import quoted_table_ref

    # ---- F1, F9, F10 (statements) ------------------------------------------------
    memory.install()
    catalog.install()
    params.install()
    past.install()
    dml.install()

    # ---- F3 -----------------------------------------------------------------
    tb_mod.bq_schema_to_duckdb_columns = catalog.duck_columns
    orig_translate = ex_mod.translate_runtime_error

    MULTI = "UPDATE/MERGE must match at most one source row for each target row"

    def translate(exc, *a, **k):
        if MULTI in str(exc):
            return InvalidQueryError(MULTI, location="query")
        m = re.search(r"NOT NULL constraint failed: \S*?\.?(\w+)\s*$", str(exc).strip())
        if m:
            return InvalidQueryError(f"Required field {m.group(1)} cannot be null", location="query")
        return orig_translate(exc, *a, **k)

    ex_mod.translate_runtime_error = error_mapper.translate_runtime_error = translate

    # ---- F8 -----------------------------------------------------------------
    from bqemulator.storage.engine import DuckDBEngine
    pending = []
    orig_bind = ex_mod.bind_parameters

    def multi_match_sql(sql):
        """DuckDB SQL that returns a row if a target row matches several source rows, or None."""
        if not re.match(r"\s*(MERGE|UPDATE)\b", sql, re.I):
            return None
        try:
            t = sqlglot.parse_one(sql, read="duckdb")
            if isinstance(t, exp.Merge):
                whens = t.args["whens"].expressions if t.args.get("whens") else t.expressions
                conds = [w.args.get("condition") for w in whens if w.args.get("matched")]
                if not conds:
                    return None
                extra = "" if any(c is None for c in conds) else " AND (" + " OR ".join("(" + c.sql("duckdb") + ")" for c in conds) + ")"
                tgt, src, on = t.this, t.args["using"], t.args["on"]
                name = '"' + tgt.alias_or_name + '"'
                return (f"SELECT 1 FROM {tgt.sql('duckdb')} JOIN {src.sql('duckdb')} ON ({on.sql('duckdb')}){extra} "
                        f"GROUP BY {name}.rowid HAVING COUNT(*) > 1 LIMIT 1")
            if isinstance(t, exp.Update) and (t.args.get("from_") or t.args.get("from")):
                fr, wh = t.args.get("from_") or t.args.get("from"), t.args.get("where")
                name = '"' + t.this.alias_or_name + '"'
                return (f"SELECT 1 FROM {t.this.sql('duckdb')}, {fr.this.sql('duckdb')} {wh.sql('duckdb') if wh else ''} "
                        f"GROUP BY {name}.rowid HAVING COUNT(*) > 1 LIMIT 1")
        except Exception as e:  # noqa: BLE001
            print("F8: not checked:", repr(e)[:200], file=sys.stderr)
        return None

    def bind(sql, params=None):
        pending.clear()
        q = multi_match_sql(sql)
        if q:
            pending.append(orig_bind(q, params))
        return orig_bind(sql, params)

    ex_mod.bind_parameters = script_mod.bind_parameters = bind
    params.bind_in_scripts()
    orig_fetch = DuckDBEngine.fetch_arrow

    def fetch(self, sql, parameters=None):
        problem = None
        if pending:
            q, v = pending.pop()
            try:
                n = orig_fetch(self, q, v or None).num_rows
            except Exception as e:  # noqa: BLE001 -- of interest only if the statement itself works
                problem, n = e, 0
            if n:
                raise InvalidQueryError(MULTI, location="query")
        out = orig_fetch(self, sql, parameters)
        if problem:
            print("F8: not checked:", repr(problem)[:300], file=sys.stderr)
        return out

    DuckDBEngine.fetch_arrow = fetch

    # ---- routes: F2, F4, F5, F6, F7, F9, F11, F12 ---------------------------------
    r = APIRouter(prefix="/bigquery/v2")
    _Ctx = Annotated[AppContext, Depends(get_context)]
    STATUS = {"invalidQuery": 400, "invalid": 400, "notFound": 404, "duplicate": 409, "accessDenied": 403,
              "outOfRange": 400, "resourceInUse": 400, "rateLimitExceeded": 403, "backendError": 503}

    def err(code, reason, message, location=None):
        e = {"message": message, "domain": "global", "reason": reason}
        if location:
            e.update(location=location, locationType="parameter")
        return JSONResponse({"error": {"code": code, "message": message, "errors": [e], "status": {
            400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS",
            412: "FAILED_PRECONDITION"}.get(code, "INTERNAL")}}, status_code=code)

    def stale(request, existing):
        """The answer to an If-Match that names another version, or None."""
        im = request.headers.get("if-match")
        if im and im != "*" and im.strip('"') != existing.etag.strip('"'):
            return err(412, "conditionNotMet", "Precondition Failed", "If-Match")
        return None

    def same(a, b, path=""):
        """Why b is not an additive change of a (lists of REST fields), or None."""
        bn = {f["name"].lower(): f for f in b}
        for f in a:
            g = bn.get(f["name"].lower())
            if g is None:
                return f"Field {path}{f['name']} is missing in new schema"
            if canon(f["type"]) != canon(g.get("type", "STRING")):
                return f"Field {path}{f['name']} has changed type from {canon(f['type'])} to {canon(g['type'])}"
            m0, m1 = mode_of(f), mode_of(g)
            if m0 != m1 and not (m0 == "REQUIRED" and m1 == "NULLABLE"):
                return f"Field {path}{f['name']} has changed mode from {m0} to {m1}"
            if f.get("fields") or g.get("fields"):
                w = same(f.get("fields", []), g.get("fields", []), path + f["name"] + ".")
                if w:
                    return w
        an = {f["name"].lower() for f in a}
        for g in b:
            if g["name"].lower() not in an and mode_of(g) == "REQUIRED":
                return f"Cannot add required fields to an existing schema. (field: {path}{g['name']})"
        return None

    def old_first(a, b):
        """The fields of b in the order of a, new ones last, at every level: the order in which DuckDB has them."""
        bn, an = {f["name"].lower(): f for f in b}, {f["name"].lower(): f for f in a}
        kept = [{**bn[n], **({"fields": old_first(f["fields"], bn[n]["fields"])} if f.get("fields") else {})} for n, f in an.items()]
        return kept + [f for n, f in bn.items() if n not in an]

    async def change(project_id, dataset_id, table_id, request, ctx, patch):
        existing = ctx.catalog.get_table(project_id, dataset_id, table_id)
        if existing is None:
            raise resource_not_found(ResourceRef("table", project_id, dataset_id, table_id))
        if stale(request, existing):
            return stale(request, existing)
        body = await request.json()
        body["tableReference"] = {"projectId": project_id, "datasetId": dataset_id, "tableId": table_id}
        if "labels" in body or not patch:
            body["labels"] = catalog.merge_labels(existing.labels, body.get("labels"), patch)
        new = (body.get("schema") or {}).get("fields")
        columns = {f["name"].lower() for f in new or [tb_mod._field_to_rest(f) for f in existing.schema_.fields]}
        for name in (body.get("clustering") or {}).get("fields") or []:
            if name.lower() not in columns:
                return err(400, "invalid", f"The field specified for clustering cannot be found in the schema. Invalid field: {name}.")
        if new:
            old = [tb_mod._field_to_rest(f) for f in existing.schema_.fields]
            why = same(old, new)
            if why:
                return err(400, "invalid", f"Provided Schema does not match Table {project_id}:{dataset_id}.{table_id}. {why}")
            new = body["schema"]["fields"] = old_first(old, new)
            async with ctx.engine.write_lock():
                ref = quoted_table_ref(project_id, dataset_id, table_id)
                for f in new[len(old):]:
                    ctx.engine.execute(f"ALTER TABLE {ref} ADD COLUMN {duck_name(f['name'])} {duck_type(f)}")
                for f, g in zip(old, new):
                    column = f"ALTER TABLE {ref} ALTER COLUMN {duck_name(f['name'])}"
                    if duck_type(f) != duck_type(g):
                        ctx.engine.execute(f"{column} SET DATA TYPE {duck_type(g)}")
                    if mode_of(f) == "REQUIRED" and mode_of(g) == "NULLABLE":
                        ctx.engine.execute(f"{column} DROP NOT NULL")
        updated = tb_mod._rest_to_table_meta(project_id, dataset_id, body, ctx.clock, existing)
        return tb_mod._table_to_rest(ctx.catalog.update_table(updated))

    @r.patch("/projects/{project_id}/datasets/{dataset_id}/tables/{table_id}")
    async def patch_table(project_id: str, dataset_id: str, table_id: str, request: Request, ctx: _Ctx):
        return await change(project_id, dataset_id, table_id, request, ctx, patch=True)

    @r.put("/projects/{project_id}/datasets/{dataset_id}/tables/{table_id}")
    async def put_table(project_id: str, dataset_id: str, table_id: str, request: Request, ctx: _Ctx):
        return await change(project_id, dataset_id, table_id, request, ctx, patch=False)

    @r.post("/projects/{project_id}/datasets/{dataset_id}/tables")
    async def insert_table(project_id: str, dataset_id: str, request: Request, ctx: _Ctx):
        if ctx.catalog.get_dataset(project_id, dataset_id) is None:
            raise resource_not_found(ResourceRef("dataset", project_id, dataset_id))
        body = await request.json()
        body["labels"] = catalog.merge_labels({}, body.get("labels"), False)
        return await tb_mod.insert_table(project_id, dataset_id, request, ctx)

    @r.post("/projects/{project_id}/datasets/{dataset_id}/tables/{table_id}/insertAll")
    async def insert_all(project_id: str, dataset_id: str, table_id: str, request: Request, ctx: _Ctx):
        return await rows.insert_all(project_id, dataset_id, table_id, await request.json(), ctx)

    @r.post("/projects/{project_id}/datasets")
    async def insert_dataset(project_id: str, request: Request, ctx: _Ctx):
        body = await request.json()
        body["location"] = jobs.normal_location(body.get("location") or "US")
        body["labels"] = catalog.merge_labels({}, body.get("labels"), False)
        return await ds_mod.insert_dataset(project_id, request, ctx)

    async def change_dataset(project_id, dataset_id, request, ctx, patch):
        existing = ctx.catalog.get_dataset(project_id, dataset_id)
        if existing is None:
            raise resource_not_found(ResourceRef("dataset", project_id, dataset_id))
        if stale(request, existing):
            return stale(request, existing)
        body = await request.json()
        if "labels" in body or not patch:
            body["labels"] = catalog.merge_labels(existing.labels, body.get("labels"), patch)
        body["location"] = existing.location
        return await ds_mod.patch_dataset(project_id, dataset_id, request, ctx)

    @r.patch("/projects/{project_id}/datasets/{dataset_id}")
    async def patch_dataset(project_id: str, dataset_id: str, request: Request, ctx: _Ctx):
        return await change_dataset(project_id, dataset_id, request, ctx, patch=True)

    @r.put("/projects/{project_id}/datasets/{dataset_id}")
    async def put_dataset(project_id: str, dataset_id: str, request: Request, ctx: _Ctx):
        return await change_dataset(project_id, dataset_id, request, ctx, patch=False)

    def page(items, kind, key, maxResults, pageToken):
        n = min(maxResults if maxResults is not None else 50, 1000)
        off = int(pageToken) if pageToken else 0
        out = {"kind": kind, key: items[off:off + n], "totalItems": len(items)}
        if off + n < len(items):
            out["nextPageToken"] = str(off + n)
        return out

    @r.get("/projects/{project_id}/datasets/{dataset_id}/tables")
    def list_tables(project_id: str, dataset_id: str, ctx: _Ctx, maxResults: Optional[int] = None, pageToken: Optional[str] = None):
        if ctx.catalog.get_dataset(project_id, dataset_id) is None:
            raise resource_not_found(ResourceRef("dataset", project_id, dataset_id))
        items = sorted(ctx.catalog.list_tables(project_id, dataset_id), key=lambda t: t.table_id)
        return page([tb_mod._table_to_list_item(t) for t in items], "bigquery#tableList", "tables", maxResults, pageToken)

    @r.get("/projects/{project_id}/datasets")
    def list_datasets(project_id: str, ctx: _Ctx, maxResults: Optional[int] = None, pageToken: Optional[str] = None,
                      filter: Optional[str] = None, all: bool = False):
        items = sorted(ctx.catalog.list_datasets(project_id), key=lambda d: d.dataset_id)
        items = [d for d in items if all or not d.dataset_id.startswith("_")]
        if filter:
            wanted = catalog.label_filter(filter)
            if wanted is None:
                return err(400, "invalid", f"Invalid filter: {filter}", "filter")
            items = [d for d in items if wanted(d.labels)]
        return page([ds_mod._dataset_to_rest(x) for x in items], "bigquery#datasetList", "datasets", maxResults, pageToken)

    answers = {}        # by project and requestId: when it was given, the answer

    @r.post("/projects/{project_id}/queries")
    async def query(project_id: str, request: Request, ctx: _Ctx, caller: Annotated[Any, Depends(get_caller)]):
        body = await request.json()
        key, now = (project_id, body.get("requestId")), time.monotonic()
        if not key[1] or re.match(r"\s*(SELECT|WITH)\b", body.get("query") or "", re.I):
            return await answer(project_id, body, request, ctx, caller)
        for old in [k for k, (given, _) in answers.items() if now - given > 900]:
            del answers[old]
        if key not in answers:
            answers[key] = now, await answer(project_id, body, request, ctx, caller)
        return answers[key][1]

    async def answer(project_id, body, request, ctx, caller):
        if body.get("query"):
            body["query"] = jobs_mod._apply_default_dataset(body["query"], body, request_project_id=project_id)
        jobs.start_job(body.get("location"))
        out = await jobs_mod.query(project_id, request, ctx, caller)
        jobs.end_job(out["jobReference"])
        e = (out.get("errors") or [None])[0]
        if e:
            return err(STATUS.get(e.get("reason"), 400), e.get("reason", "invalidQuery"), e.get("message", ""), e.get("location"))
        return JSONResponse(out)        # FastAPI would walk through all rows once more

    @r.get("/projects/{project_id}/queries/{job_id}")
    def results(project_id: str, job_id: str, ctx: _Ctx, maxResults: int = 10000, startIndex: int = 0, pageToken: Optional[str] = None):
        j = ctx.catalog.get_job(project_id, job_id)
        if j is not None and j.error_result:
            e = j.error_result
            return err(STATUS.get(e.get("reason"), 400), e.get("reason", "invalidQuery"), e.get("message", ""), e.get("location"))
        out = jobs_mod.get_query_results(project_id, job_id, ctx, maxResults, startIndex, pageToken)
        out["jobReference"]["location"] = jobs.location_of(job_id)
        return JSONResponse(out)

    @r.post("/projects/{project_id}/jobs")
    async def insert_job(project_id: str, request: Request, ctx: _Ctx, caller: Annotated[Any, Depends(get_caller)]):
        reference = (await request.json()).get("jobReference") or {}
        jid = reference.get("jobId")
        if jid and ctx.catalog.get_job(project_id, jid) is not None:
            return err(409, "duplicate", f"Already Exists: Job {project_id}:{jobs.location_of(jid)}.{jid}")
        jobs.start_job(reference.get("location"))
        out = await jobs_mod.insert_job(project_id, request, ctx, caller)
        jobs.end_job(out["jobReference"])
        return out

    @r.get("/projects/{project_id}/jobs")
    def list_jobs(project_id: str, ctx: _Ctx, maxResults: int = 100, stateFilter: Optional[str] = None, parentJobId: Optional[str] = None):
        out = jobs_mod.list_jobs(project_id, ctx, maxResults, stateFilter, parentJobId)
        for j in out["jobs"]:
            j["jobReference"]["location"] = jobs.location_of(j["jobReference"]["jobId"])
        return out

    orig_create = app_mod.create_app

    def create_app(context):
        jobs.install(context.catalog)
        views.install(context)
        app = orig_create(context)
        n = len(app.router.routes)
        app.include_router(r)
        app.router.routes[:] = app.router.routes[n:] + app.router.routes[:n]
        return app

    app_mod.create_app = create_app
    import bqemulator.server as srv
    srv.create_app = create_app
