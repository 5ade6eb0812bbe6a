#!/usr/bin/env bash
# Deploys an earlier version of the images again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/rollback.sh <test|stage|prod> [VERSION] [--dry-run] [--yes]

Deploys the images of an earlier version to the jobs that are there. Only the images change: schedules, variables and access
stay. Without VERSION it takes the version before the one that jobs.yaml names, of those of which every image exists. It says
which versions there are. The script needs python3 and gcloud, signed in.

jobs.yaml still names the newer version, and list-jobs.sh shows the difference. Set image_tag to the version that you want to keep,
run swift run generate-jobs and commit it: the next create-all-jobs.sh deploys what jobs.yaml says.

  --dry-run  show what would change and change nothing
  --yes      do not ask for confirmation (prod asks)

Exit codes:
  0    done, or nothing to do
  1    a change failed
  2    python3 or gcloud is missing, there is no such version, or an image of it is missing; nothing was changed
  3    the change was not confirmed
  64   wrong usage
  130  interrupted
HELP
}

answer_help "$@"
need_argument "$@"
run_deployment rollback "$@"
