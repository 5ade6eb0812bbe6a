#!/usr/bin/env python3
"""Runs the Python tests of a directory: run_unittests.py DIRECTORY FILE. Writes {"passed": N, "failed": {TEST: REASON}}."""
import json
import sys
import unittest


def main():
    directory, file = sys.argv[1:]
    # Counts as one failure unless the run below comes to its end.
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"passed": 0, "failed": {directory: "did not come to its end: see above"}}, out)
    result = unittest.TextTestRunner().run(unittest.TestLoader().discover(directory, top_level_dir=directory))
    # A test with several failed subtests is one test; what fails in a class's set-up has no test of its own.
    failed = {}
    for test, trace in result.failures + result.errors:
        failed.setdefault(getattr(test, "test_case", test).id(), trace.strip().splitlines()[-1])
    for test in result.unexpectedSuccesses:
        failed[test.id()] = "succeeded unexpectedly"
    passed = max(result.testsRun - len(result.skipped) - len(failed), 0)
    if not result.testsRun and not failed:
        failed[directory] = "no test was run"
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"passed": passed, "failed": failed}, out)


if __name__ == "__main__":
    main()
