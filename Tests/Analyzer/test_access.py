"""The access of a statement, for each kind of statement that the jobs send."""
import unittest

from access import StatementAccess, Unknown

READS, CHANGES = "tables.getData", "tables.getData tables.updateData"
CATALOG = "routines.get routines.list tables.get tables.list"
CASES = {
    "query": ("SELECT a.x FROM `d.a` a JOIN `p-one.d.b` b USING (x)", {"d.a": READS, "d.b": READS}),
    "query without tables": ("SELECT 1", {}),
    "parameters and arrays are no tables": ("SELECT * FROM UNNEST(@rows) AS r", {}),
    "common table expression": ("WITH c AS (SELECT x FROM `d.a`) SELECT * FROM c", {"d.a": READS}),
    "subquery": ("SELECT x FROM `d.a` WHERE EXISTS (SELECT 1 FROM `d.b` WHERE TRUE)", {"d.a": READS, "d.b": READS}),
    "insert": ("INSERT INTO `d.a` (x) VALUES (1)", {"d.a": CHANGES}),
    "insert from a query": ("INSERT INTO `d.a` (x) SELECT x FROM `d.b`", {"d.a": CHANGES, "d.b": READS}),
    "insert into what it reads": ("INSERT INTO `d.a` (x) SELECT x + 1 FROM `d.a`", {"d.a": CHANGES}),
    "update": ("UPDATE `d.a` t SET x = s.x FROM `d.b` s WHERE t.y = s.y", {"d.a": CHANGES, "d.b": READS}),
    "delete": ("DELETE FROM `d.a` WHERE x IN (SELECT x FROM `d.b`)", {"d.a": CHANGES, "d.b": READS}),
    "merge with a fence": (
        "MERGE `d.a` t USING (SELECT x FROM `d.b`) s ON t.x = s.x AND EXISTS (SELECT 1 FROM `e.leases` WHERE TRUE) "
        "WHEN NOT MATCHED THEN INSERT (x) VALUES (s.x)", {"d.a": CHANGES, "d.b": READS, "e.leases": READS}),
    "create": ("CREATE TABLE IF NOT EXISTS `d.a` (x STRING)", {"d": "tables.create"}),
    "create from a query": ("CREATE TABLE `d.a` AS SELECT x FROM `e.b`", {"d": "tables.create", "e.b": READS}),
    "alter": ("ALTER TABLE `d.a` ADD COLUMN IF NOT EXISTS b DATE", {"d": "tables.get tables.update"}),
    "alter options": ("ALTER TABLE `d.a` SET OPTIONS (description = 'x')", {"d": "tables.get tables.update"}),
    "alter a column": ("ALTER TABLE `d.a` ALTER COLUMN b SET DEFAULT 0", {"d": "tables.get tables.update"}),
    "views of a region": (
        "SELECT 1 FROM `p-one`.`region-us`.INFORMATION_SCHEMA.TABLES t, `region-us`.INFORMATION_SCHEMA.SCHEMATA s",
        {"project": f"datasets.get {CATALOG}"}),
    "views of a dataset": ("SELECT 1 FROM `d`.INFORMATION_SCHEMA.COLUMNS", {"d": "tables.get tables.list"}),
    "script": (
        """DECLARE n INT64 DEFAULT (SELECT COUNT(*) FROM `d.a`);
        BEGIN TRANSACTION;
        IF n > (SELECT MAX(x) FROM `d.b`) THEN UPDATE `d.c` SET x = n WHERE TRUE; END IF;
        SET n = (SELECT MIN(x) FROM `d.e`);
        BEGIN DELETE FROM `d.f` WHERE TRUE; EXCEPTION WHEN ERROR THEN SELECT 1 FROM `d.g`; END;
        COMMIT TRANSACTION;""",
        {"d.a": READS, "d.b": READS, "d.c": CHANGES, "d.e": READS, "d.f": CHANGES, "d.g": READS}),
}


class AccessTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.access = StatementAccess()

    def needs(self, sql):
        found = {}
        for use in self.access.uses(sql):
            found.setdefault(use.on, set()).update(p.removeprefix("bigquery.") for p in use.permissions)
        return found

    def test_finds_what_each_kind_of_statement_needs(self):
        for name, (sql, expected) in CASES.items():
            with self.subTest(name):
                wanted = {on: set(text.split()) for on, text in expected.items()}
                wanted.setdefault("project", set()).add("jobs.create")
                self.assertEqual(self.needs(sql), wanted)

    def test_a_statement_of_an_unknown_kind_is_no_statement_without_needs(self):
        for sql in ("DROP TABLE `d.a`", "TRUNCATE TABLE `d.a`", "EXPORT DATA OPTIONS (uri = 'gs://b/*', format = 'CSV') AS SELECT 1",
                    "CREATE SCHEMA `d`", "CREATE VIEW `d.v` AS SELECT 1 AS x"):
            with self.subTest(sql), self.assertRaises(Unknown):
                self.access.uses(sql)


if __name__ == "__main__":
    unittest.main()
