"""Query parameters and structs, as far as joins with INFORMATION_SCHEMA need them (F10).

Stock binds an ARRAY or STRUCT parameter without its type (an empty array is an array of INT64), and UNNEST of an array
of structs gives one column instead of the struct's fields.  STRUCT(a.x, a.y) in a SELECT loses its field names, and
ARRAY_AGG cannot have IGNORE NULLS and LIMIT together.

F14: named parameters are numbered ($1, $2): DuckDB numbers the ? of an UPDATE ... FROM in an order of its own.  DIV(a - b, 2)
keeps its parentheses.

F15: a script has no query parameters in stock ("Values were not provided").  Here each of its statements binds those it
names.
"""
import base64
import contextvars
import itertools

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery

from bqemulator.jobs import executor as ex_mod
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.scripting import interpreter as script_mod
from bqemulator.sql import parameters as par_mod
from bqemulator.sql.rewriter import aggregate_variants as agg_mod

from .sql import RESERVED, read_path, tokens, unquote
from .types import TYPES, canon, duck_name


stock_named = par_mod._bind_named
_script_params = contextvars.ContextVar("script_params", default=None)


def duck_type(ptype):
    """DuckDB type of a queryParameter's parameterType, or None if it has none here."""
    kind = canon(ptype.get("type", "STRING"))
    if kind == "ARRAY":
        inner = duck_type(ptype.get("arrayType") or {})
        return inner and inner + "[]"
    if kind == "RECORD":
        fields = [(f.get("name"), duck_type(f.get("type") or {})) for f in ptype.get("structTypes") or []]
        return "STRUCT(" + ", ".join(f"{duck_name(n)} {t}" for n, t in fields) + ")" if fields and all(n and t for n, t in fields) else None
    return TYPES.get(kind, (None, None))[1]


def placeholder(value, param):
    ptype = param.get("parameterType") or {}
    t = duck_type(ptype)
    if t and (value is None or canon(ptype.get("type", "STRING")) in ("ARRAY", "RECORD", "JSON")):
        return f"CAST(? AS {t})"
    return "?"


def bind_positional(sql, params):
    values = [par_mod._extract_value(p) for p in params]
    each = iter(zip(values, params))
    return par_mod._replace_question_marks(sql, lambda m: placeholder(*next(each))), values


def bind_named(sql, params):
    """As $1, $2 ...: DuckDB numbers the ? of an UPDATE in an order of its own, those of FROM before those of SET."""
    sql, values = stock_named(sql, params)
    each = itertools.count(1)
    return par_mod._replace_question_marks(sql, lambda m: m.group().replace("?", f"${next(each)}")), values


def unnest_structs(sql, params):
    """UNNEST(@p) [AS] e [WITH OFFSET [AS] o] of an array of structs -> a subquery with the struct's fields as columns."""
    fields = {}
    for i, p in enumerate(params or ()):
        ptype = p.get("parameterType") or {}
        inner = ptype.get("arrayType") or {}
        if canon(ptype.get("type", "")) == "ARRAY" and canon(inner.get("type", "")) == "RECORD" and duck_type(inner):
            fields["@" + p["name"].lower() if p.get("name") else i] = [f["name"] for f in inner["structTypes"]]
    if not fields:
        return sql
    toks, out, done, marks = tokens(sql), [], 0, 0
    for i, t in enumerate(toks):
        marks += t.text == "?"
        if not (t.text.upper() == "UNNEST" and t.kind == "word" and i + 3 < len(toks) and toks[i + 1].text == "("
                and toks[i + 2].kind == "param" and toks[i + 3].text == ")") or toks[i - 1].text.upper() == "IN":
            continue
        names = fields.get(marks if toks[i + 2].text == "?" else toks[i + 2].text.lower())
        if names is None:
            continue
        k, alias, offset = i + 4, None, None

        def take_alias(k):
            k += k < len(toks) and toks[k].text.upper() == "AS"
            if k < len(toks) and (toks[k].kind == "id" or (toks[k].kind == "word" and toks[k].text.upper() not in RESERVED)):
                return toks[k].text, k + 1
            return None, k

        alias, k = take_alias(k)
        if [x.text.upper() for x in toks[k:k + 2]] == ["WITH", "OFFSET"]:
            offset, k = take_alias(k + 2)
            offset = offset or "offset"
        select = ", ".join(f"emu_e.`{n}` AS `{n}`" for n in names) + (f", emu_o AS {offset}" if offset else "")
        out += [sql[done:t.start], f"(SELECT {select} FROM UNNEST({toks[i + 2].text}) AS emu_e{' WITH OFFSET AS emu_o' if offset else ''})",
                f" AS {alias}" if alias else ""]
        done = toks[k - 1].end
    return "".join(out) + sql[done:]


def name_structs(sql):
    """STRUCT(a.x, f(b)) -> STRUCT(a.x AS x, f(b) AS _field_2), where it ends in the result: in a SELECT list or ARRAY_AGG.

    Elsewhere (comparisons, INSERT) stock makes it a struct without names, which goes by position as in BigQuery.
    """
    if "STRUCT" not in sql.upper():
        return sql
    toks = tokens(sql)
    if not toks or toks[0].text.upper() not in ("SELECT", "WITH", "("):
        return sql
    word = [t.text.upper() for t in toks] + [""] * 2
    insert = []
    for i, t in enumerate(toks):
        if t.kind != "word" or word[i] != "STRUCT" or word[i + 1] != "(":
            continue
        args, depth, k = [[]], 1, i + 2
        while k < len(toks):
            depth += (word[k] in ("(", "[")) - (word[k] in (")", "]"))
            if depth == 0:
                break
            if depth == 1 and word[k] == ",":
                args.append([])
            else:
                args[-1].append(toks[k])
            k += 1
        before = word[i - 2] if word[i - 1] in ("DISTINCT", "(") else word[i - 1]
        if before not in ("SELECT", "ARRAY_AGG") and word[i - 3:i - 1] != ["ARRAY_AGG", "("] and word[k + 1] != "AS":
            continue
        if word[i - 3:i] == ["IN", "(", "SELECT"]:
            continue
        names, new = [], []
        for n, arg in enumerate(args, 1):
            path = read_path(arg, 0) if arg else None
            if len(arg) > 2 and arg[-2].text.upper() == "AS":
                names.append((unquote(arg[-1].text) if arg[-1].kind == "id" else arg[-1].text).lower())
            elif arg:
                names.append(path[0][-1] if path and path[1] == len(arg) else f"_field_{n}")
                new.append((arg[-1].end, f" AS `{names[-1]}`"))
        if len({n.lower() for n in names}) == len(args):
            insert += new
    for pos, text in sorted(insert, reverse=True):
        sql = sql[:pos] + text + sql[pos:]
    return sql


def ignore_nulls(tree):
    """ARRAY_AGG([DISTINCT] x IGNORE NULLS ORDER BY .. LIMIT n) for DuckDB; stock fails with LIMIT and with DISTINCT."""
    found = [n for n in tree.find_all(exp.IgnoreNulls) if isinstance(n.this, exp.ArrayAgg)]
    for node in found:
        operand, limit = node.this.this, None
        if isinstance(operand, exp.Limit):
            operand, limit = operand.this, operand.expression
        value = operand.this if isinstance(operand, exp.Order) else operand
        if isinstance(value, exp.Distinct):
            value = value.expressions[0]
        new = exp.Filter(this=exp.ArrayAgg(this=operand.copy()), expression=exp.Where(
            this=exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))))
        if limit is not None:
            new = exp.Anonymous(this="ARRAY_SLICE", expressions=[new, exp.Literal.number(1), limit.copy()])
        node.replace(new)
    return bool(found)


def in_parentheses(kind):
    """DIV(a - b, 2) as an operator: stock writes a - b // 2."""
    def build(args):
        return kind(**{k: exp.Paren(this=a) if isinstance(a, exp.Binary) else a for k, a in zip(("this", "expression"), args)})

    return build


def bind_in_scripts():
    """To be called after everything else that replaces bind_parameters or a script's way of running a statement."""
    stock_body, stock_query, bind = ex_mod._run_query_body, script_mod.ScriptInterpreter._run_query, script_mod.bind_parameters

    async def run_body(*, query_params, is_scripted, **rest):
        token = _script_params.set(query_params if is_scripted else None)
        try:
            return await stock_body(query_params=query_params, is_scripted=is_scripted, **rest)
        finally:
            _script_params.reset(token)

    async def run_query(self, bq_sql):
        params = _script_params.get()
        if params and self._frames.all_visible():
            raise InvalidQueryError("this emulator has no scripts with both variables and query parameters", location="query")
        return await stock_query(self, unnest_structs(bq_sql, params))

    ex_mod._run_query_body, script_mod.ScriptInterpreter._run_query = run_body, run_query
    script_mod.bind_parameters = lambda sql, params=None: bind(sql, params or _script_params.get())


def install():
    BigQuery.Parser.FUNCTIONS["DIV"] = in_parentheses(exp.IntDiv)
    par_mod._bq_to_duckdb_type, par_mod._placeholder_for, par_mod._bind_positional, par_mod._bind_named = duck_type, placeholder, bind_positional, bind_named
    par_mod._SCALAR_CONVERTERS["BYTES"] = base64.b64decode
    agg_mod._rewrite_ignore_nulls = ignore_nulls
    stock_single = ex_mod._run_single_sql

    async def run_single(project_id, bq_sql, query_params, ctx, *, caller):
        return await stock_single(project_id, unnest_structs(bq_sql, query_params), query_params, ctx, caller=caller)

    ex_mod._run_single_sql = run_single
