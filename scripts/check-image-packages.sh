#!/usr/bin/env bash
# Shows that the packages of the Dockerfile's last stage are enough for the jobs, without a container engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -eq 0 || "$1" == --help || "$1" == -h ]]; then
    cat <<'HELP'
usage: scripts/check-image-packages.sh <folder with release binaries> [mirror]

Makes a minimal Debian (debootstrap, needs root and the network) with exactly the packages that the Dockerfile's last stage
installs, puts the stripped binary of every job of Sources/Jobs that is in the folder into it, and runs each there as the
image's user: --version must succeed, a run without configuration must end with 78, and one that finds its warehouse's
port closed must stop at its deadline with 75.

  swift build -c release --static-swift-stdlib --disable-default-traits --product OrgSyncAllJob
  scripts/check-image-packages.sh .build/release

Exit codes: 0 every binary runs, 1 one does not, 64 wrong usage.
HELP
    [[ $# -gt 0 ]] && exit 0
    exit 64
fi

binaries="$1"
# As apt has it here, where nothing else is said. What looks like an expansion is apt's own.
# shellcheck disable=SC2016
mirror="${2:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | head -n 1)}"
stage="$(awk '/^FROM /{text = ""} {text = text "\n" $0} END {print text}' Dockerfile)"
release="$(sed -n 's/^FROM debian:\([a-z]*\)-slim.*/\1/p' <<<"$stage")"
packages="$(sed -n 's/.*--no-install-recommends \(.*\) \\$/\1/p' <<<"$stage" | tr ' ' ,)"
user="$(sed -n 's/^USER //p' <<<"$stage")"
[[ -n "$release" && -n "$packages" && -n "$user" ]] || { echo "the Dockerfile's last stage cannot be read" >&2; exit 1; }

root="$(mktemp -d)"
# rm must not walk into what is mounted.
trap '{ umount "$root/proc" 2>/dev/null || true; } && rm -rf --one-file-system "$root" "$root.log"' EXIT
echo "Debian $release with $packages"
debootstrap --variant=minbase --include="$packages" "$release" "$root" "$mirror" >"$root.log" 2>&1 ||
    { tail -n 5 "$root.log" >&2; exit 1; }
chmod 755 "$root"
# Every container has it, and Swift reads its arguments there.
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"

failures=0 checked=0
expect() {
    local wanted="$1" code=0
    shift
    timeout 60 chroot --userspec="$user" "$root" /usr/bin/env -i "$@" >"$root.log" 2>&1 || code=$?
    if ((code != wanted)); then
        echo "  $*: exit code $code instead of $wanted" >&2
        tail -n 5 "$root.log" >&2
        failures=$((failures + 1))
    fi
}
for folder in Sources/Jobs/*/; do
    name="$(basename "$folder")"
    [[ -f "$binaries/$name" ]] || { echo "$name: no binary in $binaries"; continue; }
    strip --strip-all -o "$root/usr/local/bin/job" "$binaries/$name"
    echo "$name, $(stat -c %s "$root/usr/local/bin/job") bytes"
    checked=$((checked + 1))
    expect 0 /usr/local/bin/job --version
    expect 78 /usr/local/bin/job
    expect 75 GCP_PROJECT_ID=demo-project ENVIRONMENT=test BIGQUERY_EMULATOR_HOST=http://127.0.0.1:9 DEADLINE_SECONDS=3 \
        STRIPE_SECRET_KEY=sk_test_none CA_ROOT_API_KEY=none STRIPE_API_BASE=http://127.0.0.1:9 \
        /usr/local/bin/job --date 2026-01-01
done
echo "$checked checked, $failures failures"
((checked > 0 && failures == 0))
