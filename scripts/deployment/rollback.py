"""scripts/rollback.sh: the images of an earlier version, and nothing else."""
import copy
import re
import sys
from concurrent.futures import ThreadPoolExecutor

from . import images as repository
from . import ownership
from .command import DONE, FAILED, MISSING, UNCONFIRMED, Parser, UsageError, answer, color, number, run, table
from .comparison import container_of
from .desired import Desired
from .effects import final, verified
from .google import Google, GoogleError, run_items
from .resources import replace
from .takeover import former

# What an image tag may be: as in a Docker reference.
TAG = r"\w[\w.-]{0,127}"


def arguments():
    parser = Parser("rollback.sh")
    parser.add_argument("version", nargs="?")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--yes", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    desired = Desired(options.environment)
    if options.version and not re.fullmatch(TAG, options.version):
        raise UsageError(f"{options.version!r} is no version: letters, digits, '.', '_' and '-'")
    google = Google(desired.project)
    print(f"{desired.environment}: project {desired.project}, {desired.region}, as {google.account}")
    images = repository.listed(google, desired)
    if images.unknown:
        print(f"error: the images cannot be listed: {images.unknown}", file=sys.stderr)
        return MISSING
    current = desired.index["image_tag"]
    complete = versions(desired, images)
    version = options.version or previous(complete, current)
    if not version:
        print(f"error: there is no version before {current} of which every image exists; there is: {', '.join(complete) or 'none'}", file=sys.stderr)
        return MISSING
    gone = [image for job in desired.jobs if (image := image_of(job, version)) not in images]
    if gone:
        print(f"error: version {version} is not complete; nothing was changed. Complete are: {', '.join(complete) or 'none'}. Missing:\n"
              + "\n".join(f"  - {image}" for image in gone), file=sys.stderr)
        return MISSING
    jobs = {j["metadata"]["name"]: j for j in run_items(
        google, f"apis/run.googleapis.com/v1/namespaces/{desired.project}/jobs", desired.region)}
    changes = [(job, jobs[job["name"]]) for job in desired.jobs if job["name"] in jobs and ownership.of_job(desired, jobs[job["name"]])
               and container_of(jobs[job["name"]])["image"] != images.digests[image_of(job, version)]]
    for job, there in changes:
        print(color(f"  ~ {job['name']}", "33")
              + images.spoken(f"\n      image: {container_of(there)['image']} -> {images.digests[image_of(job, version)]}"))
    left = [job["name"] for job in desired.jobs if job["name"] not in jobs or not ownership.of_job(desired, jobs[job["name"]])]
    if left:
        print(f"  ? not deployed, or not ours; left alone: {', '.join(left)}")
    if not changes:
        print(f"Nothing to do: every job has version {version}.")
        return DONE
    if options.dry_run:
        print(f"Dry run: {number(len(changes), 'job')} would get version {version}.")
        return DONE
    return confirm(options, desired, version, changes) or apply(google, desired, images, version, changes)


def image_of(job, version):
    return f"{job['image'].rpartition(':')[0]}:{version}"


def versions(desired, images):
    """The versions of which every image exists, the oldest first."""
    tags = [{image.rpartition(":")[2] for image in images.digests if image.rpartition(":")[0] == job["image"].rpartition(":")[0]} for job in desired.jobs]
    return sorted(set.intersection(*tags), key=order) if tags else []


def order(version):
    """0.10.0 comes after 0.9.1, and 1.0.0-rc1 before 1.0.0."""
    return [*((2, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"[.\-_]", version)), (1, 0, "")]


def previous(complete, current):
    return next((v for v in reversed(complete) if order(v) < order(current)), None)


def confirm(options, desired, version, changes):
    """`None` when the changes may be applied."""
    if options.yes or not desired.index["confirm"]:
        return None
    if not sys.stdin.isatty():
        print(f"{desired.environment} asks before it changes: run in a terminal, or with --yes", file=sys.stderr)
        return UNCONFIRMED
    question = f"Deploy version {version} to {number(len(changes), 'job')} in {desired.project}? Type {desired.environment} to continue: "
    if answer(question) == desired.environment:
        return None
    print("Nothing was changed.")
    return UNCONFIRMED


def apply(google, desired, images, version, changes):
    def put(job, there):
        image, path = images.digests[image_of(job, version)], f"apis/run.googleapis.com/v1/namespaces/{desired.project}/jobs/{job['name']}"
        wanted = former(copy.deepcopy(there))
        container_of(wanted)["image"] = image
        verified(google, lambda: replace(google, desired, wanted), lambda: [
            f"image: {live} -> {image}" for live in [container_of(google.get("run", path, desired.region))["image"]] if live != image])

    rows, failed = [], 0
    with ThreadPoolExecutor(4) as pool:
        running = [(job, pool.submit(put, job, there)) for job, there in changes]
        for job, future in running:
            try:
                future.result()
                rows.append([job["name"], version, "updated"])
            except GoogleError as error:
                failed += 1
                rows.append([job["name"], version, "failed"])
                print(color(f"failed: {job['name']}: {final(google, error)}", "31"))
    table(["JOB", "VERSION", "RESULT"], rows)
    if failed:
        print(color(f"{failed} of {number(len(changes), 'job')} failed. Run the same command again: it does the rest.", "31"))
        return FAILED
    print(f"jobs.yaml names {desired.index['image_tag']}. To keep {version}: set image_tag, swift run generate-jobs, and commit.")
    return DONE


if __name__ == "__main__":
    run(main, "stopped; run the same command again to complete it")
