"""F9 and F1 applied: what a DDL statement says becomes the resource that tables.insert would have been given.

Stock hands the statement to DuckDB and describes the result afterwards, which loses what DuckDB does not have (JSON,
DATETIME in job results, descriptions, labels, partitioning by an expression, clustering) and fails on a column or field
named like one of DuckDB's words.  It also describes an existing table anew on IF NOT EXISTS.  Here the statement itself
is the source (ddl reads it).  Below that, the REST side of the same properties.

Messages without a source in BigQuery's documentation are marked (ours).
"""
import re

import sqlglot

from bqemulator.api.routes import jobs as jobs_mod
from bqemulator.api.routes import tables as tb_mod
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.etag import generate_etag
from bqemulator.catalog.models import Clustering, DatasetMeta, RangePartitioning, TableMeta, TableSchema, TimePartitioning
from bqemulator.domain.errors import AlreadyExistsError, DomainError, InvalidQueryError, NotFoundError
from bqemulator.jobs import executor as ex_mod
from bqemulator.scripting import interpreter as script_mod
from bqemulator.scripting.ast import CreateFunctionStmt, DeclareStmt, SetStmt, SqlStmt
from bqemulator.storage.sql_identifiers import quoted_schema, quoted_table_ref

from .ddl import PARTITION_RULE, CreateSchema, CreateTable, AlterTable, first_word, parse, try_parse
from .jobs import job_location, normal_location, visit
from .sql import NOT_LITERAL
from .types import TYPES, duck_name, duck_type, field_from_duckdb, field_to_rest, fields_to_catalog, mode_of

PARTITION_TYPES = {"": {"DATE"}, "DATE": {"TIMESTAMP", "DATETIME"}, "DATE_TRUNC": {"DATE"}, "DATETIME_TRUNC": {"DATETIME"},
                   "TIMESTAMP_TRUNC": {"TIMESTAMP"}, "RANGE_BUCKET": {"INTEGER"}}
CLUSTER_TYPES = {"BIGNUMERIC", "BOOLEAN", "DATE", "DATETIME", "GEOGRAPHY", "INTEGER", "NUMERIC", "RANGE", "STRING", "TIMESTAMP"}


# ---- statements ----------------------------------------------------------------
async def option_value(opt, run, wrap="{}"):
    """Value of an option: the literal, or the result of evaluating its text."""
    value, text = opt
    if value is not NOT_LITERAL and wrap == "{}":
        return value
    table = await run("SELECT " + wrap.format(text) + " AS v")
    v = table.column(0)[0].as_py()
    return [list(x.values()) for x in v] if isinstance(v, list) and v and isinstance(v[0], dict) else v


async def read_options(options, run):
    """The options that the catalog keeps, as attributes of the table or dataset."""
    out = {}
    for name, opt in options.items():
        if name == "labels":
            out["labels"] = {k: v for k, v in (await option_value(opt, run) or [])}
        elif name == "expiration_timestamp":
            ms = await option_value(opt, run, "UNIX_MILLIS({})")
            out["expiration_ms"] = ms
        elif name.endswith("_expiration_days"):
            days = await option_value(opt, run)
            out[name.replace("_days", "_ms")] = None if days is None else int(float(days) * 86_400_000)
        elif name in ("description", "friendly_name", "location", "require_partition_filter", "is_case_insensitive"):
            out[name] = await option_value(opt, run)
            wanted = str if name in ("description", "friendly_name", "location") else bool
            if out[name] is not None and not isinstance(out[name], wanted):
                raise InvalidQueryError(f"Option {name} must be a {'STRING' if wanted is str else 'BOOL'}", location="query")    # (ours)
    return out


def layout(st, fields, opts):
    """Partitioning and clustering as catalog attributes, checked against the columns as BigQuery does."""
    by_name = {f["name"].lower(): f for f in fields}

    def column(name):
        f = by_name.get(name.lower())
        if f is None:
            raise InvalidQueryError(f"Unrecognized name: {name}", location="query")
        return f

    out = {"time_partitioning": None, "range_partitioning": None, "clustering": None}
    if st.partition:
        fn, name, part = st.partition
        if name is not None:
            f = column(name)
            if f["mode"] == "REPEATED" or f["type"] not in PARTITION_TYPES[fn]:
                raise InvalidQueryError(PARTITION_RULE.format("" if st.query else "_PARTITIONDATE, DATE(_PARTITIONTIME), "
                                        "TIMESTAMP_TRUNC(_PARTITIONTIME, DAY/HOUR/MONTH/YEAR), "), location="query")
            name = f["name"]
        if fn == "RANGE_BUCKET":
            out["range_partitioning"] = RangePartitioning(field=name, start=part[0], end=part[1], interval=part[2])
        else:
            out["time_partitioning"] = TimePartitioning(
                type=part, field=name, expiration_ms=opts.get("partition_expiration_ms"),
                require_partition_filter=bool(opts.get("require_partition_filter")))
    elif opts.get("require_partition_filter") or opts.get("partition_expiration_ms"):
        raise InvalidQueryError("Options require_partition_filter and partition_expiration_days can only be set for a "
                                "partitioned table", location="query")                          # (ours)
    if st.cluster:
        if len(st.cluster) > 4:
            raise InvalidQueryError("A table can be clustered by at most 4 columns", location="query")           # (ours)
        columns = [column(n) for n in st.cluster]
        for f in columns:
            if f["mode"] == "REPEATED" or f["type"] not in CLUSTER_TYPES:
                t = f"ARRAY<{TYPES[f['type']][0]}>" if f["mode"] == "REPEATED" else TYPES[f["type"]][0]
                raise InvalidQueryError(f"CLUSTER BY expression has type {t}, which cannot be clustered by: {f['name']}",
                                        location="query")                                        # (ours)
        out["clustering"] = Clustering(fields=tuple(f["name"] for f in columns))
    return out


def partition_spec(time_partitioning, range_partitioning, clustering):
    """Partitioning as BigQuery's message about it shows it."""
    t, r = time_partitioning, range_partitioning
    if t is None and r is None:
        return "none"
    out = (f"interval(type:{t.type.lower()},field:{t.field or '_PARTITIONTIME'})" if t else
           f"range(type:integer,field:{r.field},start:{r.start},end:{r.end},interval:{r.interval})")
    return out + (f" clustering({','.join(clustering.fields)})" if clustering else "")


def duck_default(expression):
    """DuckDB text of a column's DEFAULT expression."""
    sql = ex_mod._translator.translate("SELECT " + expression)
    text = getattr(sql, "value", None)
    if text is None or not text.upper().startswith("SELECT "):
        raise InvalidQueryError(f"Invalid default value expression: {expression}", location="query")    # (ours)
    return text[len("SELECT "):]


def duck_columns(fields):
    """[(name, type)] of REST fields for DuckDB's CREATE TABLE, with their defaults and NOT NULL for REQUIRED ones (F3)."""
    def constraints(f):
        if f.get("defaultValueExpression"):
            yield f" DEFAULT ({duck_default(f['defaultValueExpression'])})"
        if mode_of(f) == "REQUIRED":
            yield " NOT NULL"

    return [(f["name"], duck_type(f) + "".join(constraints(f))) for f in fields]


def visit_dataset(ctx, project, dataset):
    """The job touches a dataset, which has to exist where the job runs."""
    found = ctx.catalog.get_dataset(project, dataset)
    if found is None:
        raise NotFoundError(f"Not found: Dataset {project}:{dataset} was not found in location {job_location()}")
    visit(found.location, f"Dataset {project}:{dataset}")


def table_missing(project, dataset, table):
    return NotFoundError(f"Not found: Table {project}:{dataset}.{table} was not found in location {job_location()}")


def split_path(path, project):
    if len(path) == 2:
        return [project] + path
    if len(path) == 3:
        return path
    raise InvalidQueryError(f'Table "{".".join(path)}" must be qualified with a dataset (e.g. dataset.table).', location="query")


def describe(ctx, project, dataset, table):
    """REST fields of a table as DuckDB has it."""
    cursor = ctx.engine.execute(f"SELECT * FROM {quoted_table_ref(project, dataset, table)} LIMIT 0")
    return [field_from_duckdb(c[0], c[1]) for c in cursor.description]


async def query_fields(query, ctx, run):
    """REST fields of a query's result, for CREATE TABLE AS without a column list."""
    table = await run(f"SELECT * FROM ({query}) LIMIT 0")
    kind = ctx.engine.connection.type
    fields = [field_from_duckdb(f.name, kind(f.metadata[b"bqemu.duckdb_type"].decode())) for f in table.schema]
    for f in fields:
        if not re.fullmatch(r"[A-Za-z_]\w*", f["name"]):
            raise InvalidQueryError("CREATE TABLE columns must be named, but a column of the query has no name", location="query")  # (ours)
    return fields


async def create_table(st, project, ctx, run, dry):
    p, d, t = split_path(st.path, project)
    visit_dataset(ctx, p, d)
    existing = ctx.catalog.get_table(p, d, t)
    if existing is not None and not st.replace:
        if st.if_not_exists:
            return
        raise AlreadyExistsError(f"Already Exists: Table {p}:{d}.{t}")
    opts = await read_options(st.options, run)
    source = None
    if st.source:
        sp, sd, sn = split_path(st.source[1], project)
        source = ctx.catalog.get_table(sp, sd, sn)
        if source is None:
            raise table_missing(sp, sd, sn)
    ref = quoted_table_ref(p, d, t)
    fields = [field_to_rest(f) for f in source.schema_.fields] if source else st.fields
    if fields is None or st.query and dry:
        result = await query_fields(st.query, ctx, run)
        fields = fields or result
    kept = layout(st, fields, opts)
    if source and not st.partition and not st.cluster:
        kept = {k: getattr(source, k) for k in kept}
    if existing is not None:
        new, old = partition_spec(**{**kept, "clustering": None}), {k: getattr(existing, k) for k in kept}
        if new != partition_spec(**{**old, "clustering": None}):
            raise InvalidQueryError(
                "Cannot replace a table with a different partitioning spec. Instead, DROP the table, and then recreate it. "
                f"New partitioning spec is {partition_spec(**kept)} and existing spec is {partition_spec(**old)}", location="query")
    columns = ", ".join(f"{duck_name(n)} {t}" for n, t in duck_columns(fields))
    if dry:
        return
    async with ctx.engine.write_lock():
        ctx.engine.execute(f"CREATE {'OR REPLACE ' if existing is not None else ''}TABLE {ref} ({columns})")
        if source and st.source[0] == "COPY":
            ctx.engine.execute(f"INSERT INTO {ref} SELECT * FROM {quoted_table_ref(sp, sd, sn)}")
    if st.query:
        try:
            await run(f"INSERT INTO `{p}`.`{d}`.`{t}` ({', '.join('`' + f['name'] + '`' for f in fields)}) {st.query}")
        except BaseException:
            ctx.engine.execute(f"DROP TABLE {ref}")
            ctx.catalog.delete_table(p, d, t, not_found_ok=True)
            raise
    rows = ctx.engine.execute(f"SELECT COUNT(*) FROM {ref}").fetchone()[0] if st.query or source else 0
    now = ctx.clock.now()
    expires = opts.get("expiration_ms")
    meta = TableMeta(
        project_id=p, dataset_id=d, table_id=t, table_type="TABLE", schema=TableSchema(fields=fields_to_catalog(fields)),
        description=opts.get("description", source.description if source else None), friendly_name=opts.get("friendly_name"),
        labels=opts.get("labels", source.labels if source else {}), creation_time=now, last_modified_time=now, num_rows=rows,
        expiration_time=from_millis(expires) if expires else None, etag=generate_etag(p, d, t, "TABLE", str(now)), **kept)
    (ctx.catalog.create_table if ctx.catalog.get_table(p, d, t) is None else ctx.catalog.update_table)(meta)


def from_millis(ms):
    from datetime import datetime, timedelta, timezone
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=int(ms))


async def create_schema(st, project, ctx, run, dry):
    p, d = ([project] + st.path)[-2:]
    if ctx.catalog.get_dataset(p, d) is not None:
        if st.if_not_exists:
            return
        raise AlreadyExistsError(f"Already Exists: Dataset {p}:{d}")
    opts = await read_options(st.options, run)
    here = job_location(explicit=True)
    location = normal_location(opts.get("location") or here or "US")
    if here and location != here:
        raise InvalidQueryError(f"Dataset location {location} does not match the location of the query job {here}",
                                location="query")                                                # (ours)
    visit(location, f"Dataset {p}:{d}")
    if dry:
        return
    now = ctx.clock.now()
    meta = DatasetMeta(
        project_id=p, dataset_id=d, location=location, description=opts.get("description"),
        friendly_name=opts.get("friendly_name"), labels=opts.get("labels", {}),
        default_table_expiration_ms=opts.get("default_table_expiration_ms"),
        default_partition_expiration_ms=opts.get("default_partition_expiration_ms"),
        is_case_insensitive=bool(opts.get("is_case_insensitive")), creation_time=now, last_modified_time=now,
        etag=generate_etag(p, d, str(now)))
    async with ctx.engine.write_lock():
        ctx.engine.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted_schema(p, d)}")
        ctx.catalog.create_dataset(meta)


async def alter_table(st, project, ctx, run, dry):
    """F1"""
    p, d, t = split_path(st.path, project)
    visit_dataset(ctx, p, d)
    meta = ctx.catalog.get_table(p, d, t)
    if meta is None:
        if st.if_exists:
            return
        raise table_missing(p, d, t)
    fields = {f.name.lower(): f for f in meta.schema_.fields}
    todo = []
    for kind, what, skip in st.actions:
        if kind == "ADD":
            name = what["name"]
            if what["mode"] == "REQUIRED":
                raise InvalidQueryError(f"Cannot add required columns to an existing table: {name}", location="query")
            if what.get("defaultValueExpression"):
                raise InvalidQueryError(f"Cannot add a new column with a default value: {name}", location="query")
            if name.lower() in fields:
                if skip:
                    continue
                raise InvalidQueryError(f"Column already exists: {name}", location="query")
            fields[name.lower()] = fields_to_catalog([what])[0]
            todo.append(f"ADD COLUMN {duck_name(name)} {duck_type(what)}")
        else:
            if what.lower() not in fields:
                if skip:
                    continue
                raise InvalidQueryError(f"Column not found: {what}", location="query")
            del fields[what.lower()]
            todo.append(f"DROP COLUMN {duck_name(what)}")
    if dry or not todo:
        return
    async with ctx.engine.write_lock():
        for action in todo:
            ctx.engine.execute(f"ALTER TABLE {quoted_table_ref(p, d, t)} {action}")
        now = ctx.clock.now()
        ctx.catalog.update_table(meta.model_copy(update={
            "schema_": TableSchema(fields=tuple(fields.values())), "last_modified_time": now,
            "etag": generate_etag(p, d, t, str(now), "alter")}))


async def run_ddl(sql, project, ctx, run, dry=False):
    """Runs sql if parse() knows it; run(sql) executes any other statement in the caller's way.  dry: only looks for errors."""
    st = parse(sql)
    if st is None:
        return False
    apply = {CreateTable: create_table, CreateSchema: create_schema, AlterTable: alter_table}[type(st)]
    await apply(st, project, ctx, run, dry)
    return True


# ---- dry runs ------------------------------------------------------------------
def single(script):
    return len(script.statements) == 1 and isinstance(script.statements[0], SqlStmt)


def harmless(s):
    """Whether a script's statement changes nothing: stock may run it to find out the result's schema."""
    if isinstance(s, SqlStmt):
        return first_word(s.sql) in ("SELECT", "WITH", "")
    return isinstance(s, (DeclareStmt, SetStmt)) or isinstance(s, CreateFunctionStmt) and "." not in s.name


def check_target(sql, project, ctx):
    """The table that an INSERT, UPDATE, DELETE or MERGE changes has to exist."""
    try:
        ref = jobs_mod._destination_table_from_dml(sqlglot.parse_one(sql, read="bigquery"))
    except sqlglot.errors.SqlglotError:
        return
    if ref is not None:
        p, d, t = ref[0] or project, ref[1], ref[2]
        visit_dataset(ctx, p, d)
        if ctx.catalog.get_table(p, d, t) is None:
            raise table_missing(p, d, t)


# ---- REST ----------------------------------------------------------------------
def merge_labels(old, new, patch):
    """Labels after an update: a patch keeps the keys that it does not name; null removes one."""
    merged = {**(old if patch else {}), **(new or {})}
    return {k: v for k, v in merged.items() if v is not None}


def label_filter(text):
    """datasets.list filter -> predicate on labels, or None if it is not valid: labels.k labels.k:v, joined by AND."""
    terms = [re.fullmatch(r"labels\.([^\s:]+)(?::(\S*))?", t) for t in text.split()]
    if not terms or not all(terms) or len(terms) > 10 or len({m.group(1) for m in terms}) < len(terms):
        return None
    return lambda labels: all(m.group(1) in labels and m.group(2) in (None, "*", labels[m.group(1)]) for m in terms)


def install():
    # every path that runs one statement: jobs, scripts, EXECUTE IMMEDIATE
    stock_single, stock_sql, stock_dynamic = (
        ex_mod._run_single_sql, script_mod.ScriptInterpreter._exec_sql, script_mod.ScriptInterpreter._run_statement_with_params)

    async def run_single(project_id, bq_sql, query_params, ctx, *, caller):
        async def run(sql):
            return await stock_single(project_id, sql, query_params, ctx, caller=caller)

        if await run_ddl(bq_sql, project_id, ctx, run):
            return ex_mod._EMPTY_ARROW
        return await stock_single(project_id, bq_sql, query_params, ctx, caller=caller)

    async def exec_sql(self, sql):
        if await run_ddl(sql, self._project_id, self._ctx, self._run_query):
            self._final_table = None
            return
        await stock_sql(self, sql)

    async def run_dynamic(self, bq_sql, using_values):
        if await run_ddl(bq_sql, self._project_id, self._ctx, self._run_query):
            self._final_table = None
            return
        await stock_dynamic(self, bq_sql, using_values)

    ex_mod._run_single_sql = run_single
    script_mod.ScriptInterpreter._exec_sql = exec_sql
    script_mod.ScriptInterpreter._run_statement_with_params = run_dynamic

    # stock describes the new object from DuckDB: not what run_ddl has made, and with all types otherwise (views)
    for mod in (ex_mod, script_mod):
        for name in ("sync_created_table", "sync_created_schema"):
            stock = getattr(mod, name)
            setattr(mod, name, lambda sql, project, ctx, stock=stock: None if try_parse(sql) else stock(sql, project, ctx))
    ddl_sync._introspect_schema = lambda p, d, t, ctx: TableSchema(fields=fields_to_catalog(describe(ctx, p, d, t)))

    # stock parses the whole text three times more to see whether it is DML or a CREATE TABLE: only if it can be one
    stock_reject, stock_capture, stock_detect = ex_mod._reject_dml_on_immutable, ex_mod._capture_dml_snapshots, ddl_sync._detect_plain_create_table
    dml = ("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE")

    async def capture(project, sql, ctx):
        if first_word(sql) in dml:
            await stock_capture(project, sql, ctx)

    ex_mod._capture_dml_snapshots = capture
    ex_mod._reject_dml_on_immutable = lambda project, sql, ctx: stock_reject(project, sql, ctx) if first_word(sql) in dml else None

    def detect(sql):
        try:
            return stock_detect(sql) if first_word(sql) == "CREATE" and (parse(sql) or True) else None
        except DomainError:     # not one statement
            return None

    ddl_sync._detect_plain_create_table = detect

    # what a job says of such a statement
    stock_classify, stock_fields = ex_mod.classify_statement_type, ex_mod.ddl_result_schema_fields

    def classify(sql):
        st = try_parse(sql)
        if isinstance(st, CreateTable):
            return "CREATE_TABLE_AS_SELECT" if st.query else "CREATE_TABLE"
        return "CREATE_SCHEMA" if isinstance(st, CreateSchema) else "ALTER_TABLE" if st else stock_classify(sql)

    def plain(f):
        out = {k: f[k] for k in ("name", "type", "mode", "rangeElementType") if k in f}
        return {**out, "fields": [plain(x) for x in f["fields"]]} if f.get("fields") else out

    def result_fields(sql, project, ctx):
        st = try_parse(sql)
        if isinstance(st, CreateTable) and st.fields:
            return [plain(f) for f in st.fields]
        return stock_fields(sql, project, ctx)

    ex_mod.classify_statement_type = classify
    ex_mod.ddl_result_schema_fields = result_fields

    # a dry run: stock accepts any DDL and DML statement, and runs a script as if it were none
    stock_dry, stock_preview = jobs_mod._dry_run_response, jobs_mod._destructive_dry_run_schema

    async def dry_run(*, project_id, bq_sql, query_params, ctx, caller, **more):
        async def run(sql):
            return await stock_single(project_id, sql, query_params, ctx, caller=caller)

        script = ex_mod._parse_script_or_raise(bq_sql)
        try:
            if single(script):
                if not await run_ddl(bq_sql, project_id, ctx, run, dry=True) and first_word(bq_sql) in dml:
                    check_target(bq_sql, project_id, ctx)
            else:
                for s in script.statements:
                    parse(getattr(s, "sql", ""))
        except DomainError as e:
            jobs_mod._rewrite_for_dry_run(e, bq_sql=bq_sql)
            raise
        return await stock_dry(project_id=project_id, bq_sql=bq_sql, query_params=query_params, ctx=ctx, caller=caller, **more)

    def classify_dry(sql):
        script = ex_mod._parse_script_or_raise(sql)
        return classify(sql) if single(script) else "SELECT" if all(map(harmless, script.statements)) else "SCRIPT"

    def preview(*, bq_sql, project_id, ctx, **more):
        return result_fields(bq_sql, project_id, ctx) if try_parse(bq_sql) else stock_preview(bq_sql=bq_sql, project_id=project_id, ctx=ctx, **more)

    jobs_mod._dry_run_response, jobs_mod._destructive_dry_run_schema = dry_run, preview
    jobs_mod.classify_statement_type = classify_dry
    jobs_mod._DESTRUCTIVE_STATEMENT_TYPES |= {"SCRIPT"}

    # tables.get, tables.list, tables.insert, tables.patch
    tb_mod._parse_schema_fields, tb_mod._field_to_rest = fields_to_catalog, field_to_rest
    stock_meta, stock_rest, stock_item = tb_mod._rest_to_table_meta, tb_mod._table_to_rest, tb_mod._table_to_list_item

    def to_meta(project, dataset, body, clock, existing=None):
        meta = stock_meta(project, dataset, body, clock, existing)
        change = {}
        if existing is not None:
            change = {"range_partitioning": existing.range_partitioning, "expiration_time": existing.expiration_time}
        if "clustering" in body and not (body["clustering"] or {}).get("fields"):
            change["clustering"] = None
        if body.get("rangePartitioning"):
            rng = body["rangePartitioning"]
            change["range_partitioning"] = RangePartitioning(field=rng["field"], **{k: int(rng["range"][k]) for k in ("start", "end", "interval")})
        if body.get("expirationTime"):
            change["expiration_time"] = from_millis(body["expirationTime"])
        if "requirePartitionFilter" in body and meta.time_partitioning:
            change["time_partitioning"] = meta.time_partitioning.model_copy(
                update={"require_partition_filter": bool(body["requirePartitionFilter"])})
        return meta.model_copy(update=change)

    def shared(t, out):
        """The properties that tables.get and tables.list have in common."""
        out.update({k: v for k, v in (("friendlyName", t.friendly_name), ("labels", t.labels)) if v})
        if t.time_partitioning:
            out["timePartitioning"] = tb_mod._time_partitioning_to_rest(t.time_partitioning)
            if t.time_partitioning.require_partition_filter:
                out["requirePartitionFilter"] = True
        if t.range_partitioning:
            r = t.range_partitioning
            out["rangePartitioning"] = {"field": r.field, "range": {"start": str(r.start), "end": str(r.end), "interval": str(r.interval)}}
        if t.clustering:
            out["clustering"] = {"fields": list(t.clustering.fields)}
        if t.expiration_time:
            out["expirationTime"] = str(int(t.expiration_time.timestamp() * 1000))
        if t.view_query and t.table_type == "VIEW":
            out["view"] = {"query": t.view_query, "useLegacySql": t.use_legacy_sql}
        return out

    def to_item(t):
        out = shared(t, stock_item(t))
        out.get("view", {}).pop("query", None)
        return out

    tb_mod._rest_to_table_meta, tb_mod._table_to_list_item = to_meta, to_item
    tb_mod._table_to_rest = lambda t: shared(t, stock_rest(t))
