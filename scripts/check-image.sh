#!/usr/bin/env bash
# Builds the image of every job from the Dockerfile, without a daemon, and runs every job in its image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh
# shellcheck source-path=SCRIPTDIR source=lib/image-checks.sh
source scripts/lib/image-checks.sh

usage() {
    cat <<'HELP'
usage: scripts/check-image.sh [--if-changed] [--pull]

Builds the images with buildah, as root, and checks each of them:

  - it has at most 16 MB, compressed as a registry keeps it
  - it holds the job, the libraries that some job loads, the certificate authorities and the names of users, and nothing else
  - it runs as the user 65532
  - the binary has full RELRO, and neither RPATH nor RUNPATH

and runs each job in its image:

  --version                                        ends with 0
  without configuration                            ends with 78
  with a warehouse that refuses connections        stops at its deadline with 75

In the images of bootstrap, bootstrap-sync and quota-cleanup it does a whole run against the BigQuery emulator, whose name the
job looks up. A server with a certificate of an unknown authority is refused, and accepted once the image has that authority.

The base images are put together on this machine: Debian with debootstrap, and Swift by copying this machine's toolchain over it.
That takes two minutes more than the build itself, and 10 GB in TMPDIR (/var/tmp), which are freed at the end; 35 GB where the
kernel does not let buildah stack file systems (STORAGE_DRIVER=vfs).

  --if-changed  do nothing if deploy/checked-image.txt has the hash of the same Dockerfile, linking and checks
  --pull        use the real base images, from their registry

After a success it writes deploy/checked-image.txt. Commit that file.

Exit codes:
  0    every image is right
  1    an image could not be built, or is wrong
  2    this machine lacks what the check needs, such as root; nothing was checked
  64   wrong usage
  130  interrupted
HELP
}

answer_help "$@"
if_changed=false pull=false
while (($# > 0)); do
    case "$1" in
        --if-changed) if_changed=true ;;
        --pull) pull=true ;;
        *) bad_usage "unknown argument $1" ;;
    esac
    shift
done

stamp=deploy/checked-image.txt

# The hash of what decides whether an image is right: the Dockerfile, what it copies beside the sources, how the jobs are linked
# (the manifest up to the list of targets, and the system libraries), and these checks.
inputs() {
    {
        cat Dockerfile .dockerignore scripts/lib/image-root.sh scripts/lib/image-checks.sh scripts/check-image.sh
        sed '/^    targets:/,$d' Package.swift
        grep systemLibrary Package.swift
        cat Sources/C*/module.modulemap
    } | sha256sum | cut -d' ' -f1
}

if $if_changed && [[ -f "$stamp" && "$(sed -n 's/^inputs //p' "$stamp")" == "$(inputs)" ]]; then
    say "the Dockerfile and the linking are those that were checked last ($stamp)"
    exit 0
fi

cannot() {
    printf '\n%s\n' "THE IMAGES WERE NOT CHECKED: $*" \
        "Run scripts/check-image.sh as root on a Debian machine with Swift, and commit $stamp." >&2
    exit 2
}

((EUID == 0)) || cannot "this user is not root, and building without a daemon needs root."
command -v apt-get >/dev/null || cannot "this is no Debian system."
need_packages buildah binutils
$pull || need_packages debootstrap
command -v buildah >/dev/null || cannot "buildah is not installed."
need_python

work="$(mktemp -d "${TMPDIR:-/var/tmp}/check-image.XXXXXX")"
# buildah keeps its caches in TMPDIR; here they go with everything else.
export BUILDAH_ISOLATION=chroot TMPDIR="$work"
driver="${STORAGE_DRIVER:-}"
if [[ -z "$driver" ]]; then
    mkdir -p "$work"/trial/{lower,upper,work,merged}
    driver=vfs
    if mount -t overlay -o "lowerdir=$work/trial/lower,upperdir=$work/trial/upper,workdir=$work/trial/work" trial "$work/trial/merged" 2>/dev/null; then
        umount "$work/trial/merged"
        driver=overlay
    fi
fi
servers=()
clean_up() {
    trap - EXIT
    ((${#servers[@]} == 0)) || kill "${servers[@]}" 2>/dev/null || true
    # buildah leaves its folder mounted on itself.
    if mountpoint -q "$work/storage/overlay"; then umount --recursive "$work/storage/overlay" || true; fi
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'say "interrupted"; exit 130' INT TERM

storage() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver "$driver" "$@"; }

# The value of an ARG of the Dockerfile, without the digest, which only the registry's image has.
base() { sed -n "s/^ARG $1=\([^@]*\).*/\1/p" Dockerfile; }
swift_image="$(base SWIFT_IMAGE)" debian_image="$(base DEBIAN_IMAGE)"
options=()

# An image from the files of a folder.
image_of() {
    local container
    container="$(storage from scratch)"
    storage add --quiet "$container" "$1" / >/dev/null
    storage commit --quiet --rm "$container" "$2" >/dev/null
}

assemble_debian() {
    local release="${debian_image#*:}" root="$work/debian" mirrors
    release="${release%-slim}"
    # apt itself expands what looks like an expansion of the shell.
    # shellcheck disable=SC2016
    mirrors="$(apt-get indextargets 'Created-By: Packages' 'Origin: Debian' --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' |
        grep -E " $release(-updates|-security)? " | sort -u)"
    [[ -n "$mirrors" ]] || cannot "the packages of this machine are not those of Debian $release; --pull takes the real base images."
    say "putting $debian_image together"
    debootstrap --variant=minbase "$release" "$root" "$(awk -v release="$release" '$3 == release { print $2; exit }' <<<"$mirrors")" \
        >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; fail "debootstrap failed"; }
    printf '%s\n' "$mirrors" >"$root/etc/apt/sources.list"
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb
    image_of "$root" "localhost/$debian_image"
}

# The packages are those of the official image; a compiler for the laptop has parts that no build needs.
assemble_swift() {
    local container root toolchain rule mirror
    toolchain="$(cd "$(dirname "$(readlink -f "$(command -v swift)")")/.." && pwd)"
    [[ "$toolchain" != /usr ]] || cannot "the Swift toolchain of this machine is not in a folder of its own; --pull takes the real base images."
    say "putting $swift_image together from $toolchain"
    container="$(storage from --pull-never "localhost/$debian_image")"
    storage run "$container" -- sh -c 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        binutils-gold ca-certificates gcc git libcurl4-openssl-dev libedit-dev libncurses-dev libpython3-dev libsqlite3-dev \
        libstdc++-12-dev libxml2-dev pkg-config tzdata unzip uuid-dev zlib1g-dev' >"$work/log" 2>&1 ||
        { tail -n 5 "$work/log" >&2; fail "the packages of $swift_image could not be installed"; }
    root="$(storage mount "$container")"
    tar -C "$toolchain" -c --exclude='*lldb*' --exclude='*sourcekit*' --exclude=./lib/swift/embedded . | tar -C "$root/usr" -x
    # Where git gets packages from a copy on this machine, the build needs that copy, too.
    while read -r rule mirror; do
        git config --file "$root/etc/gitconfig" --add "$rule" "$mirror"
        mirror="${rule#url.}" mirror="${mirror%.insteadof}"
        [[ "$mirror" != /* || " ${options[*]} " == *" $mirror:$mirror:ro "* ]] || options+=(--volume "$mirror:$mirror:ro")
    done < <(git config --get-regexp '^url\..*\.insteadof$' || true)
    storage unmount "$container" >/dev/null
    storage commit --quiet --rm "$container" "localhost/$swift_image" >/dev/null
}

# The real image, by its digest if the Dockerfile has one; a reference cannot have both a tag and a digest here.
pull_base() {
    local reference id
    reference="$(sed -n "s/^ARG $1=//p" Dockerfile)"
    [[ "$reference" != *@* ]] || reference="${2%:*}@${reference#*@}"
    say "pulling $reference"
    id="$(storage pull --quiet "docker://$reference")" || fail "$reference could not be pulled"
    storage tag "$id" "localhost/$2"
}

if $pull; then
    pull_base SWIFT_IMAGE "$swift_image"
    pull_base DEBIAN_IMAGE "$debian_image"
else
    assemble_debian
    assemble_swift
    rm -rf "$work/debian"
fi
options+=(--pull-never --build-arg "SWIFT_IMAGE=localhost/$swift_image" --build-arg "DEBIAN_IMAGE=localhost/$debian_image")

# The first build compiles all jobs; of the others only the last steps are new.
executables=()
for folder in Sources/Jobs/*/; do
    name="$(basename "$folder")"
    executables+=("$name")
    say "building the image of $name"
    storage bud --format docker --layers "${options[@]}" --build-arg "JOB=$name" --build-arg VERSION=check --build-arg REVISION=check \
        --tag "localhost/check/${name,,}" . 2>&1 | { ((${#executables[@]} > 1)) && cat >"$work/log" || tee "$work/log"; } ||
        { tail -n 20 "$work/log" >&2; fail "the image of $name could not be built"; }
done

start_servers
for name in "${executables[@]}"; do
    check_image "$name"
done
check_libraries
check_certificates OrgSyncAllJob
((problems == 0)) || fail "$problems problems in ${#executables[@]} images"

largest="$(sort -n "$work/sizes" | tail -n 1)"
printf '%s\n' "# scripts/check-image.sh writes this file after all images passed; .ci/run repeats the check when the inputs differ." \
    "inputs $(inputs)" "largest image: ${largest#* }, $(awk '{ printf "%.1f", $1 / 1e6 }' <<<"$largest") MB compressed" >"$stamp"
say "${#executables[@]} images are right; commit $stamp"
