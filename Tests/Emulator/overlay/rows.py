"""F11: tabledata.insertAll.

Why stock answers 500: a value that does not fit its column (text in a number, an object or plain text in JSON, a scalar in
a STRUCT, ...) or a REQUIRED column without a value ends as an exception of pyarrow or DuckDB that nobody catches; and
for a table made by DDL the catalog had other types than DuckDB (JSON, GEOGRAPHY, INTERVAL).  It also inserts by position,
which is wrong once a column was added anywhere but at the end, and lets unknown fields through.

Here each row is checked against the schema first.  Messages as BigQuery's streaming service words them, where public
reports show them; the others are marked (ours).
"""
import base64
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
import json
import re
import time as clock
from uuid import uuid4

import pyarrow as pa

from bqemulator.domain.errors import NotFoundError, ValidationError
from bqemulator.storage.arrow_bridge import _bq_interval_string_to_tuple
from bqemulator.storage.sql_identifiers import quoted_table_ref

from .types import duck_name

REMEMBER_S = 60           # insertIds are remembered for about a minute
_seen = {}                # (project, dataset, table) -> {insertId: when}

ARROW = {"STRING": pa.string(), "BYTES": pa.binary(), "INTEGER": pa.int64(), "FLOAT": pa.float64(), "NUMERIC": pa.decimal128(38, 9),
         "BIGNUMERIC": pa.decimal128(38, 18), "BOOLEAN": pa.bool_(), "DATE": pa.date32(), "TIME": pa.time64("us"),
         "DATETIME": pa.timestamp("us"), "TIMESTAMP": pa.timestamp("us", tz="UTC"), "JSON": pa.string(), "GEOGRAPHY": pa.string(),
         "INTERVAL": pa.month_day_nano_interval()}


class RowError(Exception):
    def __init__(self, location, message):
        super().__init__(message)
        self.location, self.message = location, message


def arrow_type(f):
    if f.type == "RECORD":
        t = pa.struct([(x.name, arrow_type(x)) for x in f.fields])
    elif f.type == "RANGE":
        t = pa.struct([(n, ARROW[f.range_element_type.type]) for n in ("start", "end")])
    else:
        t = ARROW.get(f.type, pa.string())
    return pa.list_(t) if f.mode == "REPEATED" else t


# ---- values --------------------------------------------------------------------
def text_of(v):
    """A JSON value as the messages show it."""
    return v if isinstance(v, str) else json.dumps(v)


def bad(path, kind, v):
    return RowError(path, f"Cannot convert value to {kind} (bad value): {text_of(v)}")


def to_string(v, path):
    if isinstance(v, bool):
        raise RowError(path, "Conversion from bool to std::string is unsupported.")
    return text_of(v)


def to_integer(v, path):
    try:
        n = v if isinstance(v, int) and not isinstance(v, bool) else int(v.strip()) if isinstance(v, str) else None
        if isinstance(v, float) and v.is_integer():
            n = int(v)
    except ValueError:
        n = None
    if n is None or not -2**63 <= n < 2**63:
        raise bad(path, "integer", v)
    return n


def to_float(v, path):
    try:
        if isinstance(v, bool):
            raise ValueError
        return float(v)
    except (ValueError, TypeError):
        raise bad(path, "floating point", v) from None


def to_boolean(v, path):
    if isinstance(v, bool):
        return v
    if isinstance(v, str) and v.lower() in ("true", "false"):
        return v.lower() == "true"
    raise bad(path, "boolean", v)          # (ours)


def to_decimal(digits, scale, name):
    def convert(v, path):
        try:
            d = Decimal(str(v)) if not isinstance(v, bool) else None
            if d is None or not d.is_finite() or d.normalize().as_tuple().exponent < -scale or d.adjusted() >= digits:
                raise InvalidOperation
            return d
        except InvalidOperation:
            raise RowError(path, f"Invalid {name} value: {text_of(v)}") from None       # (ours)
    return convert


def to_bytes(v, path):
    try:
        return base64.b64decode(v.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, AttributeError, TypeError):
        raise RowError(path, f"Could not decode base64 string to bytes: {text_of(v)}") from None      # (ours)


def parsed(name, regex, make):
    def convert(v, path):
        m = regex.fullmatch(v.strip()) if isinstance(v, str) else None
        try:
            if m is None:
                raise ValueError
            return make(m)
        except ValueError:
            raise RowError(path, f"Invalid {name}: '{text_of(v)}'") from None           # (ours)
    return convert


_DATE, _TIME = r"(\d{4})-(\d{1,2})-(\d{1,2})", r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6})\d*)?)?"
_STAMP = re.compile(rf"{_DATE}[ Tt]{_TIME}\s*(?:([zZ]|UTC)|([+-])(\d{{1,2}})(?::?(\d{{2}}))?)?")
_ZERO = datetime(1970, 1, 1, tzinfo=timezone.utc)


def clock_of(m, first):
    h, mi, s, us = (m.group(first + k) or "0" for k in range(4))
    return time(int(h), int(mi), int(s), int(us.ljust(6, "0")))


def day_of(m):
    return date(int(m.group(1)), int(m.group(2)), int(m.group(3)))


def to_timestamp(v, path):
    try:
        if isinstance(v, (int, float)) and not isinstance(v, bool) or isinstance(v, str) and re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", v):
            return _ZERO + timedelta(microseconds=round(float(v) * 1_000_000))
        m = _STAMP.fullmatch(v.strip())
        t = datetime.combine(day_of(m), clock_of(m, 4), timezone.utc)
        if m.group(9):
            shift = timedelta(hours=int(m.group(10)), minutes=int(m.group(11) or 0))
            t += -shift if m.group(9) == "+" else shift
        return t
    except (ValueError, AttributeError, OverflowError, TypeError):
        raise RowError(path, f"Could not parse '{text_of(v)}' as a timestamp. Required format is YYYY-MM-DD HH:MM[:SS[.SSSSSS]]") from None


def to_json(v, path):
    s = to_string(v, path)
    try:
        json.loads(s, parse_constant=lambda c: (_ for _ in ()).throw(ValueError(c)))
        return s
    except ValueError:
        raise RowError(path, f"Invalid JSON value: {s}") from None                       # (ours)


def to_interval(v, path):
    try:
        return pa.MonthDayNano(_bq_interval_string_to_tuple(v))
    except Exception:  # noqa: BLE001 -- whatever stock's parser raises
        raise RowError(path, f"Invalid INTERVAL value: {text_of(v)}") from None          # (ours)


SCALARS = {
    "STRING": to_string, "INTEGER": to_integer, "FLOAT": to_float, "BOOLEAN": to_boolean, "NUMERIC": to_decimal(29, 9, "NUMERIC"),
    "BIGNUMERIC": to_decimal(20, 18, "BIGNUMERIC"), "BYTES": to_bytes, "TIMESTAMP": to_timestamp, "JSON": to_json,
    "GEOGRAPHY": to_string, "INTERVAL": to_interval, "DATE": parsed("date", re.compile(_DATE), day_of),
    "TIME": parsed("time", re.compile(_TIME), lambda m: clock_of(m, 1)),
    "DATETIME": parsed("datetime", re.compile(rf"{_DATE}[ Tt]{_TIME}"), lambda m: datetime.combine(day_of(m), clock_of(m, 4))),
}


def convert(f, v, path, loose):
    """Value of one field, f.mode aside."""
    if isinstance(v, list):
        raise RowError(path, f"Array specified for non-repeated field: {f.name}.")
    if f.type == "RECORD":
        if not isinstance(v, dict):
            raise bad(path, "record", v)                                                 # (ours)
        return record(f.fields, v, path + ".", loose)
    if f.type == "RANGE":
        raise RowError(path, "RANGE values are not supported by this emulator's insertAll")
    if isinstance(v, dict):
        raise RowError(path, f"This field: {f.name} is not a record.")
    return SCALARS.get(f.type, to_string)(v, path)


def record(fields, row, path, loose):
    """{column: value} of the given columns of a row or struct; loose ignores unknown fields."""
    by_name, out = {f.name.lower(): f for f in fields}, {}
    for key, v in row.items():
        f = by_name.get(key.lower())
        if f is None:
            if loose:
                continue
            raise RowError(path + key, f"no such field: {path}{key}.")
        here = path + f.name
        if f.mode == "REPEATED":
            if v is None:
                v = []
            if not isinstance(v, list):
                raise RowError(here, f"Repeated field must be imported as a JSON array. Field: {f.name}.")
            if any(x is None for x in v):
                raise RowError(here, f"Only optional fields can be set to NULL. Field: {f.name}; Value: NULL")
            out[f.name] = [convert(f, x, here, loose) for x in v]
        else:
            out[f.name] = None if v is None else convert(f, v, here, loose)
    for f in fields:
        if f.mode == "REQUIRED" and out.get(f.name) is None and (f.name in out or not f.default_value_expression):
            raise RowError("", f"Missing required field: Msg_0_CLOUD_QUERY_TABLE.{path}{f.name}.")
        if path:
            out.setdefault(f.name, [] if f.mode == "REPEATED" else None)    # all of a struct's fields
    return out


# ---- the request ---------------------------------------------------------------
def write(ctx, ref, schema, rows):
    """Inserts converted rows, by column name; rows with the same columns go together (a missing column has its default)."""
    engine, groups = ctx.engine, {}
    for row in rows:
        names = frozenset(row) if any(f.default_value_expression and f.name not in row for f in schema) else None
        groups.setdefault(names, []).append(row)
    for names, group in groups.items():
        fields = [f for f in schema if names is None or f.name in names or not f.default_value_expression]
        table = pa.table([pa.array([r.get(f.name, [] if f.mode == "REPEATED" else None) for r in group], arrow_type(f)) for f in fields],
                         names=[f.name for f in fields])
        reg = f"__emu_insert_{uuid4().hex[:12]}"
        into = ", ".join(duck_name(f.name) for f in fields)
        select = ", ".join(f"ST_GeomFromText({duck_name(f.name)})" if f.type == "GEOGRAPHY" and f.mode != "REPEATED" else duck_name(f.name)
                           for f in fields)
        engine.connection.register(reg, table)
        try:
            engine.execute(f"INSERT INTO {ref} ({into}) SELECT {select} FROM {reg}")
        finally:
            engine.connection.unregister(reg)


async def insert_all(project, dataset, table, body, ctx):
    meta = ctx.catalog.get_table(project, dataset, table)
    if meta is None:
        missing = f"Table {project}:{dataset}.{table}" if ctx.catalog.get_dataset(project, dataset) else f"Dataset {project}:{dataset}"
        raise NotFoundError(f"Not found: {missing}")
    if meta.table_type != "TABLE":
        raise ValidationError(f"Cannot add rows to a table of type {meta.table_type}.")
    if not meta.schema_.fields:
        raise ValidationError("The destination table has no schema.")
    rows = body.get("rows") or []
    if not rows:
        raise ValidationError("No rows present in the request.")
    if not isinstance(rows, list) or not all(isinstance(r, dict) and isinstance(r.get("json") or {}, dict) for r in rows):
        raise ValidationError("Invalid value for rows: each needs an object named json")                  # (ours)
    loose, skip = bool(body.get("ignoreUnknownValues")), bool(body.get("skipInvalidRows"))

    now, ids = clock.monotonic(), _seen.setdefault((project, dataset, table, meta.creation_time), {})
    for key in [k for k, when in ids.items() if now - when > REMEMBER_S]:
        del ids[key]
    good, errors, fresh = [], {}, {}
    for i, row in enumerate(rows):
        try:
            value = record(meta.schema_.fields, row.get("json") or {}, "", loose)
        except RowError as e:
            errors[i] = {"reason": "invalid", "location": e.location, "debugInfo": "", "message": e.message}
            continue
        insert_id = row.get("insertId")
        if insert_id is None or (insert_id not in ids and insert_id not in fresh):
            good.append(value)
            if insert_id is not None:
                fresh[insert_id] = now
    out = {"kind": "bigquery#tableDataInsertAllResponse"}
    if errors:
        stopped = {"reason": "stopped", "location": "", "debugInfo": "", "message": ""}
        out["insertErrors"] = [{"index": i, "errors": [errors.get(i, stopped)]} for i in range(len(rows)) if i in errors or not skip]
        if not skip:
            return out
    if good:
        async with ctx.engine.write_lock():
            try:
                write(ctx, quoted_table_ref(project, dataset, table), meta.schema_.fields, good)
            except Exception as e:  # noqa: BLE001 -- what the checks above let through (a bad geography, 38 digits)
                raise ValidationError(f"Rows could not be inserted: {str(e).splitlines()[0]}") from e     # (ours)
            meta = ctx.catalog.get_table(project, dataset, table)
            ctx.catalog.update_table(meta.model_copy(update={"num_rows": meta.num_rows + len(good)}))
            ctx.snapshots.record_change(project, dataset, table)
    ids.update(fresh)
    return out
