"""Remembers what SQL texts mean: the jobs under test send the same few hundred statements again and again.

Nearly all of the emulator's time went into parsing. The package parses each statement about twelve times, once for each
question that it asks about it, in Python; DuckDB's own work was a fifteenth of the whole. Whatever depends on the text alone
is remembered here. Failures are not.
"""
from functools import lru_cache

import sqlglot
from bqemulator.catalog import ddl_sync
from bqemulator.jobs import executor, routine_ddl
from bqemulator.scripting import interpreter, lexer, parser
from bqemulator.sql import catalog_schema, table_rewriter
from bqemulator.sql.translator import SQLTranslator
from sqlglot.dialects.dialect import Dialect

# These modules ask their trees and change none: they share one.
READERS = (routine_ddl, ddl_sync, catalog_schema)
# Longer texts are scripts that create the tables of one dataset. They come once, and are read several times then.
LONG = 20_000


def remembered(work, answer=lambda value: value):
    """work(text, ...), remembered; each caller gets answer(value)."""
    short, long = lru_cache(1000)(work), lru_cache(4)(work)

    def call(text, *key):
        return answer((long if len(text) > LONG else short)(text, *key))

    return call


class Shared:
    """The module sqlglot for readers."""

    def __init__(self, parse_one):
        self.parse_one = parse_one

    def __getattr__(self, name):
        return getattr(sqlglot, name)


def install():
    stock_parse, stock_translate = Dialect.parse, SQLTranslator.translate
    share_trees(sqlglot.parse_one)
    copied_trees = remembered(
        lambda text, dialect: stock_parse(dialect(), text), lambda trees: [tree and tree.copy() for tree in trees])

    def parse(self, text, **options):
        # A dialect with settings of its own would be another key.
        return stock_parse(self, text, **options) if options or self.settings else copied_trees(text, type(self))

    translated = remembered(
        lambda text, translator, schema, caller: stock_translate(translator, text, schema=thawed(schema), caller=caller))

    def translate(self, text, *, schema=None, caller=None, **_):
        return translated(text, self, frozen(schema), caller)

    Dialect.parse, SQLTranslator.translate = parse, translate
    executor.classify_statement_type = remembered(executor.classify_statement_type)
    parser.tokenize = remembered(lexer.tokenize)
    executor.rewrite_table_refs = interpreter.rewrite_table_refs = remembered(table_rewriter.rewrite_table_refs)


def share_trees(parse_one):
    shared = remembered(lambda text, read: parse_one(text, read=read))

    def parse(text, read=None, **options):
        return parse_one(text, read=read, **options) if options else shared(text, read)

    for module in READERS:
        module.sqlglot = Shared(parse)


def frozen(value):
    """A dictionary of dictionaries as something that can be a key."""
    return tuple((key, frozen(inner)) for key, inner in value.items()) if isinstance(value, dict) else value


def thawed(value):
    return {key: thawed(inner) for key, inner in value} if isinstance(value, tuple) else value
