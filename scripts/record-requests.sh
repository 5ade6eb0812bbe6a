#!/usr/bin/env bash
# Writes scripts/costs/requests.json, the list of what a run of each job sends, and the tables of docs/costs.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/record-requests.sh

Builds the jobs, runs each of them on the BigQuery emulator, and writes what it sends to scripts/costs/requests.json. Then it
computes the tables of docs/costs.md anew. Run it after every change of a job's statements or requests, and read the difference.

Exit codes: 0 done, 1 a job failed or needs more requests than its budget, 64 wrong usage.
HELP
}

answer_help "$@"
(($# == 0)) || bad_usage "the script takes no arguments"
need_swift
need_libraries
need_python

say "building"
swift build >&2
say "running every job on the emulator"
.venv/bin/python Tests/Costs/record.py "$(swift build --show-bin-path)"
.venv/bin/python Tests/Costs/pages.py
git --no-pager diff --stat -- scripts/costs docs/costs.md
