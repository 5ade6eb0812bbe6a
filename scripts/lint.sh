#!/usr/bin/env bash
# Checks format, style and scripts; prints file:line and the reason of every finding.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/lint.sh

Runs swift-format (lint --strict) on the Swift files, the checks of the house style (scripts/checks/check_style.py),
shellcheck on the shell scripts and pyflakes on the Python files.

To format the Swift files: swift format format -i -r Package.swift Sources Tests

Exit codes: 0 no findings, 1 findings, 64 wrong usage.
HELP
}

answer_help "$@"
(($# == 0)) || bad_usage "the script takes no arguments"

need_swift
need_python

mapfile -t swift_files < <(git ls-files --cached --others --exclude-standard -- Package.swift 'Sources/*.swift' 'Tests/*.swift')
mapfile -t shell_files < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
mapfile -t python_files < <(git ls-files --cached --others --exclude-standard -- '*.py')

problems=0
say "swift-format, ${#swift_files[@]} files"
swift format lint --strict --configuration .swift-format "${swift_files[@]}" || problems=1
say "style"
.venv/bin/python scripts/checks/check_style.py || problems=1
say "shellcheck, ${#shell_files[@]} files"
.venv/bin/shellcheck --external-sources "${shell_files[@]}" || problems=1
say "pyflakes, ${#python_files[@]} files"
.venv/bin/python -m pyflakes "${python_files[@]}" || problems=1
exit "$problems"
