#!/usr/bin/env bash
# Installs what the tests need, runs them all, and ends with the line "N passed, N failed".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

if [[ "${1:-}" == --help || "${1:-}" == -h ]]; then
    cat <<'HELP'
usage: scripts/test.sh [argument of swift test ...]

Installs missing system packages (apt) and a Python environment (.venv), builds, and runs the Swift tests and the Python
tests of the emulator, the analyzer, the scripts and the checks. With arguments, for instance --filter QuotaResetTests, only the Swift
tests that they choose. The last line is "N passed, N failed"; the exit code is 0 if nothing failed and something ran.
HELP
    exit 0
fi

need_swift
need_libraries
need_python

# Tests share one emulator, which serves one POST after another: with hundreds of tests at once each would wait for all others,
# and run into the time-outs of the client under test.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH="${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:-4}"

results="$(mktemp -d)"
trap 'rm -rf "$results"' EXIT

# A failure to build counts as one failed test: nothing else can run.
swift_status=0
say "building"
if swift build --build-tests >&2; then
    say "running the Swift tests"
    # Newer streams say which issues are failures; Swift 6.2 has the first one only.
    stream=6.3
    [[ "$(swift_version)" == 6.2 ]] && stream=0
    swift test --skip-build --disable-xctest --event-stream-version "$stream" --event-stream-output-path "$results/swift.jsonl" "$@" \
        || swift_status=$?
else
    swift_status=1
fi

if (($# == 0)); then
    say "running the Python tests"
    for directory in Tests/Emulator Tests/Analyzer Tests/Scripts scripts/checks; do
        .venv/bin/python scripts/checks/run_unittests.py "$directory" "$results/$(basename "$directory").json" || true
    done
fi

.venv/bin/python scripts/checks/count_results.py --swift "$swift_status" "$results/swift.jsonl" "$results"
