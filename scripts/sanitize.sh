#!/usr/bin/env bash
# Runs the unit tests under AddressSanitizer or ThreadSanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/sanitize.sh [address | thread] [--filter NAME] ...

Builds the tests with the sanitizer in .build-asan or .build-tsan and runs the unit tests of the libraries. A report of the sanitizer
ends the tests.

  address        memory that is used after its end or beyond its bounds (default)
  thread         data that two threads use at once
  --filter NAME  run only the tests whose name matches this regular expression

- EndToEndTests are left out: they start the jobs as processes, which the unit tests run as functions.
- AddressSanitizer does not look for leaks: values that live as long as the process would be reported.
- ThreadSanitizer runs the suites that have threads of their own. scripts/checks/thread-sanitizer.txt lists what it may not report,
  with the reasons.

Exit codes: 0 no report and no failed test, 1 a report or a failed test, 64 wrong usage.
HELP
}

answer_help "$@"
sanitizer=address filters=()
while (($# > 0)); do
    case "$1" in
        address | thread) sanitizer="$1" ;;
        --filter)
            [[ -n "${2:-}" ]] || bad_usage "--filter needs the name of a test"
            filters+=(--filter "$2")
            shift
            ;;
        *) bad_usage "unknown argument $1" ;;
    esac
    shift
done

need_swift
need_libraries
need_python
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH="${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:-4}"
if [[ "$sanitizer" == address ]]; then
    scratch=.build-asan
    # A frame of an asynchronous function is not on the stack, which the check of returned frames does not know.
    export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:halt_on_error=1
    ((${#filters[@]})) || filters=(--skip EndToEndTests)
else
    scratch=.build-tsan
    export TSAN_OPTIONS="suppressions=$PWD/scripts/checks/thread-sanitizer.txt:halt_on_error=1:second_deadlock_stack=1"
    ((${#filters[@]})) || filters=(--filter '^(HTTPTransportTests|JobRuntimeTests|GoogleCredentialsTests)\.')
fi
swift test --sanitize="$sanitizer" --scratch-path "$scratch" --disable-xctest "${filters[@]}"
