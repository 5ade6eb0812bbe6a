#!/usr/bin/env bash
# Runs a job now and follows it to its end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -eq 0 || "$1" == --help || "$1" == -h || "${2:-}" == --help || "${3:-}" == --help ]]; then
    cat <<'HELP'
usage: scripts/run-job.sh <test|stage|prod> <job> [--wait|--async] [--yes] [-- argument ...]

Starts an execution of the job (org-sync-all or cloudact-org-sync-all), prints its log and its summary, and exits with its
outcome. Arguments after -- go to the job, for instance: scripts/run-job.sh test org-sync-all -- --dry-run

  --wait    follow it to the end (default)
  --async   start it and leave
  --yes     do not ask (prod asks)

Exit codes: 0 the execution succeeded (or --async started it), 1 it failed or could not be started, 75 it was stopped early,
3 not confirmed, 64 wrong usage, 130 interrupted while it goes on.
HELP
    [[ $# -gt 0 ]] && exit 0
    exit 64
fi

command -v python3 >/dev/null || { echo "run-job.sh: python3 is not installed" >&2; exit 1; }
PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1 exec python3 -m deployment.run_job "$@"
