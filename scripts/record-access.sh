#!/usr/bin/env bash
# Writes deploy/access.json, the list of what each job uses in BigQuery, and the files that follow from it.
#
#   scripts/record-access.sh
#
# The jobs run on the emulator, which notes what they use. Run it after every change of the statements or requests of a job, and
# read the difference before you commit it: a new line is a new permission.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if RECORD_GOLDEN_FILES=1 swift test --filter everyJobDoesItsWorkWithTheAccess; then
    echo "the recording should have failed, because a run that records is no proof" >&2
    exit 1
fi
scripts/generate-jobs.sh
git --no-pager diff --stat -- deploy
