#!/usr/bin/env python3
"""Runs the Python tests of a directory and writes {"passed": N, "failed": {TEST: REASON}, "skipped": {TEST: REASON}}.

    run_unittests.py DIRECTORY FILE [--processes N] [--filter NAME] ...

With several processes each class of tests runs in one of them, and its output is printed when it has ended. With filters only the tests run whose name, such as Tests/Scripts/test_drift.DriftTests.test_name, matches one of them as a
regular expression. A module may have a function start_early(tests); it gets the chosen tests before the first one runs.
"""
import argparse
import concurrent.futures
import io
import json
import multiprocessing
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


def chosen_tests(directory, filters):
    tests = list(tests_of(unittest.TestLoader().discover(directory, top_level_dir=directory)))
    # A file that cannot be imported is a test of unittest's own. No filter hides it.
    return [t for t in tests if not filters or type(t).__module__ == "unittest.loader"
            or any(re.search(f, f"{directory}/{t.id()}") for f in filters)]


def class_of(test):
    return f"{type(test).__module__}.{type(test).__qualname__}"


def run_tests(tests, stream=None):
    for module in {type(t).__module__ for t in tests}:
        if start_early := getattr(sys.modules.get(module), "start_early", None):
            start_early(tests)
    result = unittest.TextTestRunner(stream, resultclass=Result).run(unittest.TestSuite(tests))
    # A test with several failed subtests is one test. A failure in a class's set-up belongs to no test.
    failed = {}
    for test, trace in result.failures + result.errors:
        failed.setdefault(getattr(test, "test_case", test).id(), trace.strip().splitlines()[-1])
    for test in result.unexpectedSuccesses:
        failed[test.id()] = "succeeded unexpectedly"
    skipped = {getattr(test, "test_case", test).id(): reason for test, reason in result.skipped}
    return {"passed": len(result.passed - failed.keys() - skipped.keys()), "failed": failed, "skipped": skipped}


def run_class(directory, filters, name):
    """The result of one class, and what its tests printed. It runs in a process of its own."""
    output = io.StringIO()
    tests = [t for t in chosen_tests(directory, filters) if class_of(t) == name]
    return run_tests(tests, output), output.getvalue()


def run_classes(directory, filters, classes, processes):
    total = {"passed": 0, "failed": {}, "skipped": {}}
    # A spawned process runs its exit handlers, which stop the servers that its tests started; a forked one does not.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, context) as pool:
        futures = {pool.submit(run_class, directory, filters, name): name for name in classes}
        for future in concurrent.futures.as_completed(futures):
            try:
                result, output = future.result()
            except concurrent.futures.process.BrokenProcessPool:
                total["failed"][f"{directory}/{futures[future]}"] = "its process ended before the tests did"
                continue
            print(f"{futures[future]}\n{output}", file=sys.stderr, flush=True)
            total["passed"] += result["passed"]
            total["failed"] |= result["failed"]
            total["skipped"] |= result["skipped"]
    return total


def run(directory, filters, processes=1):
    tests = chosen_tests(directory, filters)
    if not tests:
        return {"passed": 0, "failed": {} if filters else {directory: "no test was run"}, "skipped": {}}
    classes = list(dict.fromkeys(map(class_of, tests)))
    if processes > 1 and len(classes) > 1:
        return run_classes(directory, filters, classes, processes)
    return run_tests(tests)


def write(file, result):
    with open(file, "w", encoding="utf-8") as out:
        json.dump(result, out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("file")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--filter", action="append", default=[])
    options = parser.parse_args()
    # This result stays if the run below does not come to its end.
    write(options.file, {"passed": 0, "failed": {options.directory: "the run did not come to its end: see above"}, "skipped": {}})
    write(options.file, run(options.directory, options.filter, options.processes))


if __name__ == "__main__":
    main()
