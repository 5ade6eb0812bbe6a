#!/usr/bin/env python3
"""Runs the Python tests of a directory and writes {"passed": N, "failed": {TEST: REASON}, "skipped": {TEST: REASON}}.

    run_unittests.py DIRECTORY FILE [--filter NAME] ...

With filters only the tests run whose name, such as Tests/Scripts/test_drift.DriftTests.test_name, matches one of them as a
regular expression. A module may have a function start_early(tests); it gets the chosen tests before the first one runs.
"""
import argparse
import json
import re
import sys
import unittest


class Result(unittest.TextTestResult):
    """Keeps the tests that passed, too: unittest counts the skipped ones differently from version to version."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.passed = set()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.add(test.id())


def tests_of(suite):
    """The single tests of a suite, in their order."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_of(item)
        else:
            yield item


def run(directory, filters):
    tests = list(tests_of(unittest.TestLoader().discover(directory, top_level_dir=directory)))
    # A file that cannot be imported is a test of unittest's own. No filter hides it.
    chosen = [t for t in tests if not filters or type(t).__module__ == "unittest.loader"
              or any(re.search(f, f"{directory}/{t.id()}") for f in filters)]
    if not chosen and filters:
        return {"passed": 0, "failed": {}, "skipped": {}}
    for module in {type(t).__module__ for t in chosen}:
        if start_early := getattr(sys.modules.get(module), "start_early", None):
            start_early(chosen)
    result = unittest.TextTestRunner(resultclass=Result).run(unittest.TestSuite(chosen))
    # A test with several failed subtests is one test. A failure in a class's set-up belongs to no test.
    failed = {}
    for test, trace in result.failures + result.errors:
        failed.setdefault(getattr(test, "test_case", test).id(), trace.strip().splitlines()[-1])
    for test in result.unexpectedSuccesses:
        failed[test.id()] = "succeeded unexpectedly"
    if not result.testsRun and not failed:
        failed[directory] = "no test was run"
    skipped = {getattr(test, "test_case", test).id(): reason for test, reason in result.skipped}
    return {"passed": len(result.passed - failed.keys() - skipped.keys()), "failed": failed, "skipped": skipped}


def write(file, result):
    with open(file, "w", encoding="utf-8") as out:
        json.dump(result, out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("file")
    parser.add_argument("--filter", action="append", default=[])
    options = parser.parse_args()
    # This result stays if the run below does not come to its end.
    write(options.file, {"passed": 0, "failed": {options.directory: "the run did not come to its end: see above"}, "skipped": {}})
    write(options.file, run(options.directory, options.filter))


if __name__ == "__main__":
    main()
