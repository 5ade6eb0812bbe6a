"""Table names as BigQuery resolves them, and the INFORMATION_SCHEMA views that the service may read."""
import re

SQL_TYPE = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}

# Columns as in BigQuery's reference of these views.
VIEWS = {
    "SCHEMATA": "catalog_name STRING, schema_name STRING, schema_owner STRING, creation_time TIMESTAMP, "
                "last_modified_time TIMESTAMP, location STRING, ddl STRING, default_collation_name STRING",
    "TABLES": "table_catalog STRING, table_schema STRING, table_name STRING, table_type STRING, managed_table_type STRING, "
              "is_insertable_into STRING, is_fine_grained_mutations_enabled STRING, is_typed STRING, "
              "is_change_history_enabled STRING, creation_time TIMESTAMP, base_table_catalog STRING, "
              "base_table_schema STRING, base_table_name STRING, snapshot_time_ms TIMESTAMP, ddl STRING, "
              "default_collation_name STRING, upsert_stream_apply_watermark TIMESTAMP",
    "COLUMNS": "table_catalog STRING, table_schema STRING, table_name STRING, column_name STRING, ordinal_position INT64, "
               "is_nullable STRING, data_type STRING, is_generated STRING, generation_expression STRING, is_stored STRING, "
               "is_hidden STRING, is_updatable STRING, is_system_defined STRING, is_partitioning_column STRING, "
               "clustering_ordinal_position INT64, collation_name STRING, column_default STRING, rounding_mode STRING, "
               "policy_tags ARRAY<STRING>",
    "COLUMN_FIELD_PATHS": "table_catalog STRING, table_schema STRING, table_name STRING, column_name STRING, "
                          "field_path STRING, data_type STRING, description STRING, collation_name STRING, "
                          "rounding_mode STRING, policy_tags ARRAY<STRING>",
    "SCHEMATA_OPTIONS": "catalog_name STRING, schema_name STRING, option_name STRING, option_type STRING, option_value STRING",
    "TABLE_OPTIONS": "table_catalog STRING, table_schema STRING, table_name STRING, option_name STRING, option_type STRING, "
                     "option_value STRING",
}
OF_REGIONS = ("SCHEMATA", "SCHEMATA_OPTIONS")


def sql_type(field):
    """The GoogleSQL type of a field of a REST schema."""
    kind = field["type"].upper()
    kind = SQL_TYPE.get(kind, kind)
    if kind == "STRUCT":
        kind = "STRUCT<" + ", ".join(f"`{f['name']}` {sql_type(f)}" for f in field["fields"]) + ">"
    if kind == "RANGE":
        kind = f"RANGE<{field['rangeElementType']['type']}>"
    return f"ARRAY<{kind}>" if (field.get("mode") or "").upper() == "REPEATED" else kind


class Catalog:
    """What each table's columns are, by the name that a statement gives it."""

    def __init__(self, tables):
        self._tables = {(t["dataset"], t["table"]): [(f["name"], sql_type(f)) for f in t["fields"]] for t in tables}
        self._datasets = {dataset for dataset, _ in self._tables}

    def columns(self, path):
        """[(name, type)] of the table at a path, or None if BigQuery would find nothing there.

        A backticked name may hold several parts: `project.dataset.table`. Names are case-sensitive.
        """
        parts = [part for segment in path for part in segment.split(".")]
        if "INFORMATION_SCHEMA" in parts:
            return self._view(parts)
        if len(parts) not in (2, 3):
            return None
        return self._tables.get((parts[-2], parts[-1]))

    def _view(self, parts):
        """[project.]region-x or [project.]dataset before INFORMATION_SCHEMA; SCHEMATA and its options exist for a region only."""
        if len(parts) not in (3, 4) or parts[-2] != "INFORMATION_SCHEMA" or parts[-1] not in VIEWS:
            return None
        place = parts[-3]
        region = re.fullmatch(r"region-[a-z0-9-]+", place)
        if not region and (place not in self._datasets or parts[-1] in OF_REGIONS):
            return None
        return [tuple(column.split(" ", 1)) for column in VIEWS[parts[-1]].split(", ")]
