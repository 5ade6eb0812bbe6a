"""The analyzer accepts what BigQuery accepts and names what it does not, on statements like those of the service."""
import unittest

import analyze
from checker import Checker, Problem
from engine import Engine

FIELDS = [
    {"name": "org_slug", "type": "STRING", "mode": "REQUIRED"},
    {"name": "usage_date", "type": "DATE"},
    {"name": "runs", "type": "INTEGER"},
    {"name": "cost", "type": "NUMERIC"},
    {"name": "active", "type": "BOOLEAN"},
    {"name": "updated_at", "type": "TIMESTAMP"},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"},
    {"name": "plan", "type": "RECORD", "fields": [{"name": "limit", "type": "INT64"}, {"name": "extra", "type": "JSON"}]},
]
CATALOG = analyze.Catalog([{"dataset": "organizations", "table": "usage", "fields": FIELDS}])
WANTED = "ARRAY<STRUCT<slug STRING, runs INT64>>"

GOOD = {
    "two parts in backticks": "SELECT org_slug, plan.`limit`, tags[OFFSET(0)] FROM `organizations.usage` WHERE usage_date = @day",
    "three parts in backticks": "SELECT COUNT(*) FROM `my-project.organizations.usage`",
    "parts quoted one by one": "SELECT u.runs FROM `my-project`.`organizations`.`usage` u",
    "parts not quoted": "SELECT usage.runs FROM organizations.usage",
    "columns of a region": "SELECT table_name, column_name, data_type, ordinal_position + 1 "
                           "FROM `my-project`.`region-us`.INFORMATION_SCHEMA.COLUMNS WHERE table_schema IN UNNEST(@names)",
    "columns of a dataset": "SELECT column_name FROM `my-project.organizations`.INFORMATION_SCHEMA.COLUMNS",
    "schemata and tables": "SELECT s.schema_name, t.table_name FROM `region-us`.INFORMATION_SCHEMA.SCHEMATA s "
                           "LEFT JOIN `region-us`.INFORMATION_SCHEMA.TABLES t ON t.table_schema = s.schema_name",
    "array of structs": "SELECT w.slug FROM UNNEST(@wanted) AS w WITH OFFSET AS place "
                        "LEFT JOIN `organizations.usage` u ON u.org_slug = w.slug WHERE u.runs IS DISTINCT FROM w.runs",
    "insert": "INSERT INTO `organizations.usage` (org_slug, usage_date, plan) VALUES (@slug, @day, (3, JSON '{}'))",
    "update": "UPDATE `organizations.usage` SET runs = runs + 1, updated_at = CURRENT_TIMESTAMP() WHERE org_slug = @slug",
    "delete": "DELETE FROM `organizations.usage` WHERE usage_date < DATE_SUB(@day, INTERVAL 90 DAY)",
    "merge": "MERGE `organizations.usage` t USING UNNEST(@wanted) s ON t.org_slug = s.slug "
             "WHEN MATCHED AND t.runs != s.runs THEN UPDATE SET runs = s.runs "
             "WHEN NOT MATCHED THEN INSERT (org_slug, runs) VALUES (s.slug, s.runs)",
    "create table": "CREATE TABLE IF NOT EXISTS `organizations.fresh` (a STRING NOT NULL OPTIONS(description='A'), "
                    "seen TIMESTAMP, n ARRAY<STRUCT<x INT64>>) PARTITION BY DATE(seen) CLUSTER BY a "
                    "OPTIONS(description='T', partition_expiration_days=90, labels=[('k', 'v')], require_partition_filter=TRUE)",
    "create schema": "CREATE SCHEMA IF NOT EXISTS `my-project.acme_test` OPTIONS(location='US', labels=[('org', 'acme')])",
    "alter table": "ALTER TABLE `organizations.usage` ADD COLUMN IF NOT EXISTS b DATE, ADD COLUMN c JSON",
    "script": """
        DECLARE changed, kept INT64 DEFAULT 0;
        DECLARE today DATE DEFAULT @day;
        DECLARE label DEFAULT 'x';
        BEGIN TRANSACTION;
        UPDATE `organizations.usage` SET runs = 0 WHERE usage_date < today;
        SET changed = @@row_count;
        SET (changed, kept) = (1, 2);
        IF changed = 0 THEN ROLLBACK TRANSACTION; RETURN; END IF;
        CREATE TEMP TABLE picked AS SELECT org_slug, runs FROM `organizations.usage`;
        DELETE FROM `organizations.usage` WHERE org_slug IN (SELECT org_slug FROM picked WHERE runs > kept);
        BEGIN SELECT label; EXCEPTION WHEN ERROR THEN SELECT @@error.message; RAISE; END;
        COMMIT TRANSACTION;""",
}
BAD = {
    "wrong column": ("SELECT slug FROM `organizations.usage`", "Unrecognized name: slug"),
    "wrong field": ("SELECT plan.most FROM `organizations.usage`", "does not exist in STRUCT"),
    "unknown table": ("SELECT 1 FROM `organizations.usages`", "Table not found"),
    "unknown dataset": ("SELECT 1 FROM `organization.usage`", "Table not found"),
    "table without a dataset": ("SELECT 1 FROM usage", "Table not found"),
    "names are case-sensitive": ("SELECT 1 FROM `Organizations.usage`", "Table not found"),
    "wrong type": ("SELECT 1 FROM `organizations.usage` WHERE usage_date = 1", "No matching signature for operator ="),
    "wrong type of a value": ("UPDATE `organizations.usage` SET runs = 'many' WHERE TRUE", "INT64"),
    "wrong type of a parameter": ("UPDATE `organizations.usage` SET runs = @slug WHERE TRUE", "type STRING"),
    "unknown parameter": ("SELECT @other", "other"),
    "unknown column of a view": ("SELECT name FROM `region-us`.INFORMATION_SCHEMA.COLUMNS", "Unrecognized name: name"),
    "unknown view": ("SELECT 1 FROM `region-us`.INFORMATION_SCHEMA.COLUMN", "Table not found"),
    "view without a place": ("SELECT 1 FROM INFORMATION_SCHEMA.COLUMNS", "Table not found"),
    "too few values": ("INSERT INTO `organizations.usage` (org_slug, runs) VALUES ('a')", "wrong column count"),
    "update without where": ("UPDATE `organizations.usage` SET runs = 1", "WHERE"),
    "unknown option": ("CREATE TABLE d.t (a INT64) OPTIONS(partition_days=3)", "Unknown option: partition_days"),
    "type of another dialect": ("CREATE TABLE d.t (a FLOAT)", "Type not found: FLOAT"),
    "syntax": ("SELECT FROM", "Syntax error"),
    "two statements, the second wrong": ("SELECT 1;\nSELECT nothing", "[at 2:8]"),
    "variable of another type": ("DECLARE n INT64 DEFAULT 'x';", ""),
    "assignment of another type": ("DECLARE n INT64; SET n = 1.5;", "type of its variable"),
    "undeclared variable": ("SET n = 1;", "Undeclared variable"),
    "inside a branch": ("IF TRUE THEN SELECT nothing; END IF;", "Unrecognized name: nothing"),
    "condition that is none": ("IF 'yes' THEN SELECT 1; END IF;", ""),
    "dynamic SQL": ("EXECUTE IMMEDIATE 'SELECT 1'", "can be checked"),
}
PARAMETERS = {"day": "DATE", "slug": "STRING", "names": "ARRAY<STRING>", "wanted": WANTED}


class AnalyzeTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.checker = Checker(Engine(), CATALOG)

    def test_accepts_what_bigquery_accepts(self):
        for name, sql in GOOD.items():
            with self.subTest(name):
                self.checker.check(sql, PARAMETERS)

    def test_says_what_is_wrong(self):
        for name, (sql, expected) in BAD.items():
            with self.subTest(name), self.assertRaises(Problem) as caught:
                self.checker.check(sql, PARAMETERS)
            with self.subTest(name):
                self.assertIn(expected, str(caught.exception))

    def test_answers_per_statement(self):
        answer = analyze.answer({"catalog": [{"dataset": "d", "table": "t", "fields": [{"name": "a", "type": "STRING"}]}],
                                 "statements": [{"name": "one", "sql": "SELECT a FROM d.t"},
                                                {"name": "two", "sql": "SELECT b FROM d.t"},
                                                {"name": "three", "sql": "SELECT @p", "parameters": {"p": "STRINGY"}}]})
        self.assertEqual([(s["name"], s["ok"]) for s in answer["statements"]], [("one", True), ("two", False), ("three", False)])
        self.assertIn("Unrecognized name: b", answer["statements"][1]["error"])


if __name__ == "__main__":
    unittest.main()
