#!/usr/bin/env bash
# Shows what is deployed: schedules, next runs, last executions, and differences from jobs.yaml.
set -euo pipefail

if [[ $# -eq 0 || " $* " == *" --help "* || " $* " == *" -h "* ]]; then
    cat <<'HELP'
usage: scripts/list-jobs.sh <test|stage|prod> [--json | --html FILE]

Each job with its schedule, next run, last execution (status, duration, age) and how many differences from jobs.yaml it has;
then the differences themselves, what is deployed without being in jobs.yaml, and what is not ours. Changes nothing. Who may not
read policies sees everything else, and that access was not compared.

  --json       the same as JSON
  --html FILE  writes one self-contained page with the last executions of each job as a picture

Exit codes: 0 done, 1 something could not be read, 64 wrong usage.
HELP
    [[ $# -gt 0 ]] && exit 0
    exit 64
fi

command -v python3 >/dev/null || { echo "list-jobs.sh: python3 is not installed" >&2; exit 1; }
scripts="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PYTHONPATH="$scripts" PYTHONDONTWRITEBYTECODE=1 exec python3 -m deployment.list_jobs "$@"
