#!/usr/bin/env bash
# Builds the image of every job, and pushes them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'HELP'
usage: scripts/build-images.sh <test|stage|prod> [--push | --cloud] [--only JOB]

Builds one image for each job with docker, named and tagged as jobs.yaml says for the environment (images, image_tag).
A tag is never used for something else: when pushing, images that are already in the repository are left alone, and it is a
failure if they were built from other sources (their revision label: the last commit that changed what is in an image), or if that
cannot be told because there are changes that are not committed. To release a new version raise image_tag, run generate-jobs, build,
and then run create-all-jobs.sh.

  --push      push what was built
  --cloud     build and push in Cloud Build instead of here (needs gcloud)
  --only JOB  build only the image of this job

Exit codes: 0 done, 1 something failed, 64 wrong usage.
HELP
}

fail() {
    echo "build-images.sh: $2" >&2
    exit "$1"
}

environment="" push=false cloud=false only=""
while (($# > 0)); do
    case "$1" in
        --help | -h) usage; exit 0 ;;
        --push) push=true ;;
        --cloud) cloud=true ;;
        --only) only="${2:-}"; shift || true; [[ -n "$only" ]] || fail 64 "--only needs the name of a job" ;;
        -*) fail 64 "unknown option $1" ;;
        *) [[ -z "$environment" ]] || fail 64 "one environment only"; environment="$1" ;;
    esac
    shift
done
[[ -n "$environment" ]] || { usage >&2; exit 64; }

generated="deploy/generated/$environment/deployment.json"
if [[ ! -f "$generated" ]]; then
    known="$(find deploy/generated -name deployment.json | sed 's|.*/\(.*\)/deployment.json|\1|' | sort | paste -sd, | sed 's/,/, /g')"
    fail 64 "there is no environment $environment; jobs.yaml has: $known"
fi

# generate-jobs writes each member on a line of its own.
members() { sed -n "s/^ *\"$1\": \"\(.*\)\",\$/\1/p" "$generated"; }
mapfile -t jobs < <(members job)
mapfile -t executables < <(members executable)
mapfile -t images < <(members image)
version="$(members image_tag)"
((${#jobs[@]} == ${#images[@]} && ${#jobs[@]} == ${#executables[@]})) || fail 1 "$generated cannot be read"
# The generator of the deployment and the tools of the laptop are in no image.
inside=(Dockerfile Package.swift Sources ":!Sources/DeploymentKit" ":!Sources/Tools")
revision="${REVISION:-$(git log -1 --format=%H -- "${inside[@]}" 2>/dev/null || true)}"
revision="${revision:-unknown}"
if [[ -z "${REVISION:-}" && -n "$(git status --porcelain -- "${inside[@]}" 2>/dev/null)" ]]; then
    revision="$revision-changed"
fi

if $cloud; then
    [[ -z "$only" ]] || fail 64 "--only cannot be used with --cloud"
    project="$(members project)"
    exec gcloud builds submit . --config=cloudbuild.yaml --project="$project" \
        --substitutions="_ENVIRONMENT=$environment,_REVISION=$revision"
fi

command -v docker >/dev/null || fail 1 "docker is not installed; --cloud builds without it"
built=0
for index in "${!jobs[@]}"; do
    image="${images[index]}"
    [[ -z "$only" || "$only" == "${jobs[index]}" ]] || continue
    built=$((built + 1))
    if $push && docker manifest inspect "$image" >/dev/null 2>&1; then
        [[ "$revision" != unknown* && "$revision" != *-changed ]] ||
            fail 1 "$image is there, and whether it was built from these sources ($revision) cannot be told: commit them, or raise image_tag"
        docker pull --quiet "$image" >/dev/null || fail 1 "$image is there, and cannot be pulled to compare"
        there="$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$image")"
        [[ "$there" == "$revision" ]] ||
            fail 1 "$image is there, built from $there and not from $revision: raise image_tag and run generate-jobs"
        echo "$image is already there"
        continue
    fi
    echo "building $image"
    DOCKER_BUILDKIT=1 docker build --build-arg "JOB=${executables[index]}" --build-arg "VERSION=$version" \
        --build-arg "REVISION=$revision" --tag "$image" . || fail 1 "$image could not be built"
    if $push; then
        docker push "$image" || fail 1 "$image could not be pushed; is docker signed in? gcloud auth configure-docker ${image%%/*}"
    fi
done
((built > 0)) || fail 64 "jobs.yaml has no job $only; it has: ${jobs[*]}"
