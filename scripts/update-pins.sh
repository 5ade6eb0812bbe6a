#!/usr/bin/env bash
# Looks up and writes what base images, actions and packages are pinned to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/update-pins.sh [--check] [images] [actions] [packages]

Looks up every pin and writes it; with names, only these kinds:

  images    the digest of each base image's tag: Dockerfile, cloudbuild.yaml, the containers of .github/workflows
            (with skopeo, which it installs on Debian)
  actions   the commit of each action's version: .github/workflows (with git ls-remote)
  packages  the Python packages that those of Tests/requirements.txt need, in the newest versions that fit together
            (with pip). The packages that are named with a reason keep their versions.

A version is raised by hand: edit the tag, the version behind "#" or the package, and run the script. Swift packages have exact
versions in Package.swift.

deploy/pins.txt records each pin that was looked up, with the day. A pin that is not recorded there is unverified: somebody wrote
it without looking it up.

  --check  look nothing up and change nothing; list the pins, and say which are unverified or missing

Exit codes: 0 every pin is written, or verified (--check), 1 a look-up failed, or a pin is unverified or missing, 64 wrong usage.
HELP
}

answer_help "$@"
command -v python3 >/dev/null || fail "python3 is not installed"
PYTHONDONTWRITEBYTECODE=1 exec python3 scripts/lib/update_pins.py "$@"
