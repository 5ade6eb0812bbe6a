#!/usr/bin/env bash
# Runs the unit tests under AddressSanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/sanitize.sh [address] [--filter NAME] ...

Builds the tests with AddressSanitizer in .build-asan and runs the unit tests of the libraries. A report about memory that is used after
its end or beyond its bounds ends the tests.

  --filter NAME  run only the tests whose name matches this regular expression

- EndToEndTests are left out: they start the jobs as processes, whose code the unit tests run as functions.
- Leaks are not reported: values that live as long as the process would be among them.
- ThreadSanitizer is not offered. It reports races inside Mutex of Swift's Synchronization, even in a program of ten lines.

Exit codes: 0 no report and no failed test, 1 a report or a failed test, 64 wrong usage.
HELP
}

answer_help "$@"
filters=()
while (($# > 0)); do
    case "$1" in
        address) ;;
        --filter)
            [[ -n "${2:-}" ]] || bad_usage "--filter needs the name of a test"
            filters+=(--filter "$2")
            shift
            ;;
        *) bad_usage "unknown argument $1" ;;
    esac
    shift
done
((${#filters[@]})) || filters=(--skip EndToEndTests)

need_swift
need_libraries
need_python
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH="${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:-4}"
# Frames of asynchronous functions are not on the stack, so the check of frames that have returned does not apply to them.
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:halt_on_error=1
swift test --sanitize=address --scratch-path .build-asan --disable-xctest "${filters[@]}"
