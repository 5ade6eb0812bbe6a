#!/usr/bin/env bash
# Builds the service and shows its main job at work on an embedded warehouse. May be run again at any time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

if [[ "${1:-}" == --help || "${1:-}" == -h ]]; then
    cat <<'HELP'
usage: scripts/quickstart.sh

Installs the system packages that are missing, builds, and runs on a new SQLite file (.demo/warehouse.db):
bootstrap, five demo organizations, org-sync-all, and org-sync-all once more to show that nothing is left to do.
Nothing but this folder is touched; no cloud account is needed.
HELP
    exit 0
fi
if (($# > 0)); then
    fail "quickstart.sh takes no arguments; see --help"
fi

need_swift
need_libraries

jobs=(BootstrapJob BootstrapSyncJob OrgSyncAllJob)
say "building (the first time takes a few minutes)"
for product in "${jobs[@]}" demo-data; do
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
say "once more: nothing is left to do"
show OrgSyncAllJob

cat <<'NEXT'

What happened: bootstrap made the central dataset "organizations" and the jobs' own dataset; org-sync-all then gave each of
the five organizations its dataset with 19 tables. The second run compared all of them and changed nothing.

Try it yourself:
  export WAREHOUSE_URL=sqlite:.demo/warehouse.db ENVIRONMENT=test
  swift run OrgSyncAllJob --help
  swift run OrgSyncAllJob --dry-run --json
Point it at a real project: see "On a real project" in README.md.
NEXT
