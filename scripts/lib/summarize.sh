#!/usr/bin/env bash
# summarize.sh TITLE COMMAND ARGUMENT...: runs the command, shows its output, and adds it to the page of a GitHub workflow.
set -uo pipefail
title="$1"
shift
output="$(mktemp)"
trap 'rm -f "$output"' EXIT
"$@" 2>&1 | tee "$output"
status="${PIPESTATUS[0]}"
if [[ -n "${GITHUB_STEP_SUMMARY:-}" ]]; then
    # A page takes 1 MiB.
    { printf '### %s (exit code %s)\n\n```text\n' "$title" "$status"; head -c 900000 "$output"; printf '\n```\n'; } >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
