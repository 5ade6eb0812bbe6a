"""How many bytes a statement bills: rows and widths of the tables that it scans."""
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "Sources/SchemaKit/Catalog/Tables"
SQL_TYPE = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
# Columns of INFORMATION_SCHEMA that are not text, with their type; policy_tags is empty where there are none.
VIEW_TYPE = {"ordinal_position": "INT64", "clustering_ordinal_position": "INT64", "creation_time": "TIMESTAMP", "policy_tags": None}


class Scan:
    """One scan of a table: the rows in the partitions that it reads, and the width of the columns that it uses."""

    def __init__(self, table, rows, width, words):
        self.table, self.rows, self.width, self.words = table, rows, width, words
        self.bytes = rows * width


class Sizes:
    def __init__(self, organizations, parameters, facts, history_rows_per_day):
        self.organizations, self._p, self._types = organizations, parameters, facts["type_bytes"]
        self.minimum = facts["prices"]["bigquery_minimum_bytes"]["value"]
        self._fields = {}
        for group, dataset in (("organizations", "organizations"), ("operations", "scheduler_jobs"), ("organization", "ORGANIZATION")):
            for file in sorted((CATALOG / group).glob("*.json")):
                self._fields[f"{dataset}.{file.stem}"] = json.loads(file.read_text(encoding="utf-8"))["schema"]["fields"]
        self._daily = {     # rows a day, and days
            "organizations.org_meta_pipeline_runs": (organizations * self._p["runs_per_organization_and_day"], self._p["log_days"]),
            "organizations.org_usage_quotas": (organizations, self._p["quota_days"]),
            "organizations.org_audit_logs": (organizations * self._p["audits_per_organization_and_day"], self._p["audit_days"]),
            "scheduler_jobs.job_runs": (history_rows_per_day, self._p["history_days"]),
        }
        shared = [name for name in self._fields if not name.startswith("ORGANIZATION.")]
        own = [name for name in self._fields if name.startswith("ORGANIZATION.")]
        self._rows = {
            "organizations.org_profiles": organizations, "organizations.org_subscriptions": organizations,
            "scheduler_jobs.billing_sync_queue": organizations * self._p["queue_rows_per_organization"],
            "region.SCHEMATA": organizations + 2, "region.SCHEMATA_OPTIONS": (organizations + 2) * self._p["options_per_dataset"],
        }
        for dataset in ("organizations", "scheduler_jobs"):
            self._add_views(dataset, [(1, name) for name in shared if name.startswith(dataset + ".")])
        self._add_views("region", [(1, name) for name in shared] + [(organizations, name) for name in own])

    def _add_views(self, place, tables):
        """The rows of the views of a place that has each of these tables so many times."""
        number = sum(times for times, _ in tables)
        self._rows |= {
            f"{place}.TABLES": number, f"{place}.TABLE_OPTIONS": number * self._p["options_per_table"],
            f"{place}.COLUMNS": sum(times * count(self._fields[name], nested=False) for times, name in tables),
            f"{place}.COLUMN_FIELD_PATHS": sum(times * count(self._fields[name], nested=True) for times, name in tables),
        }

    def scan(self, scan, columns=None):
        """The scan of a footprint; `columns` replaces its columns, None means all of the table."""
        table, names = scan["table"], scan["columns"] if columns is None else columns
        width = sum(self._width(table, name) for name in names)
        if table not in self._daily:
            rows = self._number(table)
            return Scan(table, rows, width, f"{rows:,.0f} rows x {width:,.0f} bytes")
        rows, kept = self._daily[table]
        first, last = max(scan.get("from", -kept), -kept), min(scan.get("to", scan.get("before", 1) - 1), 0)
        # A statement that deletes by age deletes the day that has just become too old.
        days = max(last - first + 1, 1)
        return Scan(table, days * rows, width, f"{days:,} days x {rows:,.0f} rows x {width:,.0f} bytes")

    def _number(self, table):
        """The rows of a table or view that has no days."""
        if table in self._rows:
            return self._rows[table]
        if table.startswith("scheduler_jobs.") and table in self._fields:
            return self._p["state_rows"]
        raise LookupError(f"scripts/costs/sizes.py does not say how many rows {table} has")

    def statement(self, footprint):
        """(bytes billed, [line of explanation]) of one statement, by BigQuery's rules for DML."""
        scans = [self.scan(s) for s in footprint["scans"]]
        if footprint.get("rewrites"):
            target = next(s for s in footprint["scans"] if s.get("target"))
            scans.append(self.scan(target, self.columns(target["table"])))
        tables = {}
        for scan in scans:
            tables.setdefault(scan.table, []).append(scan)
        if footprint["kind"] == "INSERT":
            tables.setdefault(footprint["changes"], [])
        billed = {table: max(sum(s.bytes for s in parts), self.minimum) for table, parts in tables.items()}
        lines = [f"{table}: {' + '.join(s.words for s in parts) or 'no row is read'} = {spoken(sum(s.bytes for s in parts))}"
                 + (f", billed {spoken(self.minimum)}" if billed[table] == self.minimum else "") for table, parts in tables.items()]
        return sum(billed.values()), lines

    def columns(self, table):
        return [field["name"] for field in self._fields[table]]

    def _width(self, table, name):
        if table not in self._fields:
            kind = VIEW_TYPE.get(name, "STRING")
            return 0 if kind is None else self._value(kind, name)
        return self._field(next(f for f in self._fields[table] if f["name"] == name))

    def _field(self, field):
        if field["type"] in ("RECORD", "STRUCT"):
            return sum(self._field(f) for f in field["fields"])
        return self._value(SQL_TYPE.get(field["type"], field["type"]), field["name"])

    def _value(self, kind, name):
        if kind == "JSON":
            return self._p["json"]
        length = self._p["strings"].get(name, self._p["default_string"]) if kind in ("STRING", "BYTES") else 0
        return self._types[kind] + length


def count(fields, nested):
    return sum(1 + (count(f["fields"], nested) if nested and "fields" in f else 0) for f in fields)


def spoken(number):
    """Bytes in a unit that a person reads."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} TiB" if number < 1000 else f"{number:,.0f} TiB"
