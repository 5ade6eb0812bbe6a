#!/usr/bin/env bash
# Deploys what jobs.yaml describes: jobs, triggers, service accounts with their roles, log-based metrics, alerts, a dashboard.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/create-all-jobs.sh <test|stage|prod> [--dry-run] [--only JOB] [--prune] [--take-over] [--yes]

Compares deploy/generated/<environment>/ with the project and changes what differs. A second run changes nothing. After a
failure, the same command does the rest. The script needs python3 and gcloud, signed in.

A role is bound to a table once the table exists. The script says how many grants wait for tables that bootstrap creates: run
bootstrap, and then the same command again.

A job, trigger, account, custom role or metric that has one of our names and not our mark is somebody else's, such as a former
deployment's. The script says so and asks once before it takes any of them over; without a terminal it refuses. It also lists what a former deployment leaves
behind, with the commands that remove it.

  --dry-run   show what would change and change nothing
  --only JOB  compare and change only this job: its account, roles, job, trigger and alert
  --prune     also delete what this script created for the environment and jobs.yaml no longer has
  --take-over replace what has our names and not our mark, without asking. The former definitions are kept in
              .taken-over/<environment>/
  --yes       do not ask for confirmation otherwise (prod asks, and so does --prune)

Exit codes:
  0    done, or nothing to do
  1    a change failed, or a job has no image
  2    python3, gcloud, a service, a secret, a notification channel, or the image for a job that works is missing; nothing was
       changed
  3    the change was not confirmed
  64   wrong usage
  130  interrupted
HELP
}

answer_help "$@"
need_argument "$@"
run_deployment create_all_jobs "$@"
