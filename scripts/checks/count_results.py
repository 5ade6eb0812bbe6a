#!/usr/bin/env python3
"""Adds up what was run and prints "N passed, N failed"; the exit code is 0 if nothing failed and something ran.

    count_results.py --swift EXIT_CODE EVENTS DIRECTORY

EVENTS is the event stream of Swift Testing, DIRECTORY has the results of the Python tests (*.json). A Swift test passed if
it ended without an issue; one that began and never ended, because the process crashed, failed. If swift test says that
something failed and no test says so, that counts as one more failure.
"""
import json
import sys
from pathlib import Path


def swift_results(file, exit_code):
    """(passed, failed) of an event stream."""
    functions, started, ended, failed = set(), set(), set(), set()
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
        if payload["kind"] == "testStarted":
            started.add(test)
        elif payload["kind"] == "testEnded":
            ended.add(test)
        elif payload["kind"] == "issueRecorded" and is_failure(payload["issue"]):
            failed.add(test)
    crashed = (started & functions) - ended
    for test in sorted(crashed):
        print(f"did not end: {test}", file=sys.stderr)
    failed |= crashed
    passed = len((ended & functions) - failed)
    count = len(failed)
    if exit_code and not count:
        count = 1
    if not passed and not count:
        print("no Swift test was run", file=sys.stderr)
        count = 1
    return passed, count


def is_failure(issue):
    return not issue.get("isKnown") and issue.get("isFailure", issue.get("severity", "error") == "error")


def main():
    _, exit_code, events, directory = sys.argv[1:]
    passed, failed = swift_results(Path(events), int(exit_code))
    for file in sorted(Path(directory).glob("*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        passed, failed = passed + result["passed"], failed + result["failed"]
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
