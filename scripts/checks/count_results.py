#!/usr/bin/env python3
"""Adds up the test results: names the skipped and the failed tests and ends with "N passed, N failed".

    count_results.py --swift EXIT_CODE EVENTS --python DIRECTORY [--filter NAME] ... [--no-skip]

EVENTS is the event stream of Swift Testing. DIRECTORY has the results of the Python tests (*.json, see run_unittests.py).

- A Swift test passed if it ended without an issue. A test that started and never ended, because the process crashed, failed.
- If swift test reports a failure and no test does, that counts as one more failure.
- Tests that were skipped are one line for each reason. With --no-skip they count as failed.
- It is a failure if no Swift test ran. With filters it is a failure if no test at all ran.

Exit codes: 0 at least one test passed and none failed, 1 otherwise.
"""
import argparse
import json
import sys
from pathlib import Path


def swift_results(file, exit_code):
    """(passed, {failed test: its first reason}, {skipped test: reason}) of an event stream."""
    functions, started, ended, failed, skipped = set(), set(), set(), {}, {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:          # cut short by a crash
            continue
        payload = record["payload"]
        if record["kind"] == "test":
            if payload["kind"] == "function":
                functions.add(payload["id"])
            continue
        test = payload.get("testID")
        words = " ".join(m["text"] for m in payload.get("messages", []))
        if payload["kind"] == "testStarted":
            started.add(test)
        elif payload["kind"] == "testEnded":
            ended.add(test)
        elif payload["kind"] == "testSkipped" and test in functions:
            skipped[test] = words.partition("skipped: ")[2].strip('"') or words
        elif payload["kind"] == "issueRecorded" and is_failure(payload["issue"]):
            failed.setdefault(test, words)
    for test in sorted((started & functions) - ended - skipped.keys()):
        failed.setdefault(test, "did not end")
    passed = len((ended & functions) - failed.keys() - skipped.keys())
    if exit_code and not failed:
        failed["swift"] = f"exit code {exit_code}, and no test reports why: see above"
    return passed, failed, skipped


def is_failure(issue):
    return not issue.get("isKnown") and issue.get("isFailure", issue.get("severity", "error") == "error")


def skipped_lines(skipped):
    """One line for each reason, with the number of tests and three examples."""
    by_reason = {}
    for test, reason in skipped.items():
        by_reason.setdefault(reason, []).append(test)
    for reason, tests in by_reason.items():
        more = ", ..." if len(tests) > 3 else ""
        yield f"skipped: {len(tests)} {'test' if len(tests) == 1 else 'tests'} ({', '.join(tests[:3])}{more}): {reason}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--swift", nargs=2, metavar=("EXIT_CODE", "EVENTS"), required=True)
    parser.add_argument("--python", metavar="DIRECTORY", required=True)
    parser.add_argument("--filter", action="append", default=[])
    parser.add_argument("--no-skip", action="store_true")
    options = parser.parse_args()

    exit_code, events = options.swift
    passed, failed, skipped = swift_results(Path(events), int(exit_code))
    if not options.filter and not (passed or failed or skipped):
        failed["swift"] = "no test was run"
    for file in sorted(Path(options.python).glob("*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        passed += result["passed"]
        failed |= result["failed"]
        skipped |= result["skipped"]
    if not (passed or failed or skipped):
        failed["filter"] = f"no test matches {' or '.join(options.filter)}"

    for line in skipped_lines(skipped):
        print(line + ("; counted as failed (--no-skip)" if options.no_skip else ""))
    for test, reason in failed.items():
        print(f"failed: {test}: {reason[:500]}")
    number = len(failed) + (len(skipped) if options.no_skip else 0)
    print(f"{passed} passed, {number} failed")
    sys.exit(1 if number or not passed else 0)


if __name__ == "__main__":
    main()
