#!/usr/bin/env bash
# Compares what the jobs would change in a warehouse that the Python jobs maintain, before the jobs are deployed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
    cat <<'HELP'
usage: scripts/compare-with-original.sh <test|stage|prod> [--bin FOLDER] [--only JOB] [--now RFC3339] [--json]

Runs every job with --dry-run on the environment's warehouse and prints one page: which jobs would change nothing, which would
change something for a known reason, and which for an unknown one. Nothing is written. It needs python3 and built jobs.

The jobs run on this machine with Application Default Credentials (gcloud auth application-default login) and the variables that
jobs.yaml gives them. A variable of this shell wins over the same variable of jobs.yaml. Secrets come from this shell only:

  export STRIPE_SECRET_KEY="$(gcloud secrets versions access latest --secret=stripe-secret-key-test --project=...)"

  --bin FOLDER   the folder with the built jobs (default: .build/release, or .build/debug)
  --only JOB     compare only this job
  --now RFC3339  compare as if it were that instant
  --json         print the page as JSON, to compare one day with the next

Exit codes:
  0   no job would change anything for an unknown reason
  1   a job would, or a job could not be compared
  2   python3 or a built job is missing
  64  wrong usage
HELP
}

answer_help "$@"
need_argument "$@"
run_deployment compare_with_original "$@"
