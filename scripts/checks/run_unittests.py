#!/usr/bin/env python3
"""Runs the Python tests of a directory and writes {"passed": N, "failed": N} to a file: run_unittests.py DIRECTORY FILE."""
import json
import sys
import unittest


def main():
    directory, file = sys.argv[1:]
    # Counts as one failure unless the run below comes to its end.
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"passed": 0, "failed": 1}, out)
    result = unittest.TextTestRunner().run(unittest.TestLoader().discover(directory, top_level_dir=directory))
    # A test with several failed subtests is one test; what fails in a class's set-up has no test of its own.
    wrong = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    wrong |= {test.id() for test in result.unexpectedSuccesses}
    failed = max(len(wrong), 0 if result.testsRun else 1)
    passed = max(result.testsRun - len(result.skipped) - len(wrong), 0)
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"passed": passed, "failed": failed}, out)


if __name__ == "__main__":
    main()
