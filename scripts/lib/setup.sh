# shellcheck shell=bash
# What the scripts need on the machine: sourced, not run.

# say TEXT: one line about what is being done.
say() { printf '==> %s\n' "$*" >&2; }

# fail TEXT: one line about what is wrong, and the end.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need_packages NAME...: installs the Debian packages that are missing, and does nothing when none is.
need_packages() {
    local missing=() package as_root=()
    if ! command -v dpkg-query >/dev/null; then
        say "not a Debian system: make sure that it has what Debian calls $*"
        return
    fi
    for package in "$@"; do
        if [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]]; then
            missing+=("$package")
        fi
    done
    ((${#missing[@]})) || return 0
    local advice="install these packages and run this again: ${missing[*]}"
    command -v apt-get >/dev/null || fail "no apt-get here; $advice"
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "neither root nor sudo; $advice"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    # Without an index, or with an old one, the first attempt fails.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null 2>&1 && return 0
    "${as_root[@]}" apt-get update -qq >&2 || say "apt-get update failed; trying with the index that is there"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >&2 \
        || fail "apt-get could not install them; $advice"
}

# need_libraries: the system libraries that the package links.
need_libraries() {
    need_packages libcurl4-openssl-dev libssl-dev zlib1g-dev libsqlite3-dev pkg-config openssl
}

# swift_version: the toolchain's, such as 6.3; nothing if it does not say.
swift_version() { swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p'; }

# need_swift: a Swift toolchain that can build the package.
need_swift() {
    command -v swift >/dev/null || fail "no swift in PATH: install Swift 6.2 or newer from https://www.swift.org/install/linux/"
    local version
    version="$(swift_version)"
    local major="${version%%.*}" minor="${version##*.}"
    if [[ -z "$version" ]] || ((major < 6 || (major == 6 && minor < 2))); then
        fail "Swift ${version:-of unknown version} is too old: 6.2 or newer is needed, see https://www.swift.org/install/linux/"
    fi
}

# need_python: the virtual environment .venv with what Tests/requirements.txt names; made once for each state of that file.
need_python() {
    command -v python3 >/dev/null || need_packages python3
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed for the tests"
    local stamp wanted
    stamp=.venv/requirements.sha256
    wanted="$({ python3 --version && cat Tests/requirements.txt; } | sha256sum)"
    [[ -x .venv/bin/python && -f "$stamp" && "$(<"$stamp")" == "$wanted" ]] && return 0
    # Debian's python3 comes without the part that puts pip into an environment.
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
    say "making .venv for the tests (a few minutes, once)"
    rm -rf .venv
    python3 -m venv .venv || fail "python3 -m venv .venv failed"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r Tests/requirements.txt \
        || fail "could not install Tests/requirements.txt into .venv"
    .venv/bin/python Tests/Analyzer/analyze.py --prepare
    printf '%s\n' "$wanted" >"$stamp"
}
