#!/usr/bin/env bash
# Writes deploy/access.json, the list of what each job uses in BigQuery, and the files that follow from it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/record-access.sh

Runs every job on the BigQuery emulator, which notes what the job uses, and writes deploy/access.json. Then it generates the files
that follow from the list: the roles of each job's account. Run it after every change of the statements or requests of a job, and
read the difference before you commit it: a new line is a new permission.

Exit codes: 0 done, 1 a job failed or a statement is sent by no run, 64 wrong usage.
HELP
}

answer_help "$@"
(($# == 0)) || bad_usage "the script takes no arguments"
need_swift
need_libraries
need_python

say "building"
swift build --build-tests >&2
say "running every job on the emulator"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
RECORD_GOLDEN_FILES=1 swift test --skip-build --filter everyJobDoesItsWorkWithTheAccess >"$log" 2>&1 || true
grep -q "deploy/access.json was written" "$log" || { cat "$log" >&2; fail "the jobs were not run to their end"; }
# The recording itself counts as an issue. Any other one is a run that did not send what it should.
if grep "recorded an issue" "$log" | grep -qv "Issue recorded"; then
    cat "$log" >&2
    fail "the list may lack what a job uses"
fi
scripts/generate-jobs.sh
git --no-pager diff --stat -- deploy
