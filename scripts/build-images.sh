#!/usr/bin/env bash
# Builds the image of every job and pushes them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/setup.sh
source scripts/lib/setup.sh

usage() {
    cat <<'HELP'
usage: scripts/build-images.sh <test|stage|prod> [--push | --cloud [--deploy]] [--only JOB]

Builds one image for each job with docker. The environment's "images" and "image_tag" in jobs.yaml give the name and the tag.

  --push      push the images
  --cloud     build and push in Cloud Build (needs gcloud and no docker)
  --deploy    with --cloud: then deploy there with create-all-jobs.sh, as the build's account
  --only JOB  build only the image of this job

A tag always means the same sources. Each image has a revision label: the last commit that changed what is in an image.
--push leaves an existing image alone if its label is the current revision. It fails if the label differs, and if
uncommitted changes leave the current revision open. It prints the digest of each image, and writes all of them to
.pushed-images/<environment>.txt.

To release a new version:
  1. raise image_tag in jobs.yaml
  2. swift run generate-jobs
  3. scripts/build-images.sh <environment> --push
  4. scripts/create-all-jobs.sh <environment>

Exit codes: 0 done, 1 something failed, 64 wrong usage.
HELP
}

answer_help "$@"
need_argument "$@"
environment="" push=false cloud=false deploy=false only=""
while (($# > 0)); do
    case "$1" in
        --push) push=true ;;
        --cloud) cloud=true ;;
        --deploy) deploy=true ;;
        --only)
            [[ -n "${2:-}" ]] || bad_usage "--only needs the name of a job"
            only="$2"
            shift
            ;;
        -*) bad_usage "unknown option $1" ;;
        *)
            [[ -z "$environment" ]] || bad_usage "the script takes one environment"
            environment="$1"
            ;;
    esac
    shift
done
[[ -n "$environment" ]] || bad_usage "the environment is missing"
[[ -z "$only" ]] || ! $cloud || bad_usage "--only cannot be used with --cloud"
! $deploy || $cloud || bad_usage "--deploy needs --cloud"

generated="deploy/generated/$environment/deployment.json"
if [[ ! -f "$generated" ]]; then
    known="$(find deploy/generated -name deployment.json | sed 's|.*/\(.*\)/deployment.json|\1|' | sort | paste -sd, | sed 's/,/, /g')"
    bad_usage "there is no environment $environment; jobs.yaml has: $known"
fi

# generate-jobs writes each member on a line of its own.
members() { sed -n "s/^ *\"$1\": \"\(.*\)\",\$/\1/p" "$generated"; }
mapfile -t jobs < <(members job)
mapfile -t executables < <(members executable)
mapfile -t images < <(members image)
version="$(members image_tag)"
((${#jobs[@]} == ${#images[@]} && ${#jobs[@]} == ${#executables[@]})) || fail "$generated is not in the form that generate-jobs writes"
[[ -z "$only" || " ${jobs[*]} " == *" $only "* ]] || bad_usage "jobs.yaml has no job $only; it has: ${jobs[*]}"

# The embedded warehouse, the generator of the deployment and the tools for the laptop are in no image.
inside=(Dockerfile scripts/lib/image-root.sh Package.swift Sources ":!Sources/DeploymentKit" ":!Sources/EmbeddedWarehouse" ":!Sources/Tools")
revision="${REVISION:-$(git log -1 --format=%H -- "${inside[@]}" 2>/dev/null || true)}"
revision="${revision:-unknown}"
if [[ -z "${REVISION:-}" && -n "$(git status --porcelain -- "${inside[@]}" 2>/dev/null)" ]]; then
    revision="$revision-changed"
fi

if $cloud; then
    command -v gcloud >/dev/null || fail "gcloud is not installed: https://cloud.google.com/sdk/docs/install"
    project="$(members project)"
    exec gcloud builds submit . --config=cloudbuild.yaml --project="$project" \
        --substitutions="_ENVIRONMENT=$environment,_REVISION=$revision,_DEPLOY=$deploy"
fi

command -v docker >/dev/null || fail "docker is not installed; --cloud builds without it"
record=".pushed-images/$environment.txt"
if $push; then
    mkdir -p .pushed-images
    : >"$record"
fi

# note_digest IMAGE WHAT: the digest that the registry has for an image that was pushed or pulled.
note_digest() {
    local digest
    digest="$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | grep -F -m 1 "${1%:*}@")" ||
        fail "$1: docker does not say which digest the registry gave it"
    echo "$1 $2: ${digest#*@}"
    echo "$1 ${digest#*@}" >>"$record"
}

for index in "${!jobs[@]}"; do
    image="${images[index]}"
    [[ -z "$only" || "$only" == "${jobs[index]}" ]] || continue
    if $push && docker manifest inspect "$image" >/dev/null 2>&1; then
        [[ "$revision" != unknown* && "$revision" != *-changed ]] ||
            fail "$image exists, and its sources cannot be compared with these ($revision): commit the changes, or raise image_tag"
        docker pull --quiet "$image" >/dev/null || fail "$image exists and could not be pulled to compare its sources"
        existing="$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$image")"
        [[ "$existing" == "$revision" ]] ||
            fail "$image exists and was built from $existing, not from $revision: raise image_tag and run generate-jobs"
        note_digest "$image" "already exists"
        continue
    fi
    echo "building $image"
    DOCKER_BUILDKIT=1 docker build --build-arg "JOB=${executables[index]}" --build-arg "VERSION=$version" \
        --build-arg "REVISION=$revision" --tag "$image" . || fail "$image could not be built"
    if $push; then
        docker push "$image" || fail "$image could not be pushed; to sign docker in: gcloud auth configure-docker ${image%%/*}"
        note_digest "$image" pushed
    fi
done
