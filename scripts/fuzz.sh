#!/usr/bin/env bash
# Fuzzes the readers of input that others write, one target after the other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/fuzz.sh [TARGET ...] [--inputs N] [--seconds N] [--skip-build]
       scripts/fuzz.sh TARGET FILE ... [--skip-build]

Builds Tests/FuzzTests with libFuzzer in .build-fuzz and runs one target after the other on one core. Each target changes inputs to
reach more of the code, and checks the properties of Tests/FuzzTests/Targets for each input. A FILE is one input to repeat.

  TARGET        json, rows, survey, catalog, jobs, cron, names, gzip, credentials, stripe, events or errors (default: all)
  --inputs N    inputs for each target (default: 10000000)
  --seconds N   the most seconds for each target (default: no limit)
  --skip-build  use the program that is there

A target fails if an input ends the process, breaks a property, takes more than 5 seconds, or needs more than 512 MB. The input is
kept in .build-fuzz/findings: make it a unit test and add it to Tests/FuzzTests/Corpus, which the ordinary tests replay.
Inputs that reached new code stay in .build-fuzz/corpus, and the next run begins with them. The seed of the random numbers is 1.

The last lines are a table: inputs, seconds, edges of the control flow that were reached, peak memory.
Exit codes: 0 no finding, 1 a finding or the build failed, 64 wrong usage.
HELP
}

# How long an input may be, in bytes. Shorter inputs are faster; these lengths reach every limit of the readers.
declare -A most_bytes=(
    [json]=1024 [rows]=2048 [survey]=1024 [catalog]=2048 [jobs]=1024 [cron]=64 [names]=1100 [gzip]=4096 [credentials]=2048
    [stripe]=2048 [events]=2048 [errors]=512)

answer_help "$@"
targets=() files=() inputs=10000000 seconds=0 build=yes
while (($# > 0)); do
    case "$1" in
        --inputs | --seconds)
            [[ "${2:-}" =~ ^[0-9]+$ ]] || bad_usage "$1 needs a number"
            declare "${1#--}=$2"
            shift
            ;;
        --skip-build) build=no ;;
        -*) bad_usage "unknown argument $1" ;;
        *)
            if [[ -n "${most_bytes[$1]:-}" ]]; then
                targets+=("$1")
            elif [[ -f "$1" ]] && ((${#targets[@]} == 1)); then
                files+=("$1")
            else
                bad_usage "$1 is no target"
            fi
            ;;
    esac
    shift
done
((${#targets[@]})) || targets=(json rows survey catalog jobs cron names gzip credentials stripe events errors)

if [[ "$build" == yes ]]; then
    need_swift
    need_libraries
    say "building"
    FUZZ=1 swift build -c release --scratch-path .build-fuzz --disable-default-traits --product fuzz --sanitize fuzzer \
        -Xswiftc -enable-testing >&2
fi
program="$PWD/.build-fuzz/release/fuzz"
[[ -x "$program" ]] || fail "$program is not there; leave --skip-build out"
# Swift's own report of a crash would end the process before libFuzzer writes the input.
export SWIFT_BACKTRACE=enable=no

if ((${#files[@]})); then
    FUZZ_TARGET="${targets[0]}" exec "$program" "${files[@]}"
fi

results=() failed=0
for target in "${targets[@]}"; do
    say "fuzzing $target"
    found=".build-fuzz/corpus/$target" log=".build-fuzz/$target.log"
    mkdir -p "$found" .build-fuzz/findings
    status=0
    FUZZ_TARGET="$target" nice "$program" -runs="$inputs" -max_total_time="$seconds" -max_len="${most_bytes[$target]}" \
        -seed=1 -timeout=5 -rss_limit_mb=512 -print_final_stats=1 -artifact_prefix=".build-fuzz/findings/$target-" \
        "$found" "Tests/FuzzTests/Corpus/$target" >"$log" 2>&1 || status=$?
    if ((status)); then
        failed=1
        grep -E '^VIOLATION|Fatal error|ERROR: libFuzzer|Test unit written' "$log" >&2 || tail -n 5 "$log" >&2
    fi
    number() { sed -nE "s/.*$1 *([0-9]+).*/\1/p" "$log" | tail -n 1; }
    results+=("$(printf '| %s | %s | %s | %s | %s | %s MB |' "$target" "$(number 'stat::number_of_executed_units:')" \
        "$(number '^Done [0-9]+ runs in')" "$(number ' cov:')" "$(number 'corp:')" "$(number 'stat::peak_rss_mb:')")")
    printf '%s\n' "${results[-1]}" >&2
done

printf '| Target | Inputs | Seconds | Edges | Kept inputs | Peak memory |\n|---|---|---|---|---|---|\n'
printf '%s\n' "${results[@]}"
((failed == 0)) || fail "see .build-fuzz/findings and .build-fuzz/TARGET.log"
