"""Column types: BigQuery's REST names, GoogleSQL text, DuckDB's types, and the catalog's field objects."""
from functools import lru_cache

from bqemulator.catalog.models import TableFieldSchema
from bqemulator.domain.errors import ValidationError
from bqemulator.types.range_type import detect_range_element

from .sql import quote_name

# REST name -> (GoogleSQL name, DuckDB type).  DuckDB has 38 decimal digits: BIGNUMERIC keeps 20 before the point and 18
# after it, and the emulator tells the two apart by the number of digits after the point.
TYPES = {
    "STRING": ("STRING", "VARCHAR"), "BYTES": ("BYTES", "BLOB"), "INTEGER": ("INT64", "BIGINT"),
    "FLOAT": ("FLOAT64", "DOUBLE"), "NUMERIC": ("NUMERIC", "DECIMAL(38, 9)"), "BIGNUMERIC": ("BIGNUMERIC", "DECIMAL(38, 18)"),
    "BOOLEAN": ("BOOL", "BOOLEAN"), "DATE": ("DATE", "DATE"), "TIME": ("TIME", "TIME"), "DATETIME": ("DATETIME", "TIMESTAMP"),
    "TIMESTAMP": ("TIMESTAMP", "TIMESTAMPTZ"), "JSON": ("JSON", "JSON"), "GEOGRAPHY": ("GEOGRAPHY", "GEOMETRY"),
    "INTERVAL": ("INTERVAL", "INTERVAL"), "RECORD": ("STRUCT", None), "RANGE": ("RANGE", None),
}
_ALIASES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD", "DECIMAL": "NUMERIC",
            "BIGDECIMAL": "BIGNUMERIC"}
# What a column may be called in a DDL statement: unlike the REST API, not FLOAT and not RECORD.
DDL_TYPES = {sql: rest for rest, (sql, _) in TYPES.items()} | {
    n: "INTEGER" for n in ("INT", "SMALLINT", "INTEGER", "BIGINT", "TINYINT", "BYTEINT")} | {
    "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC", "BOOLEAN": "BOOLEAN"}


def canon(t):
    """The name that the REST API gives a type: INT64 is INTEGER."""
    t = t.upper().split("(")[0]
    return _ALIASES.get(t, t)


def mode_of(field):
    return (field.get("mode") or "NULLABLE").upper()


def duck_name(name):
    return '"' + name.replace('"', '""') + '"'


def duck_type(field):
    """DuckDB's type of a REST field."""
    t = canon(field.get("type", "STRING"))
    if t not in TYPES:
        raise ValidationError(f"Invalid value for type: {field['type']} is not a valid value")
    if t == "RECORD":
        out = "STRUCT(" + ", ".join(f"{duck_name(f['name'])} {duck_type(f)}" for f in field.get("fields", [])) + ")"
    elif t == "RANGE":
        inner = TYPES[canon((field.get("rangeElementType") or {}).get("type", ""))][1]
        out = f'STRUCT("start" {inner}, "end" {inner})'
    elif t == "NUMERIC" and field.get("precision"):
        out = f"DECIMAL({field['precision']}, {field.get('scale') or 0})"
    else:
        out = TYPES[t][1]
    return out + "[]" if mode_of(field) == "REPEATED" else out


_DUCK = {"boolean": "BOOLEAN", "float": "FLOAT", "double": "FLOAT", "blob": "BYTES", "date": "DATE", "time": "TIME",
         "timestamp": "DATETIME", "timestamp_s": "DATETIME", "timestamp_ms": "DATETIME", "timestamp_ns": "DATETIME",
         "timestamp with time zone": "TIMESTAMP", "interval": "INTERVAL", "geometry": "GEOGRAPHY", '"null"': "INTEGER"}


def field_from_duckdb(name, t, mode="NULLABLE"):
    """REST field of a DuckDB type object (duckdb.typing.DuckDBPyType)."""
    text = str(t)
    if t.id == "list":
        return field_from_duckdb(name, t.children[0][1], "REPEATED")
    found = detect_range_element(text)
    if found:
        return {"name": name, "type": "RANGE", "mode": mode, "rangeElementType": {"type": found[0]}}
    if t.id == "struct":
        return {"name": name, "type": "RECORD", "mode": mode, "fields": [field_from_duckdb(n, c) for n, c in t.children]}
    if t.id == "decimal":
        rest = "BIGNUMERIC" if dict(t.children)["scale"] > 9 else "NUMERIC"
    elif text == "JSON":
        rest = "JSON"
    else:
        rest = "INTEGER" if "int" in t.id and t.id != "interval" else _DUCK.get(t.id, "STRING")
    return {"name": name, "type": rest, "mode": mode}


# ---- catalog objects ----------------------------------------------------------
# REST key -> attribute of TableFieldSchema, for what the stock conversion drops
_EXTRA = {"maxLength": "max_length", "precision": "precision", "scale": "scale", "collation": "collation",
          "defaultValueExpression": "default_value_expression", "roundingMode": "rounding_mode"}


def fields_to_catalog(raw):
    """REST fields -> TableFieldSchema objects, with every attribute and the type names that the API answers with."""
    out = []
    for f in raw:
        rng = f.get("rangeElementType")
        out.append(TableFieldSchema(
            name=f["name"], type=canon(f.get("type", "STRING")), mode=mode_of(f), description=f.get("description"),
            fields=fields_to_catalog(f.get("fields") or []),
            range_element_type=TableFieldSchema(name=f["name"] + "__range_element", type=canon(rng["type"])) if rng else None,
            **{attr: f[key] for key, attr in _EXTRA.items() if f.get(key) is not None}))
    return tuple(out)


def field_to_rest(f):
    """TableFieldSchema -> REST field."""
    out = {"name": f.name, "type": f.type, "mode": f.mode}
    if f.description:
        out["description"] = f.description
    for key, attr in _EXTRA.items():
        v = getattr(f, attr)
        if v is not None:
            out[key] = str(v)
    if f.fields:
        out["fields"] = [field_to_rest(x) for x in f.fields]
    if f.range_element_type is not None:
        out["rangeElementType"] = {"type": f.range_element_type.type}
    return out


@lru_cache(maxsize=None)
def _plain(rest):
    return TYPES.get(rest, (rest,))[0]


def sql_type(f):
    """GoogleSQL text of a catalog field's type, as INFORMATION_SCHEMA shows it."""
    if f.fields:
        t = "STRUCT<" + ", ".join(f"{quote_name(x.name)} {sql_type(x)}" for x in f.fields) + ">"
    else:
        t = _plain(f.type)
        if f.max_length is not None:
            t += f"({f.max_length})"
        elif f.precision is not None:
            t += f"({f.precision}, {f.scale})" if f.scale else f"({f.precision})"
        elif f.range_element_type is not None:
            t += f"<{f.range_element_type.type}>"
    return f"ARRAY<{t}>" if f.mode == "REPEATED" else t
