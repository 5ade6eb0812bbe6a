#!/usr/bin/env bash
# Brings a project to what jobs.yaml says: jobs, triggers, service accounts with their roles, alert policies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -eq 0 || " $* " == *" --help "* || " $* " == *" -h "* ]]; then
    cat <<'HELP'
usage: scripts/create-all-jobs.sh <test|stage|prod> [--dry-run] [--only JOB] [--prune] [--yes]

Compares deploy/generated/<environment>/ with the project and makes the differences. A second run finds nothing to do; after
a failure the same command does what is left. Needs gcloud, signed in, and python3.

  --dry-run   show what would change, and change nothing
  --only JOB  look only at this job: its account, roles, job, trigger and alert
  --prune     also delete what was made for this environment and is no longer in jobs.yaml
  --yes       do not ask (prod asks, and so does --prune)

Exit codes: 0 done or nothing to do, 1 something failed (a job without its image among them), 2 services or secrets are missing and
nothing was changed, 3 not confirmed, 64 wrong usage, 130 interrupted.
HELP
    [[ $# -gt 0 ]] && exit 0
    exit 64
fi

command -v python3 >/dev/null || { echo "create-all-jobs.sh: python3 is not installed" >&2; exit 2; }
command -v gcloud >/dev/null || { echo "create-all-jobs.sh: gcloud is not installed: https://cloud.google.com/sdk/docs/install" >&2; exit 2; }
PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1 exec python3 -m deployment.create_all_jobs "$@"
