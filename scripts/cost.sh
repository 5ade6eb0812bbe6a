#!/usr/bin/env bash
# Computes what the jobs need and cost in a month, with so many organizations.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
    cat <<'HELP'
usage: scripts/cost.sh [--organizations N] ... [--job NAME] [--environment NAME] [--set NAME=VALUE] ... [--json | --markdown]
       scripts/cost.sh --parameters

Computes what each job needs in a month: requests, bytes that BigQuery bills, seconds of Cloud Run, dollars. It also names the
limit that the job reaches first, the number of organizations at which it does, and the number of tasks to use. Nothing is
asked of Google Cloud.

  --organizations N   the number of organizations; may be repeated (default: 1000, 10000 and 100000)
  --job NAME          show the formula of one job with its numbers: each statement, its tables, rows and bytes
  --environment NAME  an environment of jobs.yaml (default: prod)
  --set NAME=VALUE    change a parameter, such as query_seconds=0.5
  --parameters        list the parameters with their values
  --json              print JSON
  --markdown          print the tables of docs/costs.md

Where the numbers come from:
  deploy/generated/            schedules, tasks, CPU, memory, timeouts
  scripts/costs/requests.json  what a run of each job sends, recorded from the built jobs on the emulator; GoogleSQL's analyzer
                               names the columns of each table that a statement reads. scripts/record-requests.sh records anew.
  scripts/costs/facts.json     prices and limits, each with its source, the day of reading, and whether it was verified
  scripts/costs/parameters.json  what depends on your customers, and times that were not measured

How bytes are computed: rows x width of the columns that a statement reads, in the partitions that its conditions leave. UPDATE,
DELETE and MERGE also bill all columns of the partitions that they change. Each table of a statement bills 10 MiB at least.
Slot time is not estimated: BigQuery alone knows it.

Examples:
  scripts/cost.sh --organizations 5000
  scripts/cost.sh --organizations 5000 --job stale-cleanup
  scripts/cost.sh --organizations 5000 --set runs_per_organization_and_day=100 --set log_days=30

Exit codes: 0 done, 1 a file could not be read, 2 python3 is missing, 64 wrong usage.
HELP
}

answer_help "$@"
scripts="$(dirname "${BASH_SOURCE[0]}")"
command -v python3 >/dev/null || { printf 'cost.sh: python3 is not installed\n' >&2; exit 2; }
PYTHONPATH="$scripts" PYTHONDONTWRITEBYTECODE=1 exec python3 -m costs.cost "$@"
