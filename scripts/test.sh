#!/usr/bin/env bash
# Runs the Swift and the Python tests and ends with the line "N passed, N failed".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/test.sh [--filter NAME] ... [--no-skip]

Installs what the tests need (Debian packages with apt-get, Python packages into .venv), builds, and runs the Swift tests and the
Python tests: the emulator's, the analyzer's, those with BigQuery's answers, the deployment scripts' and the checks'.

  --filter NAME  run only the tests whose name matches this regular expression, Swift and Python tests alike. Names are
                 QuotaKitTests.QuotaResetTests/opensTheDay() and Tests/Scripts/test_drift.DriftTests.test_name.
                 Several filters add up. A filter that matches no test is a failure.
  --no-skip      count a skipped test as failed

Tests that talk to the deployment scripts' fake of Google Cloud need gcloud. They are skipped if gcloud is not installed;
a line before the last one says so. The last line is "N passed, N failed".

To record the golden files anew (Tests/DeploymentKitTests/Golden):
  RECORD_GOLDEN_FILES=1 scripts/test.sh --filter GeneratedFilesTests
That run fails, so that nobody leaves the variable set. Check the files with git diff and run the tests without the variable.
deploy/generated is written by: swift run generate-jobs

Exit codes: 0 at least one test passed and none failed, 1 a test failed or no test ran, 64 wrong usage.
HELP
}

answer_help "$@"
filters=() no_skip=()
while (($# > 0)); do
    case "$1" in
        --filter)
            [[ -n "${2:-}" ]] || bad_usage "--filter needs the name of a test"
            filters+=(--filter "$2")
            shift
            ;;
        --no-skip) no_skip=(--no-skip) ;;
        *) bad_usage "unknown argument $1" ;;
    esac
    shift
done

need_swift
need_libraries
need_python

# The tests share one emulator, which serves one POST at a time. With hundreds of tests at once each test would wait for all
# others and run into the timeouts of the client under test.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH="${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:-4}"

results="$(mktemp -d)"
trap 'rm -rf "$results"' EXIT

# A failure to build counts as one failed test: no Swift test can run.
swift_status=0
say "building"
if swift build --build-tests >&2; then
    say "running the Swift tests"
    # Newer streams say which issues are failures; Swift 6.2 has the first stream only.
    stream=6.3
    [[ "$swift_version" == 6.2 ]] && stream=0
    swift test --skip-build --disable-xctest --event-stream-version "$stream" --event-stream-output-path "$results/swift.jsonl" \
        "${filters[@]}" || swift_status=$?
else
    swift_status=1
fi

say "running the Python tests"
for directory in Tests/Emulator Tests/Analyzer Tests/BigQueryAnswers Tests/Costs Tests/Scripts scripts/checks; do
    # Only the tests of the scripts take long enough to be divided; each of them waits for gcloud to start.
    processes=1
    [[ "$directory" == Tests/Scripts ]] && processes="$(nproc)"
    .venv/bin/python scripts/checks/run_unittests.py "$directory" "$results/$(basename "$directory").json" \
        --processes "$processes" "${filters[@]}" || true
done

.venv/bin/python scripts/checks/count_results.py --swift "$swift_status" "$results/swift.jsonl" --python "$results" \
    "${filters[@]}" "${no_skip[@]}"
