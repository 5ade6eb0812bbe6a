"""What a statement reads and changes, by GoogleSQL's own analyzer: each scan of a table with the columns that are used, and the
bounds that the statement sets for the table's partitions.

    >>> Footprints(tables).of("SELECT a FROM `d.t` WHERE day >= @first", {"first": "DATE"})
    [{"kind": "QUERY", "scans": [{"table": "d.t", "columns": ["a", "day"], "from": "first"}]}]

Each statement of a script is listed, those of all branches. A bound is found where a condition compares the column by which the
table is partitioned with a parameter, and every row must satisfy the condition. Other conditions do not bound a scan here, so a
footprint is never too small.
"""
from catalog import Catalog
from checker import Checker, concrete
from engine import Engine

COMPARISONS = {
    "$greater_or_equal": ("from",), "$greater": ("from",), "$less": ("before",), "$less_or_equal": ("to",), "$equal": ("from", "to"),
}
MIRRORED = {"from": "to", "before": "from", "to": "from"}


class Footprints(Checker):
    """`tables` as in a request to analyze.py, with `partition` where a table has a column of partitions."""

    def __init__(self, tables):
        self._statements = []
        super().__init__(Engine(), Catalog(tables))
        self._partitions = {f"{t['dataset']}.{t['table']}": t.get("partition") for t in tables}
        self._settings.prune_unused_columns = True

    def of(self, sql, parameters):
        self._statements = []
        self.check(sql, parameters)
        found = [Statement(statement, self._partitions).footprint() for statement in self._statements]
        return [f for f in found if f["scans"] or "changes" in f or f["kind"] not in ("QUERY", "BEGIN", "COMMIT", "ROLLBACK")]

    def analyze(self, *arguments, **options):
        statement = super().analyze(*arguments, **options)
        self._statements.append(statement)
        return statement


class Statement:
    def __init__(self, resolved, partitions):
        kind, self._node = concrete(resolved)
        self._kind = kind.removeprefix("resolved_").removesuffix("_stmt_node").upper()
        self._partitions, self._scans = partitions, []

    def footprint(self):
        own = {"INSERT": [], "UPDATE": ["where_expr"], "DELETE": ["where_expr"], "MERGE": ["merge_expr"]}.get(self._kind, [])
        conditions = [c for name in own for c in conjuncts(getattr(self._node, name))]
        self._walk(self._node, conditions)
        result = {"kind": self._kind, "scans": self._scans}
        if self._kind in ("INSERT", "UPDATE", "DELETE", "MERGE"):
            result["changes"] = path_of(self._node.table_scan)
            result["rewrites"] = self._kind in ("UPDATE", "DELETE") or self._kind == "MERGE" and any(
                clause.action_type != 0 for clause in self._node.when_clause_list)
        return result

    def _walk(self, node, conditions):
        name = node.DESCRIPTOR.name
        if name == "ResolvedTableScanProto":
            return self._scan(node, conditions)
        if name == "ResolvedFilterScanProto":
            conditions = conditions + conjuncts(node.filter_expr)
        on = conjuncts(node.join_expr) if name == "ResolvedJoinScanProto" and node.HasField("join_expr") else []
        for field, value in node.ListFields():
            if field.message_type is None:
                continue
            more = on if field.name == "right_scan" or node_is_inner(node, field) else []
            for item in value if field.is_repeated else [value]:
                if node is not self._node or field.name != "table_scan":
                    self._walk(item, conditions + more)
                elif self._kind != "INSERT":        # the rows that an INSERT adds are not read
                    self._scan(item, conditions, is_target=True)

    def _scan(self, node, conditions, is_target=False):
        table, columns = path_of(node), {c.column_id: c.name for c in node.parent.column_list}
        scan = {"table": table, "columns": sorted(set(columns.values()))}
        if is_target:
            scan["target"] = True
        for kind, column, parameter in conditions:
            if column in columns and columns[column] == self._partitions.get(table):
                scan.setdefault(kind, parameter)
        self._scans.append(scan)


def node_is_inner(node, field):
    return node.DESCRIPTOR.name == "ResolvedJoinScanProto" and field.name == "left_scan" and node.join_type == 0


def path_of(scan):
    """dataset.table. A view is region.NAME or dataset.NAME, because a view of a dataset has the rows of that dataset alone."""
    parts = scan.table.full_name.split(".")
    if "INFORMATION_SCHEMA" in parts:
        place = parts[-3]
        return f"{'region' if place.startswith('region-') else place}.{parts[-1]}"
    return ".".join(parts[-2:])


def conjuncts(expression):
    """(bound, column id, parameter) of every comparison with a parameter that the expression demands."""
    kind, node = concrete(expression)
    if kind is None or "function_call" not in kind:
        return []
    call = node
    while "function" not in call.DESCRIPTOR.fields_by_name:
        call = call.parent
    name, arguments = call.function.name.split(":")[-1], [concrete(a) for a in call.argument_list]
    if name == "$and":
        return [c for argument in call.argument_list for c in conjuncts(argument)]
    if name == "$between":
        return comparison(("from",), arguments[0], arguments[1]) + comparison(("to",), arguments[0], arguments[2])
    if name in COMPARISONS and len(arguments) == 2:
        bounds = COMPARISONS[name]
        return comparison(bounds, *arguments) or comparison(
            bounds if len(bounds) == 2 else (MIRRORED[bounds[0]],), arguments[1], arguments[0])
    return []


def comparison(bounds, left, right):
    (left_kind, column), (right_kind, value) = left, right
    if "column_ref" not in (left_kind or "") or "parameter" not in (right_kind or ""):
        return []
    return [(bound, column.column.column_id, value.name) for bound in bounds]
