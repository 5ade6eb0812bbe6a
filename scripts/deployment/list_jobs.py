"""scripts/list-jobs.sh: what is deployed, when it runs and how it went."""
import json
import sys

from . import page
from .create_all_jobs import FAILED, INTERRUPTED, Parser
from .desired import Desired
from .google import Google, GoogleError
from .output import colour, spoken, table
from .overview import Overview


def arguments():
    parser = Parser(prog="scripts/list-jobs.sh")
    parser.add_argument("environment")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true")
    how.add_argument("--html", metavar="FILE")
    return parser.parse_args()


def main():
    options = arguments()
    desired = Desired(options.environment)
    overview = Overview(Google(desired.project), desired)
    if options.json:
        print(json.dumps(overview.json(), indent=2))
    elif options.html:
        with open(options.html, "w", encoding="utf-8") as file:
            file.write(page.html(overview))
        print(f"wrote {options.html}")
    else:
        show(overview)
    return 0


def show(overview):
    print(f"{overview.desired.environment}: project {overview.desired.project}, {overview.desired.region}")
    rows = []
    for state in overview.jobs:
        last, now = state.last, overview.now
        rows.append([
            state.job["name"], state.job["schedule"] or "manual", upcoming(state),
            state.status + (", overdue" if state.is_overdue else ""),
            spoken(last.seconds(now)) if last else "", f"{spoken((now - last.created).total_seconds())} ago" if last else "",
            f"{len(state.drift)}" if state.drift else "none"])
    table(["JOB", "SCHEDULE", "NEXT RUN", "LAST STATUS", "DURATION", "AGE", "DRIFT"], rows)
    lines = [f"{s.job['name']}: {d}" for s in overview.jobs for d in s.drift] + overview.differences
    if lines:
        print(colour("\nDifferent from jobs.yaml:", "33") + f" (scripts/create-all-jobs.sh {overview.desired.environment} mends it)")
        print("\n".join(f"  {line}" for line in lines))
    if overview.orphans:
        print(colour("\nNot in jobs.yaml:", "33") + " (--prune removes it)")
        print("\n".join(f"  {line}" for line in overview.orphans))
    if overview.foreign:
        print(colour("\nNot ours:", "33") + " (nothing removes it)")
        print("\n".join(f"  {line}" for line in overview.foreign))
    if overview.access_refusal:
        print(f"\nAccess was not compared: {overview.access_refusal}")


def upcoming(state):
    if not state.job["schedule"]:
        return "manual"
    if state.is_paused:
        return "paused"
    if not state.next_run:
        return "no trigger"
    return f"{state.next_run:%d %b %H:%M} UTC"


def run():
    try:
        sys.exit(main())
    except (GoogleError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    run()
