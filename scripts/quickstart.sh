#!/usr/bin/env bash
# Builds the service, runs its main job on an embedded warehouse, and makes the page of a simulated week of all jobs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/quickstart.sh

Shows the service at work in ten minutes. It needs Swift 6.2 or newer and no cloud account. The script:

  1. installs the missing system libraries with apt-get, as root or with sudo
  2. builds three jobs and the simulation
  3. creates the SQLite file .demo/warehouse.db, runs bootstrap, adds five demo organizations and runs org-sync-all
  4. runs org-sync-all again to show that nothing is left to do
  5. simulates a week of all jobs and writes it as a page: .demo/week.html

Apart from the system libraries and Swift's own caches, the script changes only .build and .demo in this folder.
A second run starts again with a new SQLite file.

Exit codes: 0 done, 1 a step failed, 64 wrong usage.
HELP
}

answer_help "$@"
(($# == 0)) || bad_usage "the script takes no arguments"

need_swift
need_libraries
command -v python3 >/dev/null || need_packages python3

jobs=(BootstrapJob BootstrapSyncJob OrgSyncAllJob)
say "building (the first build takes a few minutes)"
for product in "${jobs[@]}" demo-data simulate; do
    swift build --product "$product" >&2
done
bin="$(swift build --show-bin-path)"

mkdir -p .demo
rm -f .demo/warehouse.db .demo/warehouse.db-wal .demo/warehouse.db-shm
export WAREHOUSE_URL=sqlite:.demo/warehouse.db ENVIRONMENT=test LOG_FORMAT=text
unset GCP_PROJECT_ID BIGQUERY_EMULATOR_HOST CATALOG_DIR

# The last line of a job is its summary for machines; here the sentence before it is enough.
show() {
    printf '\n$ %s\n' "$*"
    "$bin/$1" "${@:2}" | sed '$d'
}

say "an empty warehouse: $WAREHOUSE_URL"
show BootstrapJob
show demo-data --organizations 5
show OrgSyncAllJob --dry-run --org demo_10001
show OrgSyncAllJob
say "a second run: nothing is left to do"
show OrgSyncAllJob

say "a simulated week of all jobs, with faults"
"$bin/simulate" --days 7 --seed 2 --every-tick --no-shrink --story .demo/week.jsonl
PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1 python3 -m simulation.week .demo/week.jsonl .demo/week.html

cat <<'NEXT'

What happened: bootstrap created the central dataset "organizations" and the jobs' own dataset. The first run of org-sync-all
gave each of the five organizations its dataset with 19 tables. The second run compared all of them and changed nothing.

Open .demo/week.html in a browser: a week of all jobs in a simulated world that breaks what they depend on, and what they repaired.

Next steps:
  export WAREHOUSE_URL=sqlite:.demo/warehouse.db ENVIRONMENT=test
  swift run OrgSyncAllJob --help
  swift run OrgSyncAllJob --dry-run --json
README.md, "On a real project", shows how to run the jobs on BigQuery.
NEXT
