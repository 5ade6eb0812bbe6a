#!/usr/bin/env bash
# Writes deploy/generated/ from jobs.yaml. Builds the generator and the jobs if their sources changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/generate-jobs.sh [--check]

Checks jobs.yaml and writes deploy/generated/ from it: the Cloud Run Jobs, the triggers, accounts and roles, alerts, and for each
environment commands.sh with the plain gcloud commands. It needs Swift; where nothing was changed since the last time it takes
less than a second.

  --check  write nothing; name the files that differ from jobs.yaml

Exit codes: 0 done, 1 files are out of date (--check), or the build failed, 64 wrong usage, 65 jobs.yaml has problems, 66 a job
gives no description.
HELP
}

answer_help "$@"
(($# == 0)) || [[ $# == 1 && "$1" == --check ]] || bad_usage "the script takes --check only"

# The stamp is as old as the sources that were built; the build itself leaves a binary alone whose content stays the same.
bin=.build/debug stamp=.build/generate-jobs.stamp
if [[ ! -x "$bin/generate-jobs" || ! -f "$stamp" || -n "$(find Package.swift Sources -newer "$stamp" -print -quit)" ]]; then
    need_swift
    need_libraries
    say "building the generator and the jobs"
    started="$(mktemp)"
    swift build >&2 || { rm -f "$started"; fail "the build failed"; }
    mv "$started" "$stamp"
fi
exec "$bin/generate-jobs" "$@"
