# One image for each job, all from this file:
#
#   docker build --build-arg JOB=OrgSyncAllJob --tag org-sync-all .
#
# scripts/build-images.sh builds all images with BuildKit. Every step before the choice of the job is common and cached, so all images
# take one build. scripts/check-image.sh builds them without a daemon, and runs them.
#
# scripts/update-pins.sh pins both base images (name:tag@sha256:...).
ARG SWIFT_IMAGE=swift:6.3-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${SWIFT_IMAGE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Versions are not pinned, so that every build gets the newest patches.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libcurl4-openssl-dev libssl-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /package
# Package.resolved is optional.
COPY Package.swift Package.resolve[d] ./
COPY Sources Sources
# The manifest names the tests, and the image has none: an empty folder for each is enough. The cache keeps compiled dependencies
# and unchanged files. Without --disable-local-rpath a binary would look for libraries in its own folder first.
RUN --mount=type=cache,id=scheduler-jobs,target=/package/.build,sharing=locked \
    sed -nE 's/.*"([A-Za-z]*Tests|TestSupport)".*/Tests\/\1/p' Package.swift | sort -u | xargs mkdir -p \
    && mkdir /jobs \
    && for job in Sources/Jobs/*/; do \
        name="$(basename "$job")" \
        && swift build --configuration release --static-swift-stdlib --disable-local-rpath --disable-default-traits --product "$name" \
        && strip --strip-all -o "/jobs/$name" ".build/release/$name" \
        || exit 1; \
    done

FROM ${DEBIAN_IMAGE} AS chosen
COPY --from=build /jobs /jobs
ARG JOB
RUN cp "/jobs/$JOB" /job || { echo "give --build-arg JOB=, one of:" && ls /jobs && exit 1; }

# What every job needs around its binary: the libraries that it loads, the certificate authorities, and the name of its user.
FROM ${DEBIAN_IMAGE} AS root
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libcurl4 libssl3 libstdc++6 zlib1g \
    && rm -rf /var/lib/apt/lists/*
COPY scripts/lib/image-root.sh /image-root.sh
COPY --from=build /jobs /jobs
RUN bash /image-root.sh /jobs /image-root

FROM scratch
COPY --from=root /image-root /
COPY --from=chosen /job /usr/local/bin/job
ARG JOB
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="$JOB" \
      org.opencontainers.image.description="A job of the scheduler jobs service" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/job"]
