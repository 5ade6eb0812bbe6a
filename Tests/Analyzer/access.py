"""The access that a statement needs: the tables and views that it names, by GoogleSQL's own parser.

    >>> StatementAccess().uses("DELETE FROM `organizations.a` WHERE b IN (SELECT b FROM `organizations.c`)")
    [Use(on='project', does='runs statements', permissions=('bigquery.jobs.create',)),
     Use(on='organizations.a', does='deletes rows', permissions=('bigquery.tables.getData', 'bigquery.tables.updateData')),
     Use(on='organizations.c', does='reads rows', permissions=('bigquery.tables.getData',))]

Where the permissions come from:

- Queries: "Required permissions" in https://docs.cloud.google.com/bigquery/docs/running-queries.
- Changes of rows: the names of the permissions in https://docs.cloud.google.com/bigquery/docs/access-control. The page on DML does not say
  whether an INSERT needs getData on its target, so it counts as needed.
- CREATE TABLE and ALTER TABLE: https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language.
- Views: the page of each view under https://docs.cloud.google.com/bigquery/docs/information-schema-intro.
"""
from collections import namedtuple

from catalog import Catalog
from checker import Checker, Script, altered, concrete, extent
from engine import Engine

# The use that a statement or a request makes of `project`, of a dataset or of `dataset.table`, and the permissions for it.
Use = namedtuple("Use", "on does permissions")


def needs(*names):
    return tuple(f"bigquery.{name}" for name in names)


READS = ("reads rows", needs("tables.getData"))
CHANGES = needs("tables.getData", "tables.updateData")
CHANGE = {
    "ast_insert_statement_node": ("inserts rows", CHANGES), "ast_update_statement_node": ("updates rows", CHANGES),
    "ast_delete_statement_node": ("deletes rows", CHANGES), "ast_merge_statement_node": ("merges rows", CHANGES),
}
RUNS = Use("project", "runs statements", needs("jobs.create"))
CREATES_TABLES = ("creates tables", needs("tables.create"))
CHANGES_TABLES = ("changes tables", needs("tables.get", "tables.update"))
TABLES, ROUTINES = needs("tables.get", "tables.list"), needs("routines.get", "routines.list")
VIEWS = {
    "SCHEMATA": needs("datasets.get"), "SCHEMATA_OPTIONS": needs("datasets.get"), "TABLES": TABLES + ROUTINES,
    "TABLE_OPTIONS": TABLES + ROUTINES, "COLUMNS": TABLES, "COLUMN_FIELD_PATHS": TABLES,
}


class Unknown(Exception):
    """A statement whose access nobody has written down yet."""


class StatementAccess:
    """Finds the uses of statements; what a text needs is remembered."""

    def __init__(self):
        self._checker, self._found = Checker(Engine(), Catalog([])), {}

    def uses(self, sql):
        if sql not in self._found:
            self._found[sql] = [RUNS, *Uses(self._checker, sql).all()]
        return self._found[sql]


class Uses(Script):
    """A script whose statements are not resolved, only searched for tables."""

    def __init__(self, checker, sql):
        super().__init__(checker, sql, {})
        self._uses, self._kind = [], ""

    def all(self):
        self.check()
        return list(dict.fromkeys(self._uses))

    def _statement(self, kind, node):
        self._kind = kind
        super()._statement(kind, node)

    def _plain(self, node):
        kind, start, end = self._kind, *extent(node)
        names = self._names(self._text[start:end].decode())
        if kind == "ast_create_table_statement_node":
            target = parts(named(node, "name"))
            self._uses.append(Use(target[-2], *CREATES_TABLES))
        elif altered(node):
            target = parts(altered(node))
            self._uses.append(Use(target[-2], *CHANGES_TABLES))
        elif kind in CHANGE:
            target = parts(named(node, "target_path"))
            self._uses.append(Use(".".join(target[-2:]), *CHANGE[kind]))
        elif kind == "ast_query_statement_node" or kind.startswith(("ast_begin_", "ast_commit_", "ast_rollback_")):
            target = ()
        else:
            raise Unknown(f"Tests/Analyzer/access.py does not know the permissions for {kind.removeprefix('ast_')}")
        self._uses += [use for name in names if name[-2:] != target[-2:] for use in reading(name)]

    def _expression(self, node, variable=None):
        start, end = extent(concrete(node)[1])
        self._uses += [use for name in self._names(f"SELECT ({self._text[start:end].decode()}\n)") for use in reading(name)]

    def _variable_declaration(self, node):
        if node.HasField("default_value"):
            self._expression(node.default_value)

    def _single_assignment(self, node):
        self._expression(node.expression)

    def _assignment_from_struct(self, node):
        self._expression(node.struct_expression)

    def _names(self, sql):
        return [parts(path) for path in self._checker.table_names(sql)]


def parts(path):
    """The parts of a table's name. A name in backticks may hold several."""
    return tuple(part for segment in path for part in segment.split("."))


def named(node, field):
    """The names of the path in a field of a node or of what it is a kind of."""
    while field not in node.DESCRIPTOR.fields_by_name:
        node = node.parent
    return [name.id_string for name in concrete(getattr(node, field))[1].names]


def reading(name):
    """What reading a table or a view uses. The views of a region show all datasets of the project."""
    if len(name) == 1:
        return []       # a temporary table
    if "INFORMATION_SCHEMA" not in name:
        return [Use(".".join(name[-2:]), *READS)]
    place, view = name[-3], name[-1]
    is_region = place.startswith("region-")
    return [Use("project" if is_region else place, "reads the catalog", VIEWS[view])]
