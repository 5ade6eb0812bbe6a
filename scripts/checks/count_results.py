#!/usr/bin/env python3
"""Adds up what was run: names what failed, with the first reason, and ends with "N passed, N failed".

The exit code is 0 if nothing failed and something ran.

    count_results.py --swift EXIT_CODE EVENTS DIRECTORY

EVENTS is the event stream of Swift Testing, DIRECTORY has the results of the Python tests (*.json). A Swift test passed if
it ended without an issue; one that began and never ended, because the process crashed, failed. If swift test says that
something failed and no test says so, that counts as one more failure.
"""
import json
import sys
from pathlib import Path


def swift_results(file, exit_code):
    """(passed, failed, {name of what failed: its first reason}) of an event stream."""
    functions, started, ended, failed = set(), set(), set(), {}
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
            failed.setdefault(test, " ".join(m["text"] for m in payload.get("messages", [])))
    for test in sorted((started & functions) - ended):
        failed.setdefault(test, "did not end")
    passed = len((ended & functions) - failed.keys())
    if exit_code and not failed:
        failed["swift"] = f"exit code {exit_code}, and no test says why: see above"
    if not passed and not failed:
        failed["swift"] = "no test was run"
    return passed, failed


def is_failure(issue):
    return not issue.get("isKnown") and issue.get("isFailure", issue.get("severity", "error") == "error")


def main():
    _, exit_code, events, directory = sys.argv[1:]
    passed, reasons = swift_results(Path(events), int(exit_code))
    for file in sorted(Path(directory).glob("*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        passed += result["passed"]
        reasons |= result["failed"]
    for test, reason in reasons.items():
        print(f"failed: {test}: {reason[:500]}")
    failed = len(reasons)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
