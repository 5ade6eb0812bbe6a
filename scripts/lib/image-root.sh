#!/usr/bin/env bash
# Creates the file system of the images: what the binaries need to run, and nothing else. The Dockerfile calls it.
#
#   image-root.sh <folder of the binaries> <new folder>
set -euo pipefail
shopt -s inherit_errexit
binaries="$1" root="$2"

mkdir -p "$root"/{etc/ssl/certs,usr/local/bin}
mkdir -m 1777 "$root/tmp"

# ldd also follows the libraries of the libraries. Its lines are "name => path (address)", and "path (address)" for the loader.
# The C library itself asks DNS and /etc/hosts, so no further module is needed for names.
loaded="$(for binary in "$binaries"/*; do ldd "$binary"; done)"
if grep 'not found' <<<"$loaded"; then
    echo "the packages of the Dockerfile lack these libraries" >&2
    exit 1
fi
awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' <<<"$loaded" | sort -u | while read -r library; do
    cp --dereference --parents "$library" "$root"
done

cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'job:x:65532:65532::/:/none' >"$root/etc/passwd"
echo 'job:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
