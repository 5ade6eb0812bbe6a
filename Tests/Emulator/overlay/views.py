"""F10: INFORMATION_SCHEMA views over a dataset or a region, kept as DuckDB tables.

Stock writes the rows of one dataset into the query text as a VALUES list, which the translator does not always keep
whole, and knows no regions (a region's name is looked up as a dataset: no rows).  Here the rows of SCHEMATA, TABLES,
COLUMNS, COLUMN_FIELD_PATHS and of the two option views live in DuckDB tables of their own; before a query that names
such a view, the rows of those tables whose metadata changed since the last one are written anew (nothing is done if
nothing changed).  The name in the query becomes the name of a DuckDB view over the rows of that dataset or region.

Columns: as in BigQuery's reference, without data_policies, async_generation_status and the replication columns.
"""
import pyarrow as pa

from bqemulator.domain.errors import InvalidQueryError, NotFoundError, UnsupportedFeatureError
from bqemulator.sql import inner_query
from bqemulator.sql.rewriter.information_schema import expand_information_schema as stock_expand
from bqemulator.storage.engine import CATALOG_SCHEMA

from .jobs import job_location, visit, visit_datasets
from .params import name_structs
from .sql import RESERVED, quote_name, quote_string, read_path, tokens
from .types import canon, sql_type

S = f'"{CATALOG_SCHEMA}"'
_TEXT, _INT = pa.string(), pa.int64()

# Base tables: one row per dataset, table, column and field path; did and tid number datasets and tables.
BASE = {
    "is_datasets": (("did", pa.int32()), ("location", _TEXT), ("catalog_name", _TEXT), ("schema_name", _TEXT),
                    ("creation_time", _INT), ("last_modified_time", _INT), ("shown_location", _TEXT), ("ddl", _TEXT),
                    ("default_collation_name", _TEXT)),
    "is_tables": (("tid", pa.int32()), ("did", pa.int32()), ("location", _TEXT), ("table_catalog", _TEXT), ("table_schema", _TEXT),
                  ("table_name", _TEXT), ("table_type", _TEXT), ("creation_time", _INT), ("base_table_catalog", _TEXT),
                  ("base_table_schema", _TEXT), ("base_table_name", _TEXT), ("snapshot_time", _INT)),
    "is_ddl": (("tid", pa.int32()), ("ddl", _TEXT)),
    "is_schema_options": (("did", pa.int32()), ("option_name", _TEXT), ("option_type", _TEXT), ("option_value", _TEXT)),
    "is_table_options": (("tid", pa.int32()), ("option_name", _TEXT), ("option_type", _TEXT), ("option_value", _TEXT)),
    "is_columns": (("tid", pa.int32()), ("column_name", _TEXT), ("ordinal_position", _INT), ("is_nullable", _TEXT), ("data_type", _TEXT),
                   ("is_hidden", _TEXT), ("is_partitioning_column", _TEXT), ("clustering_ordinal_position", _INT),
                   ("collation_name", _TEXT), ("column_default", _TEXT), ("rounding_mode", _TEXT)),
    "is_paths": (("tid", pa.int32()), ("column_name", _TEXT), ("field_path", _TEXT), ("data_type", _TEXT), ("description", _TEXT),
                 ("collation_name", _TEXT), ("rounding_mode", _TEXT)),
}
_NO = "CAST(NULL AS VARCHAR)"
_TABLE = "t.table_catalog, t.table_schema, t.table_name"
VIEWS = {
    "SCHEMATA": (("is_datasets",), f"""SELECT catalog_name, schema_name, {_NO} AS schema_owner, epoch_ms(creation_time)::TIMESTAMPTZ AS creation_time,
        epoch_ms(last_modified_time)::TIMESTAMPTZ AS last_modified_time, shown_location AS location, ddl, default_collation_name,
        CAST(NULL AS JSON) AS sync_status FROM {S}.is_datasets t"""),
    "TABLES": (("is_tables", "is_ddl"), f"""SELECT {_TABLE}, t.table_type,
        CASE WHEN t.table_type IN ('BASE TABLE', 'CLONE') THEN 'NATIVE' END AS managed_table_type,
        CASE WHEN t.table_type IN ('BASE TABLE', 'CLONE') THEN 'YES' ELSE 'NO' END AS is_insertable_into,
        'NO' AS is_fine_grained_mutations_enabled, 'NO' AS is_typed, 'NO' AS is_change_history_enabled,
        epoch_ms(t.creation_time)::TIMESTAMPTZ AS creation_time, t.base_table_catalog, t.base_table_schema, t.base_table_name,
        epoch_ms(t.snapshot_time)::TIMESTAMPTZ AS snapshot_time_ms, d.ddl, {_NO} AS default_collation_name
        FROM {S}.is_tables t JOIN {S}.is_ddl d USING (tid)"""),
    "COLUMNS": (("is_tables", "is_columns"), f"""SELECT {_TABLE}, c.column_name, c.ordinal_position, c.is_nullable, c.data_type,
        'NEVER' AS is_generated, {_NO} AS generation_expression, {_NO} AS is_stored, c.is_hidden, {_NO} AS is_updatable,
        c.is_hidden AS is_system_defined, c.is_partitioning_column, c.clustering_ordinal_position, c.collation_name, c.column_default,
        c.rounding_mode, CAST([] AS VARCHAR[]) AS policy_tags FROM {S}.is_tables t JOIN {S}.is_columns c USING (tid)"""),
    "COLUMN_FIELD_PATHS": (("is_tables", "is_paths"), f"""SELECT {_TABLE}, c.column_name, c.field_path, c.data_type, c.description,
        c.collation_name, c.rounding_mode, CAST([] AS VARCHAR[]) AS policy_tags FROM {S}.is_tables t JOIN {S}.is_paths c USING (tid)"""),
    "SCHEMATA_OPTIONS": (("is_datasets", "is_schema_options"), f"""SELECT t.catalog_name, t.schema_name, o.option_name, o.option_type,
        o.option_value FROM {S}.is_datasets t JOIN {S}.is_schema_options o USING (did)"""),
    "TABLE_OPTIONS": (("is_tables", "is_table_options"), f"""SELECT {_TABLE}, o.option_name, o.option_type, o.option_value
        FROM {S}.is_tables t JOIN {S}.is_table_options o USING (tid)"""),
}
OF_PROJECT = ("SCHEMATA", "SCHEMATA_OPTIONS")       # not of a dataset; without a region, those of the US
STOCK_VIEWS = ("ROUTINES", "MATERIALIZED_VIEWS", "ROW_ACCESS_POLICIES", "VIEWS", "PARTITIONS")      # of a dataset
TABLE_TYPES = {"TABLE": "BASE TABLE", "MATERIALIZED_VIEW": "MATERIALIZED VIEW"}


# ---- rows ----------------------------------------------------------------------
def millis(t):
    return None if t is None else int(t.timestamp() * 1000)


def common_options(x):
    """(name, type, value) of what datasets and tables have in common, the value as an SQL literal."""
    labels = "[" + ", ".join(f"STRUCT({quote_string(k)}, {quote_string(v)})" for k, v in sorted(x.labels.items())) + "]"
    return [(name, t, value) for name, t, value in (
        ("friendly_name", "STRING", x.friendly_name and quote_string(x.friendly_name)),
        ("description", "STRING", x.description and quote_string(x.description)),
        ("labels", "ARRAY<STRUCT<STRING, STRING>>", x.labels and labels)) if value]


def dataset_options(d):
    days = [(f"default_{what}_expiration_days", "FLOAT64", str(ms / 86_400_000)) for what, ms in (
        ("table", d.default_table_expiration_ms), ("partition", d.default_partition_expiration_ms)) if ms]
    return common_options(d) + days + [("location", "STRING", quote_string(d.location.lower()))]


def table_options(t):
    out, p = common_options(t), t.time_partitioning
    if t.expiration_time is not None:
        out.append(("expiration_timestamp", "TIMESTAMP", f'TIMESTAMP "{t.expiration_time:%Y-%m-%dT%H:%M:%S}.{t.expiration_time.microsecond // 1000:03}Z"'))
    if p is not None and p.expiration_ms:
        out.append(("partition_expiration_days", "FLOAT64", str(p.expiration_ms / 86_400_000)))
    if p is not None and p.require_partition_filter:
        out.append(("require_partition_filter", "BOOL", "true"))
    return out


def options_ddl(options):
    lines = [f"  {name}={value.replace('STRUCT(', '(') if name == 'labels' else value}" for name, _, value in options]
    return "\nOPTIONS(\n" + ",\n".join(lines) + "\n)" if lines else ""


def partition_ddl(t):
    p, r = t.time_partitioning, t.range_partitioning
    if r is not None:
        return f"\nPARTITION BY RANGE_BUCKET({quote_name(r.field)}, GENERATE_ARRAY({r.start}, {r.end}, {r.interval}))"
    if p is None:
        return ""
    kind = next((f.type for f in t.schema_.fields if p.field and f.name.lower() == p.field.lower()), None)
    name = quote_name(p.field) if p.field else "_PARTITIONTIME"
    if p.type == "DAY":
        return "\nPARTITION BY " + (name if kind == "DATE" else f"DATE({name})")
    fn = {"DATE": "DATE_TRUNC", "DATETIME": "DATETIME_TRUNC"}.get(kind, "TIMESTAMP_TRUNC")
    return f"\nPARTITION BY {fn}({name}, {p.type})"


def ddl_type(f):
    """The type of a column in DDL: unlike COLUMNS, it shows the modes and descriptions within a STRUCT."""
    if canon(f.type) != "RECORD":
        return sql_type(f)
    inner = ", ".join(
        f"{quote_name(c.name)} {ddl_type(c)}" + (" NOT NULL" if c.mode == "REQUIRED" else "")
        + (f" OPTIONS(description={quote_string(c.description)})" if c.description else "") for c in f.fields)
    return f"ARRAY<STRUCT<{inner}>>" if f.mode == "REPEATED" else f"STRUCT<{inner}>"


def table_ddl(t):
    name, options = f"`{t.project_id}.{t.dataset_id}.{t.table_id}`", options_ddl(table_options(t))
    if t.table_type in ("VIEW", "MATERIALIZED_VIEW"):
        kind = TABLE_TYPES.get(t.table_type, t.table_type)
        return f"CREATE {kind} {name}{options}\nAS {t.view_query or ''};"
    columns = ",\n".join(
        f"  {quote_name(f.name)} {ddl_type(f)}" + (f" DEFAULT {f.default_value_expression}" if f.default_value_expression else "")
        + (" NOT NULL" if f.mode == "REQUIRED" else "") + (f" OPTIONS(description={quote_string(f.description)})" if f.description else "")
        for f in t.schema_.fields)
    cluster = "\nCLUSTER BY " + ", ".join(quote_name(f) for f in t.clustering.fields) if t.clustering else ""
    return f"CREATE TABLE {name}\n(\n{columns}\n){partition_ddl(t)}{cluster}{options};"


def column_rows(tid, t):
    part = (t.time_partitioning or t.range_partitioning)
    part = part.field.lower() if part is not None and part.field else None
    cluster = {f.lower(): i for i, f in enumerate(t.clustering.fields, 1)} if t.clustering else {}
    for i, f in enumerate(t.schema_.fields, 1):
        low = f.name.lower()
        # a REPEATED column is never NULL
        # Where there is no collation and no default, BigQuery shows the word NULL.
        yield (tid, f.name, i, "YES" if f.mode == "NULLABLE" else "NO", sql_type(f), "NO", "YES" if low == part else "NO",
               cluster.get(low), f.collation or "NULL", f.default_value_expression or "NULL", f.rounding_mode)
    if t.time_partitioning is not None and part is None:
        for name, kind in (("_PARTITIONTIME", "TIMESTAMP"), ("_PARTITIONDATE", "DATE"))[:2 if t.time_partitioning.type == "DAY" else 1]:
            yield (tid, name, None, "YES", kind, "YES", "YES" if name == "_PARTITIONTIME" else "NO", None, None, None, None)


def path_rows(tid, column, prefix, fields):
    for f in fields:
        path = prefix + f.name
        yield tid, column or f.name, path, sql_type(f), f.description, f.collation or "NULL", f.rounding_mode
        if f.fields:
            yield from path_rows(tid, column or f.name, path + ".", f.fields)


class Mirror:
    """The base tables in DuckDB, brought up to date on demand."""

    def __init__(self, ctx):
        self.ctx, self.ids, self.seen, self.views = ctx, {}, {name: {} for name in BASE}, {}
        for name, columns in BASE.items():
            spec = ", ".join(f"{c} {'INTEGER' if t == pa.int32() else 'BIGINT' if t == _INT else 'VARCHAR'}" for c, t in columns)
            ctx.engine.execute(f"CREATE TABLE {S}.{name} ({spec})")

    def id_of(self, key):
        return self.ids.setdefault(key, len(self.ids))

    def rows(self, base, key, meta, location):
        """The rows of one dataset or table."""
        i = self.id_of(key)
        if base == "is_datasets":
            return ((i, meta.location.lower(), meta.project_id, meta.dataset_id, millis(meta.creation_time), millis(meta.last_modified_time),
                     meta.location, f"CREATE SCHEMA `{meta.project_id}.{meta.dataset_id}`{options_ddl(dataset_options(meta))};",
                     meta.default_collation),)
        if base == "is_tables":
            source = (meta.base_table.split(".", 2) + [None] * 3)[:3] if meta.base_table else (None, None, None)
            return ((i, self.id_of(key[:2]), location, *key, TABLE_TYPES.get(meta.table_type, meta.table_type), millis(meta.creation_time),
                     *source, millis(meta.snapshot_time)),)
        if base == "is_ddl":
            return ((i, table_ddl(meta)),)
        if base in ("is_schema_options", "is_table_options"):
            return ((i, *o) for o in (dataset_options if base == "is_schema_options" else table_options)(meta))
        return column_rows(i, meta) if base == "is_columns" else path_rows(i, None, "", meta.schema_.fields)

    @staticmethod
    def same(base, a, b):
        """True if b, which came after a, gives the same rows (writing rows to a table makes a new object too)."""
        if base in ("is_columns", "is_paths"):
            return (a.schema_ is b.schema_ and a.time_partitioning is b.time_partitioning
                    and a.range_partitioning is b.range_partitioning and a.clustering is b.clustering)
        if base == "is_tables":
            return a.creation_time == b.creation_time and a.table_type == b.table_type
        return False

    def sync(self, base):
        datasets = {(d.project_id, d.dataset_id): d for d in self.ctx.catalog.list_all_datasets() if not d.dataset_id.startswith("_")}
        if BASE[base][0][0] == "did":
            now = datasets
        else:
            now = {k: t for k, t in self.tables().items() if k[:2] in datasets}
        seen = self.seen[base]
        stale, fresh = [self.ids[k] for k in seen if k not in now], []
        if stale:
            self.seen[base] = seen = {k: m for k, m in seen.items() if k in now}
        for k, meta in now.items():
            old = seen.get(k)
            if old is meta:
                continue
            if old is None or not self.same(base, old, meta):
                fresh.append(k)
                if old is not None:
                    stale.append(self.ids[k])
            seen[k] = meta
        key = BASE[base][0][0]
        if stale:
            self.write([stale], BASE[base][:1], f"DELETE FROM {S}.{base} WHERE {key} IN (FROM __emu_rows)")
        if fresh:
            columns = [[] for _ in BASE[base]]
            for k in fresh:
                location = datasets[k[:2]].location.lower()
                for row in self.rows(base, k, now[k], location):
                    for column, v in zip(columns, row):
                        column.append(v)
            self.write(columns, BASE[base], f"INSERT INTO {S}.{base} FROM __emu_rows")

    def write(self, columns, spec, sql):
        connection = self.ctx.engine.connection
        connection.register("__emu_rows", pa.table([pa.array(c, t) for c, (_, t) in zip(columns, spec)], names=[n for n, _ in spec]))
        try:
            connection.execute(sql)
        finally:
            connection.unregister("__emu_rows")

    def tables(self):
        catalog = self.ctx.catalog
        if hasattr(catalog, "_tables"):
            return dict(catalog._tables)
        return {(t.project_id, t.dataset_id, t.table_id): t for d in catalog.list_all_datasets()
                for t in catalog.list_tables(d.project_id, d.dataset_id)}

    def view(self, view, where, synced):
        """Name of the DuckDB view for one scope, with its rows up to date; synced is what this statement has seen to."""
        bases, select = VIEWS[view]
        for base in bases:
            if base not in synced:
                self.sync(base)
                synced.add(base)
        if (view, where) not in self.views:
            self.views[view, where] = name = f"is_view_{len(self.views)}"
            self.ctx.engine.execute(f"CREATE VIEW {S}.{name} AS {select} WHERE {where}")
        return self.views[view, where]


# ---- names in the query ---------------------------------------------------------
def quoted(s):
    return "'" + s.replace("'", "''") + "'"


def resolve(mirror, parts, at, project, synced):
    """DuckDB view for a path with INFORMATION_SCHEMA at position at, or None if it is left to stock."""
    scope, view = parts[:at], parts[at + 1]
    catalog, last = mirror.ctx.catalog, scope[-1] if scope else ""
    region = last[len("region-"):] if last.lower().startswith("region-") else None
    if len(scope) == 2:
        project = scope[0]
    elif scope and region is None and view in OF_PROJECT:
        project, last = last, ""
    full = f"Table {project}:{last}{'.' if last else ''}INFORMATION_SCHEMA.{view}"

    if region is None and last:
        dataset = catalog.get_dataset(project, last)
        if dataset is None:
            raise NotFoundError(f"Not found: Dataset {project}:{last} was not found in location {job_location()}")
        visit(dataset.location, f"Dataset {project}:{last}")
        if view in STOCK_VIEWS:
            return None
        where = f"t.did = {mirror.id_of((project, last))}"
    elif region is not None or view in OF_PROJECT:
        region = region or "us"
        visit(region, full)
        where = f"t.{'catalog_name' if view in OF_PROJECT else 'table_catalog'} = {quoted(project)} AND t.location = {quoted(region.lower())}"
    else:
        raise InvalidQueryError(f"INFORMATION_SCHEMA.{view} must be qualified with a dataset or a region", location="query")   # (ours)
    known = view.upper() in VIEWS or view.upper() in STOCK_VIEWS
    if known and (view != view.upper() or (view in OF_PROJECT if last and region is None else view == "PARTITIONS")):
        # view names are case-sensitive; not every view exists for both scopes
        raise NotFoundError(f"Not found: {full} was not found in location {job_location()}")
    if view not in VIEWS:
        raise UnsupportedFeatureError(f"{full[len('Table '):]} is not modelled by this emulator")
    return mirror.view(view, where, synced)


def has_alias(toks, i):
    t = toks[i] if i < len(toks) else None
    return t is not None and (t.kind == "id" or (t.kind == "word" and (
        t.text.upper() == "AS" or t.text.upper() not in RESERVED | {"PIVOT", "UNPIVOT"})))


def expand(mirror, sql, project):
    """(sql with the views by their DuckDB names, True if others are left for stock)."""
    if "INFORMATION_SCHEMA" not in sql.upper():
        return sql, False
    toks, out, done, i, left, synced = tokens(sql), [], 0, 0, False, set()
    while i < len(toks):
        found = read_path(toks, i) if toks[i].kind in ("word", "id") else None
        if found is None:
            i += 1
            continue
        parts, after = found
        upper = [p.upper() for p in parts]
        at = upper.index("INFORMATION_SCHEMA") if "INFORMATION_SCHEMA" in upper else -1
        if at >= 0 and at == len(parts) - 2:
            name = resolve(mirror, parts, at, project, synced)
            if name is None:
                left = True
            else:
                out += [sql[done:toks[i].start], f"`{CATALOG_SCHEMA}`.`{name}`", "" if has_alias(toks, after) else f" AS `{parts[-1]}`"]
                done = toks[after - 1].end
        i = after
    return "".join(out) + sql[done:], left


def install(ctx):
    mirror = Mirror(ctx)

    def expand_all(bq_sql, project_id, catalog):
        visit_datasets(bq_sql, project_id, catalog)
        sql, left = expand(mirror, name_structs(bq_sql), project_id)
        return stock_expand(sql, project_id, catalog) if left else sql

    inner_query.expand_information_schema = expand_all
