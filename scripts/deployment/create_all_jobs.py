"""scripts/create-all-jobs.sh: brings a project to what jobs.yaml says."""
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from . import change, preflight, refusals, takeover
from .alerts import UnknownChannel
from .command import (DONE, FAILED, INTERRUPTED, MISSING, PAST, UNCONFIRMED, Parser, answer, color, number, run, show_change,
                      table)
from .desired import Desired
from .google import GcloudMissing, Google, GoogleError
from .live import Live
from .plan import Plan


def arguments():
    parser = Parser("create-all-jobs.sh")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--only", metavar="JOB")
    parser.add_argument("--prune", action="store_true")
    parser.add_argument("--take-over", action="store_true")
    parser.add_argument("--yes", action="store_true")
    return parser.parse_args()


def main():
    options, began = arguments(), time.monotonic()
    desired = Desired(options.environment, only=options.only)
    try:
        google = Google(desired.project)
    except GcloudMissing:
        raise
    except GoogleError as error:
        problems = [(f"gcloud is not ready: {error}", "gcloud auth login")]
    else:
        print(f"{desired.environment}: project {desired.project}, {desired.region}, as {google.account}")
        problems, live = read(google, desired)
    if problems:
        print(color("Missing:", "31"), file=sys.stderr)
        for problem, advice in problems:
            print(f"  - {problem}\n      {advice}", file=sys.stderr)
        return MISSING
    plan = Plan(google, desired, live, options.prune)
    images = live.images
    absent = images.absent(desired.jobs)
    show(plan)
    if images.unknown:
        print(color(f"  ! whether the images exist could not be checked: {images.unknown}\n    A job that has its image by digest keeps it.", "33"))
    blocked = plan.replacements_without_image(absent)
    if blocked:
        return say_blocked(desired, blocked)
    code = FAILED if plan.conflicts else DONE
    if plan.changes and not options.dry_run:
        code = confirm(options, desired, plan) or apply(google, plan) or code
    elif plan.changes:
        print(f"Dry run: {number(len(plan.changes), 'change')} would be applied.")
    if absent:
        say_missing(desired, absent)
    for line in plan.waiting:
        print(color(line, "33"))
    print(f"{google.calls['gcloud']} calls of gcloud, {google.calls['requests']} requests, {time.monotonic() - began:.1f} s")
    return code


def read(google, desired):
    """What is missing, and the project as it is, read at once."""
    with ThreadPoolExecutor(2) as pool:
        missing, live = pool.submit(preflight.missing, google, desired), pool.submit(Live, google, desired)
        problems = missing.result()
        if problems:
            # Without them the rest cannot be read either.
            return problems, None
        try:
            return [], live.result()
        except UnknownChannel as error:
            return [(str(error), f"gcloud beta monitoring channels list --project={desired.project}")], None
        except GoogleError as error:
            if not refusals.is_disabled(error):
                raise
            # A service that was enabled a moment ago: now it is known that it is, and worth to wait.
            return [], Live(google, desired)


def say_blocked(desired, jobs):
    """A job that works is never replaced by one that cannot run."""
    print(color(f"Nothing was changed: the {'image' if len(jobs) == 1 else 'images'} of {number(len(jobs), 'job')} that would be "
                "replaced are missing:", "31"), file=sys.stderr)
    for job in jobs:
        print(f"  - {job['name']}: {job['image']}", file=sys.stderr)
    print(f"      scripts/build-images.sh {desired.environment} --push, then this command again", file=sys.stderr)
    return MISSING


def say_missing(desired, images):
    """Missing images are no failure by themselves. Cloud Run reports a job without its image as not ready, and that is a difference."""
    print(color(f"{len(images)} of {number(len(desired.jobs), 'image')} missing. Their jobs cannot run without them:", "31"), file=sys.stderr)
    for image in images:
        print(f"  - {image}", file=sys.stderr)
    print(f"      scripts/build-images.sh {desired.environment} --push, then this command again", file=sys.stderr)


def show(plan):
    desired = plan.desired
    for item in plan.changes:
        show_change(item)
    unchanged = [j["name"] for j in desired.jobs if not plan.of_job(j["name"])]
    if unchanged:
        print(f"  = unchanged: {', '.join(unchanged)}")
    if plan.orphans:
        print("  ? not in jobs.yaml; --prune removes:")
        for item in plan.orphans:
            print(f"      {item.title}" + (f" ({'; '.join(item.details)})" if item.details else ""))
    show_leftovers(plan.leftovers)
    if plan.foreign:
        print("  ? not ours; left alone:")
        print("\n".join(f"      {line}" for line in plan.foreign))
    for conflict in plan.conflicts:
        print(color(f"  ! {conflict}", "31"))
    for reason in plan.live.not_searched:
        print(color(f"  ! not searched: {reason}", "33"))
    if desired.alerts and not (desired.channels or desired.alert_channels):
        print("  ! alerts notify nobody: jobs.yaml has neither alert_emails nor alert_channels")
    if not plan.changes:
        print("Nothing to do.")


def show_leftovers(leftovers):
    """What a former deployment left, with the commands that remove it."""
    if leftovers:
        print("  ? left by a former deployment; this script never removes it. The commands, once you are sure that nothing else needs it:")
    for item in leftovers:
        print(f"      {item.text}")
        print("\n".join(f"          {line}" for line in item.commands))


def confirm(options, desired, plan):
    """`None` when the changes may be applied. One question covers everything that has to be asked."""
    takes_over = bool(plan.takeovers) and not options.take_over
    if takes_over:
        print(color(f"{count_by_kind(plan.takeovers)} of somebody else: they have our names and no mark of ours. They would be replaced.", "33"))
    if not takes_over and (options.yes or not (desired.index["confirm"] or plan.removals)):
        return None
    if not sys.stdin.isatty():
        reason = ("this command asks before it takes over resources of others: run it in a terminal, or with --take-over" if takes_over
                  else f"{desired.environment} asks before it changes: run in a terminal, or with --yes")
        print(f"{reason}\nNothing was changed.", file=sys.stderr)
        return UNCONFIRMED
    asked = desired.environment if desired.index["confirm"] and not options.yes else "yes"
    what = f", taking over {count_by_kind(plan.takeovers)}," if takes_over else ""
    if answer(f"Apply {number(len(plan.changes), 'change')}{what} in {desired.project}? Type {asked} to continue: ") == asked:
        return None
    print("Nothing was changed.")
    return UNCONFIRMED


def count_by_kind(changes):
    """`9 jobs and 6 triggers`."""
    kinds = list(dict.fromkeys(c.kind for c in changes))
    return " and ".join(number(sum(c.kind == kind for c in changes), kind) for kind in kinds)


def apply(google, plan):
    """Applies the changes and prints the result of each job."""
    if plan.takeovers:
        print(f"Kept the definitions that are replaced in {takeover.keep(plan.desired, plan.live)}; restore.sh there brings them back.")
    print(f"Applying {number(len(plan.changes), 'change')} ...", flush=True)
    words = {"done": "32", "failed": "31", "skipped": "33"}

    def report(item, outcome, message=""):
        line = f"  {PAST[item.action]} {item.title}" if outcome == "done" else f"  {outcome}: {item.action} {item.title}"
        print(color(line, words[outcome]) + (f": {message}" if message else ""), flush=True)

    try:
        failed, skipped = change.apply_all(plan.changes, report)
    except change.Interrupted as stop:
        google.stopping.set()
        print("\nstopped; run the same command again to complete it", file=sys.stderr)
        if stop.running:
            print("these changes were running and may be complete:\n" + "\n".join(f"  {c.action} {c.title}" for c in stop.running), file=sys.stderr)
        return INTERRUPTED
    google.patience.done()
    bad, left = {id(c) for c, _ in failed}, {id(c) for c in skipped}
    print()
    rows = []
    for job in plan.desired.jobs:
        mine = plan.of_job(job["name"])
        state = ("failed" if any(id(c) in bad for c in mine) else "incomplete" if any(id(c) in left for c in mine)
                 else next((PAST[c.action] for c in mine if c.kind == "job"), "updated" if mine else "unchanged"))
        rows.append([job["name"], job["schedule"] or "manual", job["trigger"] or "", state])
    table(["JOB", "SCHEDULE", "TRIGGER", "RESULT"], rows)
    if failed:
        print(color(f"{len(failed)} of {number(len(plan.changes), 'change')} failed, {len(skipped)} skipped. "
                     "Run the same command again: it does the rest.", "31"))
        return FAILED
    return None


if __name__ == "__main__":
    run(main, "stopped; nothing was changed")
