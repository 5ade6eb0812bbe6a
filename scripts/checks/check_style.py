#!/usr/bin/env python3
"""Checks of the house style that swift-format does not have: check_style.py [ROOT]. Prints file:line: reason.

The checks read every file that git tracks or would add. Exit codes: 0 no findings, 1 findings.
"""
import re
import subprocess
import sys
from pathlib import Path

MAX_LINES, MAX_JOB_LINES = 400, 80
WHOLE_FOUNDATION = re.compile(r"^\s*(?:@\w+\s+)*(?:\w+\s+)?import\s+Foundation\s*$")
FOUNDATION_ALLOWED = {"EmbeddedWarehouse", "Tools", "DeploymentKit", "Simulation"}
TYPE_NAME = re.compile(r"\b(?:struct|class|enum|actor|protocol|typealias)\s+(\w*(?:Manager|Helper|Util|Common)s?)\b")
HIDDEN_CONFIGURATION = re.compile(r"\btry\?.*(?:environment|configuration|\breader\b)", re.IGNORECASE)
PUBLIC = re.compile(r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public|open)\b")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b|fatalError\(\s*\"(?i:not |un)(?i:implemented)")
NOT_COMMITTED = re.compile(r"(?:^|/)(?:Package\.resolved$|\.build[^/]*/|\.venv/|__pycache__/)")
BLANKED = re.compile(r'//[^\n]*|/\*.*?\*/|(#*)""".*?"""\1|(#+)".*?"\2|"(?:\\.|[^"\\\n])*"', re.S)


def blanked(text):
    """Swift without comments and the contents of strings, line by line as before."""
    return BLANKED.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def swift_problems(path, text):
    """(line, reason) for one Swift file; path is relative to the repository."""
    parts, lines, code = Path(path).parts, text.splitlines(), blanked(text).splitlines()
    if len(lines) > MAX_LINES:
        yield MAX_LINES + 1, f"{len(lines)} lines; a file has at most {MAX_LINES}"
    if parts[:2] == ("Sources", "Jobs") and len(lines) > MAX_JOB_LINES:
        yield MAX_JOB_LINES + 1, f"a job's file has at most {MAX_JOB_LINES} lines; move its work to a library"
    for number, line in enumerate(code, 1):
        if parts[0] == "Sources" and WHOLE_FOUNDATION.match(line) and not FOUNDATION_ALLOWED & set(parts):
            yield number, "imports all of Foundation; production code imports FoundationEssentials"
        for name in TYPE_NAME.findall(line):
            yield number, f"{name}: use a noun of the domain"
        if PUBLIC.match(line):
            yield number, "public: use package across targets"
        if parts[0] == "Sources" and HIDDEN_CONFIGURATION.search(line):
            yield number, "try? hides a wrong configuration"


def unfinished(text):
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield number, "unfinished work"


def functions(code):
    """(name, position, attributes and modifiers, enclosing type) of every function in blanked code."""
    types, start, parentheses = [], 0, 0
    for token in re.finditer(r"[(){}\[\]]|\bfunc\s+(\w+)", code):
        if token.group(1):
            if parentheses == 0:
                yield token.group(1), token.start(1), code[start:token.start()], types[-1] if types else ""
        elif token.group() in "([":
            parentheses += 1
        elif token.group() in ")]":
            parentheses -= 1
        elif parentheses == 0:
            if token.group() == "{":
                types.append(code[start:token.start()])
            elif types:
                types.pop()
            start = token.end()


def is_suite(header):
    return "@Suite" in header or re.search(r"\b(?:struct|class|actor|enum|extension)\s+\w+Tests\b", header) is not None


def tests_that_do_not_run(code, everything):
    """(line, reason) for functions of suites that nobody calls and that Swift Testing does not see."""
    for name, position, before, header in functions(code):
        if "@Test" in before:
            continue
        uncalled = len(re.findall(rf"\b{name}\b", everything)) < 2
        if re.match(r"test[A-Z_]", name) and is_suite(header) or (
                is_suite(header) and uncalled and not re.search(r"\b(?:fileprivate|private|override)\b", before)):
            yield line_of(code, position), f"{name} has no @Test, so it does not run"


def problems(root, paths):
    """(path, line, reason) over all files."""
    texts = {p: (root / p).read_text(encoding="utf-8", errors="replace") for p in paths
             if p.endswith((".swift", ".sh", ".py", ".md")) and (root / p).is_file()}
    swift = {p: t for p, t in texts.items() if p.endswith(".swift") and p.startswith(("Sources/", "Tests/"))}
    tests = {p: blanked(t) for p, t in swift.items() if p.startswith("Tests/")}
    everything = "\n".join(tests.values())
    for path in paths:
        if NOT_COMMITTED.search(path):
            yield path, 1, "a build product; remove it from git"
    for path, text in texts.items():
        found = []
        if path in swift:
            found += swift_problems(path, text)
        if path in tests:
            found += tests_that_do_not_run(tests[path], everything)
        if not path.startswith("scripts/checks/"):
            found += unfinished(text)
        yield from ((path, line, reason) for line, reason in found)


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    listed = subprocess.run(["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    found = sorted(problems(root, sorted(set(filter(None, listed.split("\0"))))))
    for path, line, reason in found:
        print(f"{path}:{line}: {reason}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
