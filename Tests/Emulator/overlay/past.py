"""FOR SYSTEM_TIME AS OF a parameter: the emulator has no past, so the clause is left out.

Stock evaluates the expression without the query's parameters, which fails. It also refuses an instant of more than seven days ago; tests
that work at a fixed time need one.
"""
import re

from bqemulator.sql import inner_query

_CLAUSE = re.compile(r"\bFOR\s+SYSTEM_TIME\s+AS\s+OF\s+(?:@\w+|\$\d+|\?)", re.I)


def install():
    stock = inner_query.rewrite_for_system_time
    inner_query.rewrite_for_system_time = lambda sql, *rest: stock(_CLAUSE.sub("", sql), *rest)
