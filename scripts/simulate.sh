#!/usr/bin/env bash
# Runs the nine jobs through simulated years and checks the invariants after every night.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/simulate.sh [--years N | --days N] [--seed S] [--jobs N] [--story FILE] [--every-tick]
       scripts/simulate.sh --html FILE [--days N] [--seed S] [--bug NAME]
       scripts/simulate.sh --bug NAME [--days N] [--seed S]
       scripts/simulate.sh --days N --seed S --only IDS [--bug NAME]

Each year is a world of its own, from one seed: the shipped code of the nine jobs, a virtual clock, and simulated services in one
process. The scheduler delivers twice or not at all, Cloud Run kills, BigQuery, Stripe and the token servers fail, customers run
pipelines and change plans, the catalog gets releases, and an operator works by hand. After every night seven invariants must
hold. The first one that does not hold ends the script, which then shrinks the story: it looks for the fewest events with which the
same invariant breaks, prints them, and prints the command that replays them.

  --years N      so many worlds of 365 days, with the seeds S, S+1 and so on (default: 1)
  --days N       shorter worlds
  --seed S       the seed of the first world (default: 1); the same seed gives the same story, byte for byte
  --jobs N       so many processes at once (default: 1)
  --story FILE   write the story of the last world as JSON lines
  --html FILE    write the story as a page for the browser, and as JSON lines beside it, with every tick; 7 days unless --days says
                 otherwise, 31 at most
  --every-tick   run every tick of stale-cleanup and billing-sync-retry. Without it a tick at which the job would only read is left
                 out, except one in each hour; the last line says how many were left out.
  --bug NAME     plant a bug, which a night must find; "--bug list" shows them
  --only IDS     only these events, with commas between them
  --no-shrink    print the last 36 hours of the story as they are

docs/reliability.md, "Simulated years", describes the world and the invariants.

Examples:
  scripts/simulate.sh --years 10 --jobs 2
  scripts/simulate.sh --days 7 --html week.html
  scripts/simulate.sh --bug reset-to-zero --days 60

Exit codes: 0 every invariant held, 1 one did not, or the build failed, 64 wrong usage.
HELP
}

answer_help "$@"
years=1 seed=1 jobs=1 days="" story="" html=""
rest=()
while (($#)); do
    case "$1" in
        --years | --seed | --jobs | --days | --story | --html | --bug | --only) (($# > 1)) || bad_usage "$1 needs a value" ;;
        --every-tick | --no-shrink) ;;
        *) bad_usage "unknown argument $1" ;;
    esac
    case "$1" in
        --years | --seed | --jobs | --days)
            [[ "$2" =~ ^[1-9][0-9]{0,8}$ ]] || bad_usage "$1 must be a number from 1 to 999999999"
            ;;&
        --years) years="$2"; shift ;;
        --seed) seed="$2"; shift ;;
        --jobs) jobs="$2"; shift ;;
        --days) days="$2"; shift ;;
        --story) story="$2"; shift ;;
        --html) html="$2"; shift ;;
        --every-tick | --no-shrink) rest+=("$1") ;;
        *) rest+=("$1" "$2"); shift ;;
    esac
    shift
done
((jobs <= years)) || jobs="$years"
if [[ -n "$html" ]]; then
    ((years == 1)) || bad_usage "--html shows one world; leave --years out"
    days="${days:-7}"
    ((days <= 31)) || bad_usage "--html shows 31 days at most"
    command -v python3 >/dev/null || fail "python3 is not installed"
    story="${story:-${html%.html}.jsonl}"
    rest+=(--every-tick)
fi
[[ -z "$days" ]] || rest+=(--days "$days")
[[ -z "$story" ]] || rest+=(--story "$story")

need_swift
say "building"
swift build -c release --product simulate >&2
simulate="$(swift build -c release --show-bin-path)/simulate"
if [[ -n "$html" ]]; then
    status=0
    "$simulate" --seed "$seed" "${rest[@]}" || status=$?
    PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1 python3 -m simulation.week "$story" "$html" || fail "the story in $story has no page"
    say "the page: $html"
    exit "$status"
fi
if ((jobs == 1)); then
    exec "$simulate" --years "$years" --seed "$seed" "${rest[@]}"
fi
running=()
# shellcheck disable=SC2329  # The trap calls it.
stop() { ((${#running[@]} == 0)) || kill "${running[@]}" 2>/dev/null || true; }
trap stop INT TERM
first="$seed"
for ((job = 0; job < jobs; job++)); do
    share=$((years / jobs + (job < years % jobs ? 1 : 0)))
    "$simulate" --years "$share" --seed "$first" "${rest[@]}" &
    running+=($!)
    first=$((first + share))
done
status=0
for process in "${running[@]}"; do wait "$process" || status=1; done
exit "$status"
