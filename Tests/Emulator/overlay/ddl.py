"""Reading CREATE TABLE, CREATE SCHEMA and ALTER TABLE ADD/DROP COLUMN from their text (F9, F1).

parse() gives what the statement says; catalog applies it.  Messages without a source in BigQuery's documentation are
marked (ours).
"""
from dataclasses import dataclass, field
from functools import lru_cache
import re

from bqemulator.domain.errors import DomainError

from .sql import Reader
from .types import DDL_TYPES

TABLE_OPTIONS = {"description", "friendly_name", "labels", "require_partition_filter", "partition_expiration_days",
                 "expiration_timestamp", "kms_key_name", "default_rounding_mode", "enable_change_history", "max_staleness",
                 "enable_fine_grained_mutations", "storage_uri", "file_format", "table_format", "tags"}
SCHEMA_OPTIONS = {"location", "description", "friendly_name", "labels", "default_table_expiration_days",
                  "default_partition_expiration_days", "default_kms_key_name", "default_rounding_mode", "failover_reservation",
                  "is_case_insensitive", "is_primary", "max_time_travel_hours", "primary_replica", "storage_billing_model", "tags"}
COLUMN_OPTIONS = {"description", "rounding_mode", "data_policies", "data_governance_tags"}
PARTITION_RULE = (
    "PARTITION BY expression must be {}DATE(<timestamp_column>), DATE(<datetime_column>), DATETIME_TRUNC(<datetime_column>, "
    "DAY/HOUR/MONTH/YEAR), a DATE column, TIMESTAMP_TRUNC(<timestamp_column>, DAY/HOUR/MONTH/YEAR), DATE_TRUNC(<date_column>, "
    "MONTH/YEAR), or RANGE_BUCKET(<int64_column>, GENERATE_ARRAY(<int64_value>, <int64_value>[, <int64_value>]))")


@dataclass
class CreateTable:
    path: list
    replace: bool = False
    if_not_exists: bool = False
    fields: list = None            # REST fields, or None without a column list
    partition: tuple = None        # (function, column or None, part or (start, end, interval))
    cluster: list = field(default_factory=list)
    options: dict = field(default_factory=dict)
    source: tuple = None           # ("LIKE" or "COPY", path)
    query: str = None              # AS ...


@dataclass
class AlterTable:
    path: list
    if_exists: bool = False
    actions: list = field(default_factory=list)     # ("ADD", REST field, if not exists) or ("DROP", name, if exists)


@dataclass
class CreateSchema:
    path: list
    if_not_exists: bool = False
    options: dict = field(default_factory=dict)


# ---- reading -------------------------------------------------------------------
def read_type(r, name):
    """Column type at the reader -> REST field."""
    at = r.peek()
    word = r.name(keyword=True).upper()
    if word == "ARRAY":
        r.needs("<")
        if r.sees("ARRAY"):
            r.fail("Arrays of arrays are not supported")
        f = read_type(r, name)
        if r.takes("NOT", "NULL"):      # array elements are never NULL: the same type
            pass
        r.needs(">")
        f["mode"] = "REPEATED"
        return f
    f = {"name": name, "type": DDL_TYPES.get(word), "mode": "NULLABLE"}
    if f["type"] is None:
        r.fail(f"Type not found: {r.sql[at.start:at.end]}", at)
    if word == "STRUCT":
        r.needs("<")
        f["fields"] = []
        while not r.takes(">"):
            f["fields"].append(read_column(r, nested=True))
            if not r.sees(">"):
                r.needs(",")
    elif word == "RANGE":
        r.needs("<")
        f["rangeElementType"] = {"type": r.name().upper()}
        r.needs(">")
    elif r.takes("("):
        params = [r.name() if r.peek().kind == "word" else r.peek().text]
        r.i += 1
        while r.takes(","):
            params.append(r.peek().text)
            r.i += 1
        r.needs(")")
        if f["type"] in ("STRING", "BYTES"):
            f["maxLength"] = params[0]
        else:
            f["precision"] = params[0]
            f.update({"scale": params[1]} if len(params) > 1 else {})
    return f


def read_column(r, nested=False):
    """name type [COLLATE ..] [DEFAULT ..] [NOT NULL] [OPTIONS(..)] -> REST field."""
    name = r.name()
    f = read_type(r, name)
    while True:
        at = r.peek()
        if r.takes("NOT", "NULL"):
            if f["mode"] == "REPEATED":
                r.fail(f"NOT NULL constraint cannot be set on ARRAY column {name}", at)       # (ours)
            f["mode"] = "REQUIRED"
        elif r.takes("OPTIONS"):
            opts = r.options(COLUMN_OPTIONS, "column")
            for option, key in (("description", "description"), ("rounding_mode", "roundingMode")):
                value = opts.get(option, (None,))[0]
                if value is not None and not isinstance(value, str):
                    r.fail(f"Column option {option} must be a string literal", at)               # (ours)
                f.update({key: value} if value is not None else {})
        elif r.takes("DEFAULT") and not nested:
            f["defaultValueExpression"] = r.text_until(lambda r: r.sees("NOT", "NULL") or r.sees("OPTIONS", "("))
        elif r.takes("COLLATE"):
            f["collation"] = r.text_until(lambda r: r.peek().kind != "str").strip("'\"")
        elif r.takes("PRIMARY", "KEY") or r.takes("REFERENCES"):
            if not r.sees("NOT"):
                r.path(), r.names()
            r.needs("NOT", "ENFORCED")
        else:
            return f


def read_columns(r):
    """( column or constraint, ... ) -> REST fields; constraints are read and dropped."""
    r.needs("(")
    out = []
    while not r.takes(")"):
        at = r.peek()
        if r.sees("PRIMARY", "KEY") or r.sees("FOREIGN", "KEY") or r.sees("CONSTRAINT"):
            r.text_until(lambda r: False)
        else:
            out.append(read_column(r))
            if sum(f["name"].lower() == out[-1]["name"].lower() for f in out) > 1:
                r.fail(f"Duplicate column name {out[-1]['name']} in CREATE TABLE", at)
        if not r.sees(")"):
            r.needs(",")
    return out


def read_partition(r, rule):
    """The expression after PARTITION BY -> (function, column or None, part)."""
    at = r.peek()
    word = r.name()
    if not r.takes("("):
        return ("", None, "DAY") if word.upper() == "_PARTITIONDATE" else ("", word, "DAY")
    fn, column, part = word.upper(), r.name(), "DAY"
    if fn == "RANGE_BUCKET":
        r.needs(",", "GENERATE_ARRAY", "(")
        numbers = []
        while not r.takes(")"):
            text = r.text_until(lambda r: False)
            if not re.fullmatch(r"-?\s*\d+", text):
                r.fail(rule, at)
            numbers.append(int(text.replace(" ", "")))
            r.takes(",")
        part = (numbers + [1])[:3]
    elif fn in ("TIMESTAMP_TRUNC", "DATETIME_TRUNC", "DATE_TRUNC"):
        r.needs(",")
        part = r.name().upper()
        if part not in ("DAY", "HOUR", "MONTH", "YEAR") or (fn == "DATE_TRUNC" and part == "HOUR"):
            r.fail(rule, at)
    elif fn != "DATE":
        r.fail(rule, at)
    r.needs(")")
    if column.upper() == "_PARTITIONTIME" and fn in ("DATE", "TIMESTAMP_TRUNC"):
        column = None
    return fn, column, part


def read_create_table(r):
    st = CreateTable(path=None)
    r.needs("CREATE")
    st.replace = r.takes("OR", "REPLACE")
    r.needs("TABLE")
    st.if_not_exists = r.takes("IF", "NOT", "EXISTS")
    st.path = r.path()
    if r.takes("LIKE"):
        st.source = ("LIKE", r.path())
    elif r.takes("COPY"):
        st.source = ("COPY", r.path())
    elif r.sees("CLONE"):
        return None
    if r.sees("("):
        st.fields = read_columns(r)
    rule = PARTITION_RULE.format("_PARTITIONDATE, DATE(_PARTITIONTIME), TIMESTAMP_TRUNC(_PARTITIONTIME, DAY/HOUR/MONTH/YEAR), ")
    if r.takes("DEFAULT", "COLLATE"):
        r.i += 1
    if r.takes("PARTITION", "BY"):
        st.partition = read_partition(r, rule)
    if r.takes("CLUSTER", "BY"):
        st.cluster.append(r.name())
        while r.takes(","):
            st.cluster.append(r.name())
    if r.sees("WITH", "CONNECTION"):
        return None
    if r.takes("OPTIONS"):
        st.options = r.options(TABLE_OPTIONS, "table")
    if r.takes("AS"):
        st.query = r.sql[r.peek().start:].rstrip().rstrip(";")
    elif not r.at_end():
        r.fail(f"Syntax error: Expected end of input but got {r.peek().text!r}")
    elif st.fields is None and st.source is None:
        r.fail("Syntax error: CREATE TABLE needs a column list or AS query")                   # (ours)
    return st


def read_create_schema(r):
    r.needs("CREATE", "SCHEMA")
    st = CreateSchema(path=None, if_not_exists=r.takes("IF", "NOT", "EXISTS"))
    st.path = r.path()
    if r.takes("DEFAULT", "COLLATE"):
        r.i += 1
    if r.takes("OPTIONS"):
        st.options = r.options(SCHEMA_OPTIONS, "schema")
    if not r.at_end():
        r.fail(f"Syntax error: Expected end of input but got {r.peek().text!r}")
    return st


def read_alter_table(r):
    """ALTER TABLE with ADD COLUMN and DROP COLUMN actions only; any other ALTER is left to stock."""
    r.needs("ALTER", "TABLE")
    st = AlterTable(path=None, if_exists=r.takes("IF", "EXISTS"))
    st.path = r.path()
    while not st.actions or r.takes(","):
        if r.takes("ADD", "COLUMN"):
            skip = r.takes("IF", "NOT", "EXISTS")
            st.actions.append(("ADD", read_column(r), skip))
        elif r.takes("DROP", "COLUMN"):
            skip = r.takes("IF", "EXISTS")
            st.actions.append(("DROP", r.name(), skip))
        else:
            return None
    if not r.at_end():
        r.fail(f"Syntax error: Expected end of input but got {r.peek().text!r}")
    return st


_FIRST = re.compile(r"\s*(?:(?:--|#)[^\n]*\n\s*|/\*.*?\*/\s*)*(\w+)", re.S)


def first_word(sql):
    m = _FIRST.match(sql)
    return m.group(1).upper() if m else ""


@lru_cache(maxsize=512)
def parse(sql):
    """CreateTable, CreateSchema or AlterTable, or None if the statement is something else.  Raises for wrong syntax."""
    if first_word(sql) not in ("CREATE", "ALTER"):
        return None
    r = Reader(sql)
    if r.sees("ALTER", "TABLE"):
        return read_alter_table(r)
    if r.sees("CREATE", "TABLE") or r.sees("CREATE", "OR", "REPLACE", "TABLE"):
        return read_create_table(r)
    return read_create_schema(r) if r.sees("CREATE", "SCHEMA") else None


def try_parse(sql):
    try:
        return parse(sql)
    except DomainError:
        return None
