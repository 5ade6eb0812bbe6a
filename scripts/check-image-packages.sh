#!/usr/bin/env bash
# Checks that the packages of the Dockerfile's last stage are enough for the jobs, without a container engine.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
    cat <<'HELP'
usage: scripts/check-image-packages.sh <folder with release binaries> [mirror]

Creates a minimal Debian (with debootstrap, as root, from the network) that has exactly the packages of the Dockerfile's last
stage. Copies the stripped binary of every job in the folder into it and runs each binary there as the image's user:

  --version                                            must end with 0
  without configuration                                must end with 78
  with a warehouse that refuses connections            must stop at its deadline with 75

To build the binary of one job and check it:
  swift build -c release --static-swift-stdlib --disable-default-traits --product OrgSyncAllJob
  scripts/check-image-packages.sh .build/release

The mirror is the first one of this machine's apt if none is given.

Exit codes: 0 every binary runs, 1 a binary does not run or none was found, 64 wrong usage.
HELP
}

answer_help "$@"
need_argument "$@"
(($# <= 2)) || bad_usage "the script takes a folder and a mirror"
[[ -d "$1" ]] || bad_usage "there is no folder $1"
binaries="$(cd "$1" && pwd)" mirror="${2:-}"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v debootstrap >/dev/null || fail "debootstrap is not installed; it is a Debian package"
((EUID == 0)) || fail "debootstrap and chroot need root"
# apt itself expands what looks like an expansion of the shell.
# shellcheck disable=SC2016
mirror="${mirror:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | head -n 1)}"
stage="$(awk '/^FROM /{text = ""} {text = text "\n" $0} END {print text}' Dockerfile)"
release="$(sed -n 's/^FROM debian:\([a-z]*\)-slim.*/\1/p' <<<"$stage")"
packages="$(sed -n 's/.*--no-install-recommends \(.*\) \\$/\1/p' <<<"$stage" | tr ' ' ,)"
user="$(sed -n 's/^USER //p' <<<"$stage")"
[[ -n "$release" && -n "$packages" && -n "$user" ]] || fail "the Dockerfile's last stage is not in the form that this script reads"

root="$(mktemp -d)"
# rm must not enter a mounted file system.
trap '{ umount "$root/proc" 2>/dev/null || true; } && rm -rf --one-file-system "$root" "$root.log"' EXIT
echo "Debian $release with $packages"
debootstrap --variant=minbase --include="$packages" "$release" "$root" "$mirror" >"$root.log" 2>&1 ||
    { tail -n 5 "$root.log" >&2; exit 1; }
chmod 755 "$root"
# Every container has /proc, and Swift reads a program's arguments there.
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
    [[ -f "$binaries/$name" ]] || { echo "$name: $binaries has no binary"; continue; }
    strip --strip-all -o "$root/usr/local/bin/job" "$binaries/$name"
    echo "$name, $(stat -c %s "$root/usr/local/bin/job") bytes"
    checked=$((checked + 1))
    expect 0 /usr/local/bin/job --version
    expect 78 /usr/local/bin/job
    expect 75 GCP_PROJECT_ID=demo-project ENVIRONMENT=test BIGQUERY_EMULATOR_HOST=http://127.0.0.1:9 DEADLINE_SECONDS=3 \
        STRIPE_SECRET_KEY=sk_test_none CA_ROOT_API_KEY=none STRIPE_API_BASE=http://127.0.0.1:9 \
        /usr/local/bin/job --date 2026-01-01
done
echo "$checked binaries checked, $failures failures"
((checked > 0 && failures == 0))
