#!/usr/bin/env bash
# Runs a job now and follows it to its end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/run-job.sh <test|stage|prod> <job|release> [--wait | --async] [--yes] [--every-step] [-- argument ...]

Starts an execution of the job (org-sync-all or cloudact-org-sync-all), prints its log and its summary, and ends with its
outcome. The script needs python3 and gcloud, signed in. It passes the arguments after -- to the job:
scripts/run-job.sh test org-sync-all -- --dry-run

release stands for bootstrap, bootstrap-sync and org-sync-all, in this order, up to the first one that fails. Its end is one summary.
It skips bootstrap and bootstrap-sync if the last execution succeeded and the job has not changed since.

  --wait        follow the execution to its end (default)
  --async       start the execution and return
  --yes         do not ask for confirmation (prod asks)
  --every-step  run each step of a release, also one that is done

Exit codes:
  0    the execution succeeded; with --async, it was started
  1    the execution failed or could not be started
  2    python3 or gcloud is missing
  3    the run was not confirmed
  64   wrong usage
  75   the execution was stopped early
  130  interrupted; the execution continues
HELP
}

answer_help "$@"
need_argument "$@"
run_deployment run_job "$@"
