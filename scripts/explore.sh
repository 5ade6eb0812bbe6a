#!/usr/bin/env bash
# Explores every order of the statements of a few executions, with the shipped code of the lease or of the queue.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/explore.sh [--scenario lease|queue] [--mutants] [options]

Explores every order of the statements of a few executions on a model of BigQuery, with the shipped code of the lease or of the
queue. It builds the program first. docs/reliability.md explains the bounds and the results.

  --scenario NAME   lease (the default) or queue
  --mutants         check that each of the scenario's faults, put into the statements, is found within 60 seconds
  --executions N    and other bounds: .build/release/explore --help lists them

Exit codes: 0 every state was visited, and no rule is broken; 1 a rule is broken, or a mutant survived; 64 wrong usage; 75 stopped
at a limit.
HELP
}

answer_help "$@"
need_swift
need_libraries
swift build -c release --product explore >&2 || fail "the build failed"
exec .build/release/explore "$@"
