# shellcheck shell=bash
# What the scripts share: messages, help, and what they need on the machine. Scripts source this file.

# say TEXT: prints one line about the current step.
say() { printf '==> %s\n' "$*" >&2; }

# fail TEXT: prints the problem and ends the script with exit code 1.
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# bad_usage TEXT: prints what is wrong with the arguments and ends the script with exit code 64.
bad_usage() {
    printf '%s: %s; see scripts/%s --help\n' "${0##*/}" "$*" "${0##*/}" >&2
    exit 64
}

# answer_help ARGUMENT...: calls the script's `usage` and ends the script if --help or -h stands before any "--".
answer_help() {
    local argument
    for argument in "$@"; do
        case "$argument" in
            --help | -h) usage; exit 0 ;;
            --) return 0 ;;
        esac
    done
}

# need_argument ARGUMENT...: shows the usage and ends the script with exit code 64 if there is no argument.
need_argument() {
    (($#)) || { usage >&2; exit 64; }
}

# run_deployment MODULE ARGUMENT...: becomes the program scripts/deployment/MODULE.py, which checks the arguments.
run_deployment() {
    local scripts
    scripts="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    command -v python3 >/dev/null || { printf '%s: python3 is not installed\n' "${0##*/}" >&2; exit 2; }
    PYTHONPATH="$scripts" PYTHONDONTWRITEBYTECODE=1 exec python3 -m "deployment.$1" "${@:2}"
}

# need_packages NAME...: installs the missing ones of these Debian packages. It does nothing if all are installed.
need_packages() {
    local missing=() package as_root=()
    if ! command -v dpkg-query >/dev/null; then
        say "this is not a Debian system: install what Debian calls $*"
        return
    fi
    for package in "$@"; do
        if [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]]; then
            missing+=("$package")
        fi
    done
    ((${#missing[@]})) || return 0
    local advice="install these packages, then run this script again: ${missing[*]}"
    command -v apt-get >/dev/null || fail "apt-get is not installed; $advice"
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "this user is not root and sudo is not installed; $advice"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    # The first attempt fails if the package index is missing or old.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null 2>&1 && return 0
    "${as_root[@]}" apt-get update -qq >&2 || say "apt-get update failed; using the existing package index"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >&2 \
        || fail "apt-get could not install the packages; $advice"
}

# need_libraries: the system libraries that the package links.
need_libraries() {
    need_packages libcurl4-openssl-dev libssl-dev zlib1g-dev libsqlite3-dev pkg-config openssl
}

# need_swift: a Swift toolchain that starts and can build the package. Sets swift_version, such as 6.3.
need_swift() {
    local install="https://www.swift.org/install/linux/" needed="Swift 6.2 or newer is needed" command output status=0
    command -v swift >/dev/null || fail "swift is not in PATH; $needed: $install"
    # The driver and the build tool are two programs, with shared libraries of their own.
    for command in "swift build --version" "swift --version"; do
        # shellcheck disable=SC2086
        output="$($command 2>&1)" || status=$?
        ((status == 0)) || fail "$(command -v swift) cannot start: \"$command\" failed with exit code $status: ${output%%$'\n'*}
Install the packages that $install names for this system."
    done
    swift_version="$(sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p' <<<"$output")"
    [[ -n "$swift_version" ]] || fail "\"swift --version\" shows no version: \"${output%%$'\n'*}\"; $needed: $install"
    local major="${swift_version%%.*}" minor="${swift_version##*.}"
    ((major > 6 || (major == 6 && minor >= 2))) || fail "Swift $swift_version is too old; $needed: $install"
}

# need_python: the virtual environment .venv with the packages of Tests/requirements.txt, created once for each state of that file.
need_python() {
    command -v python3 >/dev/null || need_packages python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "the tests need Python 3.11 or newer"
    local stamp wanted
    stamp=.venv/requirements.sha256
    wanted="$({ python3 --version && cat Tests/requirements.txt; } | sha256sum)"
    [[ -x .venv/bin/python && -f "$stamp" && "$(<"$stamp")" == "$wanted" ]] && return 0
    # Debian's python3 comes without the part that puts pip into an environment.
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
    say "creating .venv for the tests (a few minutes, once)"
    rm -rf .venv
    python3 -m venv .venv || fail "python3 -m venv .venv failed"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r Tests/requirements.txt \
        || fail "pip could not install Tests/requirements.txt into .venv"
    .venv/bin/python Tests/Analyzer/analyze.py --prepare
    printf '%s\n' "$wanted" >"$stamp"
}
