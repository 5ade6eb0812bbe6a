#!/usr/bin/env python3
"""Checks SQL statements with GoogleSQL's own analyzer: names and types must resolve against a catalog.

    analyze.py < request.json

Request:  {"catalog": [{"dataset": "d", "table": "t", "fields": [field of a REST schema ...]} ...],
           "statements": [{"name": "...", "sql": "...", "parameters": {"name": "ARRAY<STRUCT<a STRING, b INT64>>"}} ...]}
Answer:   {"statements": [{"name": "...", "ok": true} or {"name": "...", "ok": false, "error": "..."} ...]}

A statement may be a script. Tables are named as in BigQuery: any project, `dataset.table`, `project.dataset.table`, and
INFORMATION_SCHEMA views of a dataset or a region. Not seen here: REQUIRED, partition filters, dynamic SQL (refused), and
that GoogleSQL has a few features that BigQuery has not. With --prepare the analyzer is only compiled, which takes about
half a minute once.
"""
import json
import sys

from catalog import Catalog
from checker import Checker, Problem
from engine import Engine


def answer(request):
    checker = Checker(Engine(), Catalog(request["catalog"]))
    results = []
    for statement in request["statements"]:
        result = {"name": statement["name"], "ok": True}
        try:
            checker.check(statement["sql"], statement.get("parameters", {}))
        except Problem as problem:
            result.update(ok=False, error=str(problem))
        results.append(result)
    return {"statements": results}


def main():
    if sys.argv[1:] == ["--prepare"]:
        Engine()
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        json.dump(answer(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
