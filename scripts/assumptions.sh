#!/usr/bin/env bash
# Checks what must be true of Google Cloud and Stripe for the jobs to be right, on a project and an account of tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/assumptions.sh <environment|local> [--only ID] ... [--json]
       scripts/assumptions.sh --write-readmes [REPORT]

Checks each fact of docs/assumptions.md in the environment's project and in its Stripe account, and prints which of them hold there. The
script needs python3 and gcloud, signed in. It refuses to run on prod.

  --only ID        check only this fact; may be repeated
  --json           print one JSON line for each fact instead of the page
  --write-readmes  write docs/assumptions.md, and the sections of Tests/*/README.md on how the stand-ins differ, from REPORT, the
                   JSON lines of a whole local run (default: Tests/Assumptions/local.jsonl)
  local            check the stand-ins of Tests/ instead: the emulator of BigQuery, the stand-in for Google's services, localstripe.
                   Nothing leaves this machine. Facts that do not hold are how the stand-ins differ.

The key of Stripe comes from STRIPE_SECRET_KEY, or from the secret of the environment's jobs. Only keys of test mode are accepted.
Without a key the facts about Stripe are reported as not checkable.

What the script creates:
  - datasets, tables, two Cloud Run jobs, a trigger, a service account, and objects in Stripe's test mode. Their names begin with
    "assumptions" and have the time of the run, and they bear a label or mark.
  - It deletes all of them at the end, and after Ctrl-C. After a kill, the next run deletes them. It reads the mark before each deletion
    and leaves everything else alone. The names are kept in .assumptions/ until the deletion.

Bounds of a run: 15 minutes, 1 GB billed by BigQuery, and 0.20 dollars. The first line of the page has the computed bound.

Exit codes:
  0    every fact that was checked holds
  1    some facts do not hold, a check failed, or something could not be deleted
  2    python3 or gcloud is missing
  64   wrong usage
  75   stopped early: interrupted, or the 15 minutes are over; what the run created is deleted
  78   the environment is production, the key of Stripe is not one of test mode, or the project cannot be reached
HELP
}

answer_help "$@"
need_argument "$@"
command -v python3 >/dev/null || { printf 'assumptions.sh: python3 is not installed\n' >&2; exit 2; }
PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1 exec python3 -m assumptions.program "$@"
