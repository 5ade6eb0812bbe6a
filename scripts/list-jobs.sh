#!/usr/bin/env bash
# Shows what is deployed: schedules, next runs, last executions, and differences from jobs.yaml.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
    cat <<'HELP'
usage: scripts/list-jobs.sh <test|stage|prod> [--json | --html FILE]

Lists each job with its schedule, its next run, its last execution (status, duration, age) and the number of differences from
jobs.yaml. Then it lists the differences, the resources that jobs.yaml does not have, and the resources of other owners.
The script changes nothing. It needs python3 and gcloud, signed in. An account that may not read access policies gets the
rest of the list and a note that access was not compared.

  --json       print the list as JSON
  --html FILE  write one self-contained page: what needs a person first, the reasons of failed runs with links to their logs, a
               chart of each job's last runs, their counts, and the access of each job. It needs Logs Viewer for reasons and counts

Exit codes:
  0   done
  1   a part could not be read
  2   python3 or gcloud is missing
  64  wrong usage
HELP
}

answer_help "$@"
need_argument "$@"
run_deployment list_jobs "$@"
